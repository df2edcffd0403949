"""The requests with which one call checks permissions: each is sent once, and several at the same time."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from functools import lru_cache, partial
from typing import Any

from core.calls import Channel, is_mattermost_id
from mattermost.parallel import Parallel, run
from mattermost.paths import Ask, Id, Path, api


class PermissionReads:
    """
    Mattermost's answers about one person's permissions, cached for one call.

    Errors are cached too, and raised again. Not thread-safe.

    Args:
        ask: Sends requests with the session that reads permissions.
        roles: The person's system roles, if the verified call carries them.
        channel: The channel of the verified call, as the person sees it.
    """

    def __init__(
        self, parallel: Parallel, ask: Ask, person_id: str, *, roles: str = "", channel: Channel | None = None
    ) -> None:
        self.ask = ask
        self.person_id = person_id
        self._parallel = parallel
        self._roles = roles
        # If the type is missing, the call contains only the channel's id.
        self._channels = {channel.id: channel} if channel is not None and channel.type else {}
        self._answers: dict[tuple[Ask, str], Future[Any]] = {}

    def read(self, *paths: Path | tuple[Ask, Path]) -> None:
        """Send the requests that weren't sent before, at the same time. A path is sent with `ask`. Raises nothing."""
        wanted = [(self.ask, one) if isinstance(one, Path) else one for one in paths]
        missing = {(ask, path.text): partial(ask, "GET", path) for ask, path in wanted}
        missing = {key: work for key, work in missing.items() if key not in self._answers}
        own = missing.popitem() if missing else None
        self._answers |= {key: self._parallel.start(work) for key, work in missing.items()}
        if own is not None:  # this thread would only wait
            self._answers[own[0]] = run(own[1])

    def paths(self, channel_id: str) -> list[Path]:
        """The requests that tell whether the person can post in a channel."""
        known = [] if channel_id in self._channels else [_channel_path(channel_id)]
        return [*known, self.member_path(channel_id), *([] if self._roles else [self.user_path()])]

    def read_channels(self, channel_ids: Iterable[str], *, members: bool) -> None:
        """Read channels at the same time, and the person's memberships in them if *members*. Raises nothing."""
        ids = [one for one in dict.fromkeys(channel_ids) if is_mattermost_id(one)]
        paths = [_channel_path(one) for one in ids if one not in self._channels]
        self.read(*paths, *([self.member_path(one) for one in ids] if members else ()))

    def channel(self, channel_id: str) -> Channel:
        """The channel."""
        if channel_id not in self._channels:
            self._channels[channel_id] = read_channel(self._get(_channel_path(channel_id)))
        return self._channels[channel_id]

    def known_channel(self, channel_id: str) -> Channel | None:
        """The channel if it needs no request; None otherwise."""
        return self._channels.get(channel_id)

    def know_channel(self, channel: Channel) -> None:
        """Cache a channel from another answer in this call."""
        self._channels[channel.id] = channel

    def member(self, channel_id: str) -> Mapping[str, Any]:
        """The person's membership in the channel."""
        found: Mapping[str, Any] = self._get(self.member_path(channel_id))
        return found

    def team_member(self, team_id: str) -> Mapping[str, Any]:
        """The person's membership in the team."""
        found: Mapping[str, Any] = self._get(api("teams", Id(team_id), "members", Id(self.person_id)))
        return found

    def user(self) -> Mapping[str, Any]:
        """The person's account."""
        found: Mapping[str, Any] = self._get(self.user_path())
        return found

    def roles(self) -> set[str]:
        """The person's system roles."""
        return split_roles(self._roles or self.user().get("roles"))

    def get(self, ask: Ask, path: Path) -> Any:
        """The answer to a GET with another session."""
        self.read((ask, path))
        return self._answers[ask, path.text].result()

    def forget(self, ask: Ask, path: Path) -> None:
        """Remove an answer from the cache, because this call has changed it."""
        self._answers.pop((ask, path.text), None)

    def _get(self, path: Path) -> Any:
        return self.get(self.ask, path)

    def member_path(self, channel_id: str) -> Path:
        """The path of the person's membership in a channel."""
        return _member_path(channel_id, self.person_id)

    def user_path(self) -> Path:
        """The path of the person's account."""
        return _user_path(self.person_id)


@lru_cache(maxsize=1000)
def _channel_path(channel_id: str) -> Path:
    return api("channels", Id(channel_id))


@lru_cache(maxsize=1000)
def _member_path(channel_id: str, person_id: str) -> Path:
    return api("channels", Id(channel_id), "members", Id(person_id))


@lru_cache(maxsize=1000)
def _user_path(person_id: str) -> Path:
    return api("users", Id(person_id))


def split_roles(*texts: str | None) -> set[str]:
    """The role names in texts where Mattermost separates them by spaces."""
    return {role for text in texts for role in (text or "").split()}


def read_channel(row: Mapping[str, Any]) -> Channel:
    """Convert a channel from Mattermost's API."""
    return Channel(
        id=str(row["id"]),
        type=str(row.get("type", "")),
        team_id=str(row.get("team_id") or ""),
        name=str(row.get("name") or ""),
        display_name=str(row.get("display_name") or ""),
        archived=bool(row.get("delete_at")),
    )
