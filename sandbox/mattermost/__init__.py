"""A double of a Mattermost server with the Apps plugin, and a chat page that behaves like its clients."""

from sandbox.mattermost.double import MattermostDouble

__all__ = ["MattermostDouble"]
