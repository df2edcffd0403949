"""Hints of update set v2.1: what is let in, and what little of it is believed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from core.errors import InvalidInput
from core.notices import Report, ReportedRecord
from core.outbox import Content, Queued
from core.storage_ports import Outbox, Stores
from notifications.health import Rejections
from notifications.legacy_webhook import PATH, LegacyWebhook, report_of_hint
from tests.unit.noticing import CHANNEL, GRANT, NOW, OWNER, RECORD, SUBSCRIPTION, Moment, opened

HINT = {
    "sys_id": SUBSCRIPTION,
    "record_id": RECORD,
    "record_type": "incident",
    "mm_channel_id": "d" * 26,
    "mm_user_id": "n" * 26,
}


@dataclass
class Switch:
    """`core.storage_ports.LegacyWebhookSecret`."""

    wanted: str = "a secret/of v2.1"

    def secret(self) -> str:
        return self.wanted


@dataclass
class Door:
    """Hints into a storage of its own; ``calls`` is how often somebody was to look at what is stored."""

    stores: Stores
    switch: Switch = field(default_factory=Switch)
    calls: list[None] = field(default_factory=list)
    rejections: Rejections = field(default_factory=lambda: Rejections(Moment()))
    outbox: Outbox | None = None  # instead of the storage's

    def send(self, body: Any, secret: str = "a secret/of v2.1") -> bool:
        """A request; *body* as bytes or as JSON."""
        old = LegacyWebhook(
            self.switch,
            self.rejections,
            outbox=self.outbox or self.stores.outbox,
            grants=self.stores.grants,
            clock=Moment(),
            stored=lambda: self.calls.append(None),
        )
        return old.receive(secret, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """No grants."""
    stores = opened(tmp_path, Moment())
    yield Door(stores)
    stores.close()


def test_the_address_is_that_of_the_plugin() -> None:
    """Update set v2.1 can send nowhere else."""
    assert PATH == "/plugins/mattermost-plugin-servicenow/api/v1/notification"


@pytest.mark.parametrize("secret", ["a secret/of v2.1", "a%20secret%2Fof%20v2.1"])
def test_a_hint_waits_for_the_person_whom_it_names(door: Door, secret: str) -> None:
    """No more of it is kept than where to look; its secret may be encoded once too often."""
    assert door.send(HINT | {"number": "INC1", "state": "a lie"}, secret) is True
    [row] = door.stores.outbox.waiting()
    assert (row.channel_id, row.held_for, row.table, row.record_id) == ("d" * 26, "n" * 26, "incident", RECORD)
    assert (row.stored_at, row.batch_id, len(row.event_id)) == (NOW, "", 32)
    assert row.key == f"{row.event_id}/{'d' * 26}/{'n' * 26}"
    assert door.stores.outbox.opened([row.key]) == {row.key: {"hint": HINT}}
    assert (len(door.calls), door.rejections.counts()) == (1, {})


def test_channel_owner_and_table_come_from_the_grant(door: Door) -> None:
    """What the hint says of them is not believed; of two hints neither is known before."""
    door.stores.grants.put(replace(GRANT, table="problem"))
    assert door.send(HINT) is True
    assert door.send(HINT) is True
    rows = door.stores.outbox.waiting()
    assert [(row.channel_id, row.held_for, row.table) for row in rows] == [(CHANNEL, OWNER, "problem")] * 2
    assert [row.key for row in rows] == [f"{row.event_id}/{CHANNEL}/{OWNER}" for row in rows]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("right", "wrong"),
        ("right", ""),
        ("right", "right "),
        ("right", "\ud800"),
        ("", ""),
        ("", "right"),
        ("a%20b", "a b"),
    ],
)
def test_nothing_is_let_in_with_another_secret_or_while_it_is_off(door: Door, wanted: str, given: str) -> None:
    """It is counted and not even read; "" is no secret."""
    door.switch.wanted = wanted
    assert door.send(b"{", given) is False
    assert door.send(HINT, given) is False
    assert (door.stores.outbox.waiting(), door.calls) == ([], [])
    assert door.rejections.counts() == {"legacy_webhook": 2}


SYS_ID, TABLE, MATTERMOST = "Not a sys_id.", "Not a table's name.", "Not an id of Mattermost."
WRONG: dict[str, tuple[str, Any, str]] = {
    "no subscription": ("sys_id", None, "Field may not be null."),
    "another subscription": ("sys_id", "5" * 31 + "G", SYS_ID),
    "a path for a record": ("record_id", "../" * 10 + "ab", SYS_ID),
    "a record and more": ("record_id", RECORD + "\n", SYS_ID),
    "a query for a table": ("record_type", "incident;drop", TABLE),
    "a long table": ("record_type", "i" * 81, TABLE),
    "a path for a channel": ("mm_channel_id", "../" * 8 + "aa", MATTERMOST),
    "a short person": ("mm_user_id", "n" * 25, MATTERMOST),
    "a number for a person": ("mm_user_id", 5, "Not a valid string."),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_hint_of_another_shape_is_malformed(door: Door, how: str) -> None:
    """Each key is needed and has its form; the answer names the key and never the value."""
    key, value, said = WRONG[how]
    without = {name: known for name, known in HINT.items() if name != key}
    for body, words in ((HINT | {key: value}, said), (without, "Missing data for required field.")):
        with pytest.raises(InvalidInput) as caught:
            door.send(body)
        assert caught.value.fields == {key: str([words])}
    assert (door.stores.outbox.waiting(), door.calls) == ([], [])
    assert door.rejections.counts() == {"malformed": 2}


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_malformed(door: Door, raw: bytes) -> None:
    """And says so."""
    with pytest.raises(InvalidInput) as caught:
        door.send(raw)
    assert caught.value.fields == {"": "Not JSON."}


def test_a_hint_says_no_more_than_that_its_record_may_have_changed() -> None:
    """Of the granted table; for a subscription to one record only of that one, and never where there is a filter."""
    record = ReportedRecord(table="incident", sys_id=RECORD, number="")
    whole = Report(event_id="", occurred_at=0.0, component="", server_url="", record=record)
    assert report_of_hint(GRANT, HINT) == whole
    assert report_of_hint(replace(GRANT, record_id=RECORD), HINT) == whole
    assert report_of_hint(replace(GRANT, record_id="f" * 32), HINT) is None
    assert report_of_hint(replace(GRANT, filter_query="active=true"), HINT) is None
    assert report_of_hint(replace(GRANT, filter_query="active=true", record_id=RECORD), HINT) is None
    assert report_of_hint(None, HINT) is None


@dataclass
class CrowdedOutbox:
    """An outbox in which *rows* wait already."""

    rows: list[Queued]

    def waiting(self) -> Sequence[Queued]:
        """As the port says."""
        return self.rows

    def add(self, _event_id: str, rows: Sequence[tuple[Queued, Content]]) -> bool:
        """As the port says."""
        self.rows += [row for row, _ in rows]
        return True


def held(owner_id: str) -> Queued:
    """A row that waits for the check of this owner's permissions; "" for a row that waits to be posted."""
    return Queued(
        key="k",
        event_id="e",
        channel_id=CHANNEL,
        table="incident",
        record_id=RECORD,
        stored_at=NOW,
        held_for=owner_id,
    )


CROWDS: dict[str, list[Queued]] = {
    "of one owner": [held(HINT["mm_user_id"])] * 498 + [held("other")] * 1000,
    "of all owners": [held(f"owner {number // 400}") for number in range(4998)],
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_only_so_many_hints_wait_for_their_owners_permissions(door: Door, crowd: str) -> None:
    """500 for one owner, and 5,000 in all. Signed reports that wait to be posted don't count."""
    outbox = CrowdedOutbox([*CROWDS[crowd], *[held("")] * 6000])
    door.outbox = cast("Outbox", outbox)
    before = len(outbox.rows)
    assert [door.send(HINT) for _ in range(4)] == [True, True, False, False]
    assert (len(outbox.rows) - before, len(door.calls)) == (2, 2)
    assert door.rejections.counts() == {"too_many": 2}
