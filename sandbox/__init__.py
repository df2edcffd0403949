"""Faithful counterparts of Mattermost and ServiceNow, for demo and tests. Imports nothing of the product."""
