"""A double of a Mattermost server with the Apps plugin, and a chat page that draws what clients draw."""

from sandbox.mattermost.double import MattermostDouble

__all__ = ["MattermostDouble"]
