"""The Apps plugin: what lies between clients and apps (protocol reference)."""
