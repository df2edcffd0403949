"""Runs the scripts of update sets: business rules, script actions, script includes, scripted REST, access rules."""
