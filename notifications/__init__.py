"""Notices: what the component reports, from the webhook to the channel (design §9)."""
