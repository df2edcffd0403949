"""The Apps plugin, which sits between clients and apps (protocol reference)."""
