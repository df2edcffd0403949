"""Doubles of Mattermost and ServiceNow for the demo and the tests. They import nothing from the product."""
