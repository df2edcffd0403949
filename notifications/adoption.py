"""Subscriptions that their owners wrote or changed in ServiceNow itself: granted, or parked (design §5)."""

from collections.abc import Callable, Collection

import structlog

from core.deadline import Deadline
from core.errors import AccessDenied, MayNotPost, NotConnected, NotInstalled
from core.notice_ports import Bot, ParkedSubscriptions
from core.notices import Match
from core.ports import Accounts, ChannelGrants, Clock, ServiceNow
from core.records import Record
from core.subscriptions import TABLE, Grant, digest_of
from notifications.grants import Claimed, judge
from notifications.intake import parked

log = structlog.get_logger(__name__)

COLUMNS = (
    "name", "channel_id", "user_id", "record_type", "record_id", "filter_query", "subscription_events", "options",
    "sys_created_by", "sys_updated_by",
)  # fmt: skip
_SECONDS = 20.0

ServiceNowFor = Callable[[str, Deadline], ServiceNow]


class Adoption:
    """
    Args:
        servicenow_for: ServiceNow with a person's rights.
        tables: Those that may be subscribed to.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        grants: ChannelGrants,
        parked: ParkedSubscriptions,
        bot: Bot,
        servicenow_for: ServiceNowFor,
        tables: Collection[str],
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._grants = grants
        self._parked = parked
        self._bot = bot
        self._servicenow_for = servicenow_for
        self._tables = tables
        self._clock = clock

    def adopt(self, match: Match) -> Grant | None:
        """
        The grant that *match* now has, or None after parking it.

        The row is read with the owner's own token: the report tells only a digest of its filter.

        Raises:
            MattermostSilent, MattermostRefused, ServiceNowError: It could not be found out; ask later.
        """
        grant = self._grants.get(match.sys_id)
        owner = self._accounts.get(grant.owner_id if grant is not None else match.user_id)
        verdict = judge(match, grant, owner, match.events)
        if not isinstance(verdict, Claimed):
            return grant  # it changed since the report came in: what is kept decides
        if match.table not in self._tables:
            self._park(match, "Its table may not be subscribed to here.")
            return None
        try:
            row = self._row(verdict.owner_id, match.sys_id)
        except (NotConnected, AccessDenied, NotInstalled):
            row = None
        if row is None or not _same(row, match):
            self._park(match, "Its owner can't read the row in ServiceNow, or it has changed since.")
            return None
        try:
            self._bot.may_post(verdict.owner_id, match.channel_id)
        except MayNotPost as error:
            self._park(match, f"Its owner may not post in its channel. {error.tell}")
            return None
        made = Grant(
            sys_id=match.sys_id,
            owner_id=verdict.owner_id,
            channel_id=match.channel_id,
            table=match.table,
            record_id=match.record_id,
            filter_query=row.value("filter_query"),
            events=row.value("subscription_events"),
            options=row.value("options"),
            name=row.value("name"),
            granted_at=self._clock(),
            version=grant.version + 1 if grant is not None else 1,
        )
        self._grants.put(made)
        self._parked.delete(match.sys_id)
        log.info("subscription granted to its owner", subscription=match.sys_id)
        return made

    def _row(self, owner_id: str, sys_id: str) -> Record | None:
        servicenow = self._servicenow_for(owner_id, Deadline(_SECONDS))
        return servicenow.read_records(TABLE, [sys_id], COLUMNS).get(sys_id)

    def _park(self, match: Match, reason: str) -> None:
        known = self._parked.get(match.sys_id)
        self._parked.put([parked(match, reason, self._clock(), known.told_at if known is not None else 0.0)])


def _same(row: Record, match: Match) -> bool:
    """Whether the row still says what the report said of it."""
    return (
        row.value("channel_id"),
        row.value("record_type"),
        row.value("record_id"),
        digest_of(row.value("filter_query")),
        row.value("user_id"),
        row.value("sys_created_by"),
        row.value("sys_updated_by"),
    ) == (
        match.channel_id,
        match.table,
        match.record_id,
        match.filter_digest,
        match.user_id,
        match.created_by,
        match.updated_by,
    )
