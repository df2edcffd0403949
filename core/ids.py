"""The form of ids. What doesn't have it never gets into an address (design §4)."""

import re

_MATTERMOST_ID = re.compile(r"[a-z0-9]{26}")


def is_mattermost_id(text: str) -> bool:
    """Whether *text* can be an id of Mattermost: of a user, channel, team, post or file."""
    return _MATTERMOST_ID.fullmatch(text) is not None
