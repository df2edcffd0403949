"""
Who may post where. Every post that we make for a person is checked here first.

The framework's bot could post wherever it is a member; without this, anybody could make it speak in
channels where that person may not (spec D-12, D-43).
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache

from core.errors import MayNotPost, NotYours
from core.upstream_errors import MattermostRefused
from mattermost.paths import Ask, Id, api


@dataclass(frozen=True)
class MayPost:
    """Proof of a passed check; posting asks for one. ``type`` is Mattermost's channel type."""

    channel_id: str
    person_id: str
    team_id: str
    type: str


class Access:
    """
    The posting rule, with the permissions of roles remembered for five minutes.

    Args:
        guests: Whether guests may use the app at all (`GUESTS`).
        timer: A clock that never jumps.
    """

    def __init__(self, guests: bool, timer: Callable[[], float] = time.monotonic) -> None:
        self._guests = guests
        self._permissions: TTLCache[str, frozenset[str]] = TTLCache(maxsize=500, ttl=300, timer=timer)
        self._lock = threading.Lock()

    def may_post(self, ask: Ask, person_id: str, channel_id: str) -> MayPost:
        """
        Check that *person_id* may write in *channel_id* now.

        Args:
            ask: Requests with the person's session, or with the bot's where a call carries none.

        Raises:
            MayNotPost: Archived, not a member, the right is missing, a guest, or not to be found out.
        """
        try:
            channel = ask("GET", api("channels", Id(channel_id)))
            member = ask("GET", api("channels", Id(channel_id), "members", Id(person_id)))
            user = ask("GET", api("users", Id(person_id)))
            if channel.get("delete_at"):
                raise MayNotPost("archived channel", "This channel is archived, so nothing can be posted in it.")
            roles = _roles(user.get("roles"), member.get("roles"))
            if "system_guest" in roles and not self._guests:
                raise MayNotPost("guest", "Guests can't use ServiceNow here. Ask an administrator.")
            if team_id := channel.get("team_id"):
                team_member = ask("GET", api("teams", Id(team_id), "members", Id(person_id)))
                roles |= _roles(team_member.get("roles"))
            if not any("create_post" in names for names in self._of(ask, roles)):
                raise MayNotPost("no create_post")
        except MattermostRefused as error:
            raise MayNotPost(f"not readable: {error}") from error
        return MayPost(channel_id, person_id, str(team_id or ""), str(channel.get("type", "")))

    def may_manage(self, ask: Ask, person_id: str, channel_id: str) -> None:
        """
        Check that *person_id* administrates the system, the channel or its team. Roles count by their exact names.

        Raises:
            NotYours: None of them, or not to be found out.
        """
        if "system_admin" in _roles(ask("GET", api("users", Id(person_id))).get("roles")):
            return
        try:
            channel = ask("GET", api("channels", Id(channel_id)))
            if _administrates(ask("GET", api("channels", Id(channel_id), "members", Id(person_id))), "channel_admin"):
                return
            team_id = channel.get("team_id")
            if team_id and _administrates(
                ask("GET", api("teams", Id(team_id), "members", Id(person_id))), "team_admin"
            ):
                return
        except MattermostRefused as error:
            raise NotYours(f"not readable: {error}") from error
        raise NotYours("administrates neither channel nor team")

    def _of(self, ask: Ask, roles: set[str]) -> list[frozenset[str]]:
        # Read once: what is there now may have expired a moment later.
        with self._lock:
            known = {role: self._permissions.get(role) for role in roles}
        unknown = sorted(role for role, names in known.items() if names is None)
        if unknown:
            answer = ask("POST", api("roles", "names"), json=unknown)
            asked = {role["name"]: frozenset(role.get("permissions") or ()) for role in answer}
            known |= asked
            with self._lock:
                self._permissions.update(asked)
        return [known.get(role) or frozenset() for role in roles]


def _administrates(member: Mapping[str, Any], role: str) -> bool:
    return member.get("scheme_admin") is True or role in _roles(member.get("roles"))


def _roles(*texts: str | None) -> set[str]:
    return {role for text in texts for role in (text or "").split()}
