"""
Checks who can post where, before anything is posted for a person.

The framework's bot can post wherever it is a member. Without this check, people could make it post in channels where
they can't post themselves (spec D-12, D-43).
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from cachetools import TTLCache

from core.calls import Channel
from core.errors import MayNotPost, NotYours
from core.upstream_errors import MattermostRefused
from mattermost.parallel import Parallel
from mattermost.paths import Ask, Path, api
from mattermost.permission_reads import PermissionReads, split_roles

_ORDINARY_ROLES = ("channel_user", "system_user")


@dataclass(frozen=True)
class MayPost:
    """The result of a passed check, which posting requires. ``type`` is Mattermost's channel type."""

    channel_id: str
    person_id: str
    team_id: str
    type: str


class Access:
    """
    The posting rule. What roles permit is cached for five minutes.

    Args:
        guests: Whether guests may use the app at all (`GUESTS`).
        parallel: Sends the requests of one check at the same time.
        timer: A clock that never jumps.
    """

    def __init__(self, guests: bool, parallel: Parallel, timer: Callable[[], float] = time.monotonic) -> None:
        self._guests = guests
        self.parallel = parallel
        self._permissions: TTLCache[str, frozenset[str]] = TTLCache(maxsize=500, ttl=300, timer=timer)
        self._lock = threading.Lock()

    def reads(self, ask: Ask, person_id: str, *, roles: str = "", channel: Channel | None = None) -> PermissionReads:
        """The reads for `may_post` and `may_manage`. See `PermissionReads` for the arguments."""
        return PermissionReads(self.parallel, ask, person_id, roles=roles, channel=channel)

    def may_post(self, reads: PermissionReads, channel_id: str, *more: tuple[Ask, Path]) -> MayPost:
        """
        Check that the person may write in *channel_id* now.

        As in Mattermost, roles of the channel, the system or the team can have the permission. The team is read only if
        the others don't.

        Args:
            reads: Uses the person's session, or the bot's if the call has none.
            more: Other requests of the caller, sent at the same time.

        Raises:
            MayNotPost: The channel is archived, or the person is no member, lacks the permission, or is a guest. Also
                if Mattermost denies reading that.
        """
        try:
            self._read_ordinary_roles(reads, channel_id, more)
            channel, member, own_roles = reads.channel(channel_id), reads.member(channel_id), reads.roles()
            roles = own_roles | split_roles(member.get("roles"))
            self._check_policy(channel, roles)
            if not self._permit(reads.ask, roles):
                team = split_roles(reads.team_member(channel.team_id).get("roles")) if channel.team_id else set()
                if not self._permit(reads.ask, team):
                    raise MayNotPost("no create_post")
        except MattermostRefused as error:
            raise MayNotPost(f"not readable: {error}") from error
        return MayPost(channel_id, reads.person_id, channel.team_id, channel.type)

    def may_post_in_own_name(self, reads: PermissionReads, channel_id: str) -> MayPost:
        """
        Check what Mattermost doesn't check itself when a person's own session posts.

        Raises:
            MayNotPost: Archived, a guest, or Mattermost didn't say.
        """
        try:
            channel, roles = reads.channel(channel_id), reads.roles()
        except MattermostRefused as error:
            raise MayNotPost(f"not readable: {error}") from error
        self._check_policy(channel, roles)
        return MayPost(channel_id, reads.person_id, channel.team_id, channel.type)

    def _check_policy(self, channel: Channel, roles: Collection[str]) -> None:
        if channel.archived:
            raise MayNotPost("archived channel", "This channel is archived, so nothing can be posted in it.")
        if "system_guest" in roles and not self._guests:
            raise MayNotPost("guest", "Guests can't use ServiceNow here. Ask an administrator.")

    def may_manage(self, reads: PermissionReads, channel_id: str) -> None:
        """
        Check that the person administrates the system, the channel or its team. Roles count by their exact names.

        Raises:
            NotYours: None of them, or Mattermost didn't say.
        """
        if "system_admin" in reads.roles():
            return
        try:
            reads.read(*reads.paths(channel_id))
            channel = reads.channel(channel_id)
            if _administrates(reads.member(channel_id), "channel_admin"):
                return
            if channel.team_id and _administrates(reads.team_member(channel.team_id), "team_admin"):
                return
        except MattermostRefused as error:
            raise NotYours(f"not readable: {error}") from error
        raise NotYours("administrates neither channel nor team")

    def _read_ordinary_roles(self, reads: PermissionReads, channel_id: str, more: Collection[tuple[Ask, Path]]) -> None:
        """Send the requests of the check, together with the permissions of common roles if they aren't cached."""
        unknown = self._unknown(_ORDINARY_ROLES)
        roles = self.parallel.start(partial(self._learn, reads.ask, unknown)) if unknown else None
        reads.read(*reads.paths(channel_id), *more)
        if roles is not None:
            with suppress(MattermostRefused):  # these permissions are requested again
                roles.result()

    def _permit(self, ask: Ask, roles: Collection[str]) -> bool:
        # Use the answer instead of the cache, which may have expired meanwhile.
        with self._lock:
            known = {role: names for role in roles if (names := self._permissions.get(role)) is not None}
        unknown = sorted(set(roles) - set(known))
        if unknown:
            known |= self._learn(ask, unknown)
        return any("create_post" in names for names in known.values())

    def _unknown(self, roles: Collection[str]) -> list[str]:
        with self._lock:
            return sorted(role for role in roles if self._permissions.get(role) is None)

    def _learn(self, ask: Ask, roles: list[str]) -> dict[str, frozenset[str]]:
        answer = ask("POST", api("roles", "names"), json=roles)
        learned = {role["name"]: frozenset(role.get("permissions") or ()) for role in answer}
        with self._lock:
            self._permissions.update(learned)
        return learned


def _administrates(member: Mapping[str, Any], role: str) -> bool:
    return member.get("scheme_admin") is True or role in split_roles(member.get("roles"))
