"""Encoded queries, and records formatted for responses."""
