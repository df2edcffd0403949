"""
Grants or parks subscriptions that their owners wrote or changed in ServiceNow itself (design §5).

Each row is read with the owner's token, because a report contains only a digest of its filter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from cachetools import TTLCache

from core.errors import InvalidInput, MayNotPost, NotConnected
from core.notices import Match
from core.outbox import Parked
from core.records import Column, Record
from core.storage_ports import Accounts, ChannelGrants, ParkedSubscriptions
from core.subscriptions import TABLE, Filter, Grant, digest_filter, tokens
from core.tables import as_its_class
from core.times import Clock, Deadline
from core.upstream_errors import AccessDenied, NotInstalled, ServiceNowError
from notifications.authorization import Verdict, authorize, parked
from notifications.record_reader import ServiceNowFor

if TYPE_CHECKING:
    from mattermost.bot import MattermostBot
    from servicenow.client import ServiceNowClient

log = structlog.get_logger(__name__)

COLUMNS = (
    "name", "channel_id", "user_id", "record_type", "record_id", "filter_query", "subscription_events", "options",
    "is_active", "sys_created_by", "sys_updated_by", "sys_updated_on",
)  # fmt: skip
SECONDS = 8.0  # for one request and its retries
_BEING_CHANGED = 60.0  # seconds after we changed a grant during which its row may still be the old one
_REMEMBERED = 300.0  # seconds that a refusal is cached, so that refused rows cost nothing


class BeingChanged(ServiceNowError):
    """The grant is newer than its row in ServiceNow: the row is being written, or that was interrupted."""


class Adoption:
    """
    Args:
        servicenow_for: ServiceNow with a person's permissions.
        tables: Tables that can be subscribed to.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        grants: ChannelGrants,
        parked: ParkedSubscriptions,
        bot: MattermostBot,
        servicenow_for: ServiceNowFor,
        tables: Collection[str],
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self.grants = grants
        self.bot = bot
        self.tables = tables
        self.clock = clock
        self._parked = parked
        self._servicenow_for = servicenow_for
        self._lock = threading.Lock()
        self._refused: TTLCache[Match, bool] = TTLCache(maxsize=5000, ttl=_REMEMBERED, timer=clock)

    def turn(self, owner_id: str) -> Turn:
        """Begin to check several rows of one owner."""
        return Turn(self, owner_id, lambda: self._servicenow_for(owner_id, Deadline(SECONDS)))

    def verdict(self, match: Match, events: Sequence[str], test: bool) -> Verdict:
        """Compare a match with its current grant, without any request."""
        grant = self.grants.get(match.sys_id)
        owner = self._accounts.get(grant.owner_id if grant is not None else match.user_id)
        return authorize(match, grant, owner, events, test)

    def refused(self, match: Match) -> bool:
        """Whether this was refused recently, no matter how often its row was saved since."""
        with self._lock:
            return _columns_of(match) in self._refused

    def park(self, refusals: Mapping[Match, str]) -> None:
        """Keep refused matches and the reasons, for administrators. Raises StorageFailed."""
        if not refusals:
            return
        rows: list[Parked] = []
        for match, reason in refusals.items():
            known = self._parked.get(match.sys_id)
            rows.append(parked(match, reason, self.clock(), known.told_at if known is not None else 0.0))
        self._parked.put(rows)
        with self._lock:
            self._refused.update((_columns_of(match), True) for match in refusals)

    def store(self, grant: Grant) -> None:
        """Store a grant. Raises StorageFailed."""
        self.grants.put(grant)
        self._parked.delete(grant.sys_id)
        log.info("subscription granted to its owner", subscription=grant.sys_id)


