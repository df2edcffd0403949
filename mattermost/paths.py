"""
Mattermost's ids, and paths of its REST API that are built from them.

`MattermostClient` takes nothing else, so a value from outside can't choose which path is requested: an id that
isn't one raises before anything is sent, and a name is quoted. `tests/test_rules.py` checks that every segment
that isn't a constant is an `Id` or a `Name`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from marshmallow import ValidationError

from core.calls import is_mattermost_id
from core.upstream_errors import NoSuchId


class Id(str):
    """
    An id of Mattermost.

    Raises:
        NoSuchId: The text doesn't have the form of one.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "Id":
        """Check the form."""
        if not is_mattermost_id(text):
            raise NoSuchId()
        return super().__new__(cls, text)


class Name(str):
    """Any other value, such as a user name: one segment, whatever it contains."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Name":
        """Refuse what a path normalizer would read as a step."""
        if text in {"", ".", ".."}:
            raise NoSuchId()
        return super().__new__(cls, text)


def valid_id(text: str) -> None:
    """For marshmallow: a field that has to hold an id."""
    if not is_mattermost_id(text):
        raise ValidationError("Not an id of Mattermost.")


def optional_id(text: str) -> None:
    """For marshmallow: a field that holds an id or nothing. Direct messages have no team, new threads no root."""
    if text:
        valid_id(text)


@dataclass(frozen=True)
class Path:
    """
    A path to request.

    Args:
        text: Quoted, with a leading slash.
        shape: The same without ids and names, for logs and errors.
    """

    text: str
    shape: str


def api(*segments: str) -> Path:
    """A path of the REST API v4, such as ``api("channels", Id(channel_id), "members")``."""
    return _path("/api/v4", segments)


def apps_plugin(*segments: str) -> Path:
    """A path of the Apps framework's plugin."""
    return _path("/plugins/com.mattermost.apps", segments)


class Ask(Protocol):
    """One request with the token that fits; the decoded JSON of the answer."""

    def __call__(self, method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        """Send it. Raises MattermostSilent and MattermostRefused."""
        ...


def _path(prefix: str, segments: tuple[str, ...]) -> Path:
    shapes = [_shape(segment) for segment in segments]
    return Path("/".join([prefix, *(quote(one, safe="") for one in segments)]), "/".join([prefix, *shapes]))


def _shape(segment: str) -> str:
    match segment:
        case Id():
            return "{id}"
        case Name():
            return "{name}"
        case _:
            return segment
