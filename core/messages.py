"""Messages of a thread and their files, as the person who asks may read them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """
    A file of a message.

    Args:
        size: Bytes.
        media_type: Such as ``image/png``; what Mattermost found, not what is in it.
    """

    id: str
    name: str
    size: int
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """
    One message.

    Args:
        username: Of the author, without ``@``; "" where Mattermost does not tell.
        created_at: Unix seconds.
        text: Markdown as typed.
    """

    id: str
    username: str
    created_at: float
    text: str
    files: Sequence[File] = ()
