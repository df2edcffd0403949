"""ServiceNow and the bot in memory, for the verification of owners' rows, with a list of calls."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from core.errors import AppError
from core.records import Cell, Column, Record
from core.subscriptions import TABLE
from core.times import Deadline
from servicenow.client import ServiceNowClient
from servicenow.subscriptions import SubscriptionsClient
from tests.unit.noticing import CHANNEL, OWNER, RECORD, SUBSCRIPTION


def row(sys_id: str = SUBSCRIPTION, **more: str) -> dict[str, str]:
    """A row of the subscriptions table that fits `noticing.MATCH`."""
    return {
        "sys_id": sys_id,
        "name": "Written there",
        "channel_id": CHANNEL,
        "user_id": OWNER,
        "record_type": "incident",
        "record_id": "",
        "filter_query": "",
        "subscription_events": "state,commented",
        "options": "hide_comment",
        "is_active": "true",
        "sys_created_by": "abel",
        "sys_updated_by": "abel",
        "sys_updated_on": "2036-01-01 00:00:00",
    } | more


@dataclass
class Asked:
    """
    Args:
        rows: By table and sys_id; what is not here can't be read.
        fails: What is raised instead of an answer, by table; ``bot`` by channel.
        columns: Of every table, that the owner may see.
    """

    rows: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    fails: dict[str, Exception] = field(default_factory=dict)
    bot: dict[str, AppError] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(
        default_factory=lambda: {name: Column(name, name) for name in ("active", "priority")}
    )
    reads: list[tuple[str, str, list[str]]] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    posts: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, *rows: dict[str, str]) -> None:
        """Add rows to the subscriptions table."""
        self.rows |= {(TABLE, one["sys_id"]): one for one in rows}

    def put_record(self, sys_class_name: str, read_as: str = "incident") -> None:
        """Add the reported record."""
        self.rows[read_as, RECORD] = {"sys_class_name": sys_class_name}

    def servicenow_for(self, person_id: str, deadline: Deadline) -> ServiceNowClient:
        """ServiceNow with a person's rights."""
        self.seconds.append(deadline.left())
        return cast("ServiceNowClient", _As(self, person_id))

    def may_post(self, person_id: str, channel_id: str) -> None:
        with self.lock:
            self.posts.append((person_id, channel_id))
        if channel_id in self.bot:
            raise self.bot[channel_id]


@dataclass
class _As:
    asked: Asked
    person_id: str

    def read_records(self, table: str, sys_ids: Sequence[str], columns: Sequence[str]) -> Mapping[str, Record]:
        with self.asked.lock:
            self.asked.reads.append((self.person_id, table, list(sys_ids)))
        if table in self.asked.fails:
            raise self.asked.fails[table]
        found = {sys_id: self.asked.rows.get((table, sys_id)) for sys_id in sys_ids}
        return {
            sys_id: Record(table, sys_id, {name: Cell(cells[name], "") for name in columns if name in cells})
            for sys_id, cells in found.items()
            if cells is not None
        }

    def visible_columns(self, table: str) -> Mapping[str, Column]:
        self.asked.looks.append(table)
        return self.asked.columns

    def subscriptions(self, server_url: str) -> SubscriptionsClient:
        """Only what needs no round trip."""
        return SubscriptionsClient(cast("Any", None), server_url)
