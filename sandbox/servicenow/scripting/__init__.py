"""Runs scripts from update sets: business rules, script actions, scripted REST APIs, and ACLs."""
