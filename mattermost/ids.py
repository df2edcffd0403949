"""Ids in what Mattermost sends: of the form of an id, or the request is malformed (design §4)."""

from marshmallow import ValidationError

from core.calls import is_mattermost_id


def valid_id(text: str) -> None:
    """Validate a field that has to hold an id."""
    if not is_mattermost_id(text):
        raise ValidationError("Not an id of Mattermost.")


def optional_id(text: str) -> None:
    """Validate a field that holds an id or nothing: direct messages have no team, new threads no root."""
    if text:
        valid_id(text)
