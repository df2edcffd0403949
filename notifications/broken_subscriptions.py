"""Marks subscriptions that stopped working, and notifies their owners and administrators."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from core.accounts import Account
from core.errors import AppError
from core.storage_ports import Accounts, ChannelGrants, ParkedSubscriptions
from core.subscriptions import Grant, Status
from core.tables import table_of
from core.times import Clock
from core.upstream_errors import MattermostSilent
from mattermost.markdown import escaped

if TYPE_CHECKING:
    from mattermost.bot import MattermostBot

log = structlog.get_logger(__name__)

DAY = 86_400.0
_LISTED = 20
_LOOK_EVERY = 60.0  # seconds


class BrokenSubscriptions:
    """
    Marks subscriptions broken and notifies each owner once.

    Args:
        gone: Reasons that mean that the owner can't be notified. The administrator is notified instead.
        connect_address: Where a person connects.
        administrator: Mattermost ID of the person who installed the app; "" before that.
    """

    def __init__(
        self,
        *,
        grants: ChannelGrants,
        parked: ParkedSubscriptions,
        accounts: Accounts,
        bot: MattermostBot,
        clock: Clock,
        gone: Iterable[str],
        connect_address: str,
        administrator: Callable[[], str],
    ) -> None:
        self._grants = grants
        self._parked = parked
        self._accounts = accounts
        self._bot = bot
        self._clock = clock
        self._gone = frozenset(gone)
        self._connect_address = connect_address
        self._administrator = administrator
        self._lock = threading.Lock()
        self._untold: set[str] = set()
        self._looked_at = float("-inf")

    def mark(self, grants: Iterable[Grant], reason: str) -> None:
        """Mark those that are still active. The next `notify_owners` notifies their owners. Raises StorageFailed."""
        for grant in grants:
            stored = self._grants.get(grant.sys_id)
            if stored is None or stored.status != Status.ACTIVE:
                continue
            log.warning("subscription broken", subscription=grant.sys_id, reason=reason)
            self._grants.put(
                replace(stored, status=Status.BROKEN.value, reason=reason, told_at=0.0, version=stored.version + 1)
            )
            with self._lock:
                self._untold.add(grant.sys_id)

    def mark_channel(self, channel_id: str, reason: str) -> None:
        """Mark all subscriptions that post in a channel."""
        self.mark([one for one in self._grants.all() if one.channel_id == channel_id], reason)

    def ask_to_connect(self, grant: Grant) -> None:
        """Ask the owner to connect, at most once a day."""
        account, now = self._accounts.get(grant.owner_id), self._clock()
        told_at = account.suspension_told_at if account is not None else self._told_at(grant.owner_id)
        if 0 <= now - told_at < DAY:
            return
        self._mark(account, grant, now)
        what = "Your ServiceNow connection has ended" if account else "Your ServiceNow account is not connected"
        self._say(
            grant.owner_id,
            f"{what}, so notifications of {_named(grant)} only say that a record changed. "
            f"[Connect]({self._connect_address}) to get full notifications again.",
        )

    def _told_at(self, owner_id: str) -> float:
        """When someone without an account was last asked to connect. A batch may hold several of their grants."""
        mine = (one for one in self._grants.all() if one.owner_id == owner_id and one.status == Status.ACTIVE)
        return max((one.told_at for one in mine), default=0.0)

    def notify_owners(self) -> None:
        """Notify owners of broken subscriptions, and administrators once a day of parked ones."""
        self._look()
        with self._lock:
            untold, self._untold = self._untold, set()
        found = [grant for sys_id in sorted(untold) if (grant := self._grants.get(sys_id)) is not None]
        messages: dict[tuple[str, str], list[Grant]] = {}
        for grant in found:
            if grant.status == Status.BROKEN and not grant.told_at:
                messages.setdefault((grant.owner_id, grant.reason), []).append(grant)
        for (owner_id, reason), grants in messages.items():
            self._tell_of(owner_id, reason, grants)
        self._tell_of_parked()

    def _look(self) -> None:
        """Find subscriptions that an earlier process or a channel administrator marked broken."""
        now = self._clock()
        if 0 <= now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = now
        found = {one.sys_id for one in self._grants.all() if one.status == Status.BROKEN and not one.told_at}
        with self._lock:
            self._untold |= found

    def _tell_of(self, owner_id: str, reason: str, grants: list[Grant]) -> None:
        # Mark before sending, so that a crash notifies no one twice.
        self._mark_told(grants, self._clock())
        names = "\n".join(f"- {_named(grant)}" for grant in grants[:_LISTED])
        text = (
            f"These subscriptions to ServiceNow stopped posting. {reason}\n{names}\n"
            "When that is mended, resume them with `/servicenow subscriptions list`."
        )
        person = self._administrator() if reason in self._gone else owner_id
        try:
            self._say(person, text)
        except MattermostSilent:
            self._mark_told(grants, 0.0)
            with self._lock:
                self._untold.update(grant.sys_id for grant in grants)

    def _mark_told(self, grants: list[Grant], told_at: float) -> None:
        for grant in grants:
            # Read again, because owners may have resumed or deleted subscriptions while a message was sent.
            stored = self._grants.get(grant.sys_id)
            if stored is not None and stored.status == Status.BROKEN:
                self._grants.put(replace(stored, told_at=told_at))

    def _tell_of_parked(self) -> None:
        everything, now = self._parked.all(), self._clock()
        new = [one for one in everything if one.seen_at > one.told_at]
        if not new or 0 <= now - max(one.told_at for one in everything) < DAY:
            return
        self._parked.put([replace(one, told_at=now) for one in new])
        rows = "\n".join(f"- `{one.sys_id}`: {one.reason}" for one in new[:_LISTED])
        more = f"\n- and {len(new) - _LISTED} more" if len(new) > _LISTED else ""
        text = (
            "These rows of ServiceNow's subscriptions table were not set up through this app, so nothing of "
            f"them is posted:\n{rows}{more}\n"
            "Their owners can set them up with `/servicenow subscriptions add`; rows that nobody knows should be "
            "deleted in ServiceNow."
        )
        self._say(self._administrator(), text)

    def _mark(self, account: Account | None, grant: Grant, now: float) -> None:
        if account is not None:
            self._accounts.put(replace(account, suspension_told_at=now, version=account.version + 1))
        else:
            self._grants.put(replace(grant, told_at=now))

    def _say(self, person_id: str, text: str) -> None:
        if not person_id:
            return
        try:
            self._bot.send_direct_message(person_id, text)
        except MattermostSilent:
            raise
        except AppError as error:
            log.warning("somebody could not be told", person=person_id, reason=error.log_message)


def _named(grant: Grant) -> str:
    return f"**{escaped(grant.name, 100)}**" if grant.name else f"{table_of(grant.table).label} (`{grant.sys_id}`)"
