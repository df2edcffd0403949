"""Subscriptions that their owners wrote or changed in ServiceNow itself: granted, or parked (design §5)."""

import threading
from collections.abc import Callable, Collection

import structlog
from cachetools import TTLCache

from core.deadline import Deadline
from core.errors import AccessDenied, InvalidInput, MayNotPost, NotConnected, NotInstalled, ServiceNowError
from core.filters import Filter
from core.notice_ports import Bot, ParkedSubscriptions
from core.notices import Match
from core.ports import Clock, ServiceNow
from core.records import Record
from core.storage_ports import Accounts, ChannelGrants
from core.subscriptions import TABLE, Grant, digest_of
from core.tables import of_its_class
from notifications.grants import Claimed, judge
from notifications.intake import parked

log = structlog.get_logger(__name__)

COLUMNS = (
    "name", "channel_id", "user_id", "record_type", "record_id", "filter_query", "subscription_events", "options",
    "sys_created_by", "sys_updated_by",
)  # fmt: skip
_SECONDS = 20.0
_BEING_CHANGED = 60.0  # seconds after our own change of a grant in which its row may still say the old
_REMEMBERED = 300.0  # seconds that a refusal stands, so that rows which may nothing cost nothing

ServiceNowFor = Callable[[str, Deadline], ServiceNow]


class BeingChanged(ServiceNowError):
    """The grant is newer than what ServiceNow has: its row is being written, or that was interrupted."""


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
        self._refused: TTLCache[Match, bool] = TTLCache(maxsize=5000, ttl=_REMEMBERED, timer=clock)
        self._lock = threading.Lock()

    def adopt(self, match: Match) -> Grant | None:
        """
        The grant that *match* now has; None where nothing may be posted of it, which parks it unless the
        report is older than the row.

        The row is read with the owner's own token: the report tells only a digest of its filter.

        Raises:
            MattermostSilent, MattermostRefused, ServiceNowError: It could not be found out; ask later.
        """
        grant = self._grants.get(match.sys_id)
        owner = self._accounts.get(grant.owner_id if grant is not None else match.user_id)
        verdict = judge(match, grant, owner, match.events)
        if not isinstance(verdict, Claimed):
            return grant  # it changed since the report came in: what is kept decides
        with self._lock:
            if match in self._refused:
                return None
        try:
            row = self._row(verdict.owner_id, match.sys_id)
        except (NotConnected, AccessDenied, NotInstalled):
            self._park(match, "Its owner can't read the row in ServiceNow.")
            return None
        if row is None or not _same(row, match):
            # Reports can wait for days in ServiceNow, and rows are changed and deleted meanwhile.
            log.info("report is older than its subscription", subscription=match.sys_id, gone=row is None)
            return None
        if grant is not None and 0 <= self._clock() - grant.granted_at < _BEING_CHANGED:
            raise BeingChanged(f"subscription {match.sys_id} is being changed")
        if problem := self._problem(verdict.owner_id, match, row):
            self._park(match, problem)
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
            created_by=match.created_by,
            record_read=bool(match.record_id),
            version=grant.version + 1 if grant is not None else 1,
        )
        self._grants.put(made)
        self._parked.delete(match.sys_id)
        log.info("subscription granted to its owner", subscription=match.sys_id)
        return made

    def _row(self, owner_id: str, sys_id: str) -> Record | None:
        servicenow = self._servicenow_for(owner_id, Deadline(_SECONDS))
        return servicenow.read_records(TABLE, [sys_id], COLUMNS).get(sys_id)

    def _problem(self, owner_id: str, match: Match, row: Record) -> str:
        """Why the owner may not have what the row asks for, for administrators; "" where nothing is wrong."""
        if match.table not in self._tables:
            return "Its table may not be subscribed to here."
        if match.record_id and not self._sees_record(owner_id, match):
            return "Its owner may not see its record, or records of that class are not shared here."
        if query := row.value("filter_query"):
            # The component evaluates it as the system: what it names, the owner has to be able to see.
            servicenow = self._servicenow_for(owner_id, Deadline(_SECONDS))
            try:
                columns = servicenow.visible_columns(match.table)
                servicenow.subscriptions("").encode(Filter(query=query), match.table, columns)
            except InvalidInput:
                return "Its filter names something that its owner may not see, or that is not taken here."
        try:
            self._bot.may_post(owner_id, match.channel_id)
        except MayNotPost as error:
            return f"Its owner may not post in its channel. {error.tell}"
        return ""

    def _sees_record(self, owner_id: str, match: Match) -> bool:
        servicenow = self._servicenow_for(owner_id, Deadline(_SECONDS))
        record = servicenow.read_records(match.table, [match.record_id], ("sys_class_name",)).get(match.record_id)
        return record is not None and of_its_class(record).table in self._tables

    def _park(self, match: Match, reason: str) -> None:
        known = self._parked.get(match.sys_id)
        self._parked.put([parked(match, reason, self._clock(), known.told_at if known is not None else 0.0)])
        with self._lock:
            self._refused[match] = True


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
