"""Accounts, OAuth and access control."""