class Turn:
    """
    Checks several rows of one owner, and sends no request twice. For one thread.

    ``refusals`` are the matches that were refused, with the reason for administrators.
    """

    def __init__(self, adoption: Adoption, owner_id: str, servicenow: Callable[[], ServiceNowClient]) -> None:
        self._adoption = adoption
        self._owner_id = owner_id
        self._servicenow = servicenow
        self._rows: Mapping[str, Record] = {}
        self._refused = False  # the owner can't read any rows
        self._columns: dict[str, Mapping[str, Column]] = {}
        self._channels: dict[str, str] = {}
        self.refusals: dict[Match, str] = {}

    def read(self, sys_ids: Sequence[str]) -> None:
        """
        Read rows, a hundred in one request.

        Raises:
            ServiceNowError: Try again.
        """
        try:
            self._rows = self._servicenow().read_records(TABLE, list(dict.fromkeys(sys_ids)), COLUMNS)
        except (NotConnected, AccessDenied, NotInstalled):
            self._refused = True

    def row(self, sys_id: str) -> Record | None:
        """A row that was read. None if its owner doesn't see one."""
        return self._rows.get(sys_id)

    def adopt(self, match: Match) -> bool:
        """
        Grant what *match* asks for if its owner has the permissions. Otherwise refuse it, unless the report is older
        than the row.

        Raises:
            MattermostError, ServiceNowError: Try again.
        """
        if self._adoption.refused(match):
            return False
        if self._refused:
            self.refusals[match] = "Its owner can't read the row in ServiceNow."
            return False
        row = self.row(match.sys_id)
        if row is None or not _same(row, match):
            # Reports can wait for days in ServiceNow while rows are changed and deleted.
            log.info("report is older than its subscription", subscription=match.sys_id, gone=row is None)
            return False
        grant, now = self._adoption.grants.get(match.sys_id), self._adoption.clock()
        if grant is not None and 0 <= now - grant.granted_at < _BEING_CHANGED:
            raise BeingChanged(f"subscription {match.sys_id} is being changed")
        if problem := self._problem(match, row):
            self.refusals[match] = problem
            return False
        self._adoption.store(
            Grant(
                sys_id=match.sys_id,
                owner_id=self._owner_id,
                channel_id=match.channel_id,
                table=match.table,
                record_id=match.record_id,
                filter_query=row.value("filter_query"),
                events=row.value("subscription_events"),
                options=row.value("options"),
                name=row.value("name"),
                granted_at=now,
                created_by=match.created_by,
                record_read=bool(match.record_id),
                version=grant.version + 1 if grant is not None else 1,
            )
        )
        return True

    def _problem(self, match: Match, row: Record) -> str:
        """Why the owner can't have what the row asks for, for administrators; "" if there is no reason."""
        if match.table not in self._adoption.tables:
            return "Its table may not be subscribed to here."
        try:
            if match.record_id and not self._sees(match):
                return "Its owner may not see its record, or records of that class are not shared here."
            if (query := row.value("filter_query")) and not self._may_filter(match.table, query):
                return "Its filter names something that its owner may not see, or that is not taken here."
        except (NotConnected, AccessDenied, NotInstalled):
            return "Its owner may not read its table in ServiceNow."
        return self._channel_problem(match.channel_id)

    def _sees(self, match: Match) -> bool:
        found = self._servicenow().read_records(match.table, [match.record_id], ("sys_class_name",))
        record = found.get(match.record_id)
        return record is not None and as_its_class(record).table in self._adoption.tables

    def _may_filter(self, table: str, query: str) -> bool:
        """Whether the owner can see what the filter names. The component evaluates it as the system."""
        servicenow = self._servicenow()
        if table not in self._columns:
            self._columns[table] = servicenow.visible_columns(table)
        try:
            servicenow.subscriptions("").encode(Filter(query=query), table, self._columns[table])
        except InvalidInput:
            return False
        return True

    def _channel_problem(self, channel_id: str) -> str:
        if channel_id not in self._channels:
            try:
                self._adoption.bot.may_post(self._owner_id, channel_id)
                self._channels[channel_id] = ""
            except MayNotPost as error:
                self._channels[channel_id] = f"Its owner may not post in its channel. {error.user_message}"
        return self._channels[channel_id]


def match_of(row: Record) -> Match:
    """The row as a report would contain it."""
    return Match(
        sys_id=row.sys_id,
        channel_id=row.value("channel_id"),
        user_id=row.value("user_id"),
        table=row.value("record_type"),
        record_id=row.value("record_id"),
        filter_digest=digest_filter(row.value("filter_query")),
        events=tokens(row.value("subscription_events")),
        options=tokens(row.value("options")),
        created_by=row.value("sys_created_by"),
        updated_by=row.value("sys_updated_by"),
        updated_on=row.value("sys_updated_on"),
    )


def _columns_of(match: Match) -> Match:
    """What a refusal depends on. Any save changes the time, and the events don't matter."""
    return replace(match, updated_on="", events=(), options=())


def _same(row: Record, match: Match) -> bool:
    """Whether the row is still what the report contains."""
    return _columns_of(match_of(row)) == _columns_of(match)
