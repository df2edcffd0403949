"""
Builds paths of Mattermost's REST API from checked segments.

`MattermostClient` accepts no other paths, so a value from outside can't choose which path is requested. `Id` raises
before anything is sent, and a `Name` is quoted. `tests/test_rules.py` checks that every other segment is a constant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from core.calls import is_mattermost_id
from core.upstream_errors import NoSuchId


class Id(str):
    """
    A Mattermost id.

    Raises:
        NoSuchId: The text doesn't have the format of an id.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "Id":
        """Check the format."""
        if not is_mattermost_id(text):
            raise NoSuchId()
        return super().__new__(cls, text)


class Name(str):
    """Any other value, such as a user name. It becomes one segment, no matter what it contains."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Name":
        """Reject what a path normalizer would resolve."""
        if text in {"", ".", ".."}:
            raise NoSuchId()
        return super().__new__(cls, text)


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
    """Sends one request with a certain token, and returns the decoded JSON."""

    def __call__(self, method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        """Send it. Raises MattermostSilent and MattermostRefused."""
        ...


def _path(prefix: str, segments: tuple[str, ...]) -> Path:
    shapes = ["{id}" if isinstance(one, Id) else "{name}" if isinstance(one, Name) else one for one in segments]
    return Path("/".join([prefix, *(quote(one, safe="") for one in segments)]), "/".join([prefix, *shapes]))
