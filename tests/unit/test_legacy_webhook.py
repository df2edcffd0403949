"""Hints of update set v2.1: what is accepted, and how little of it is trusted."""

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
from notifications.legacy_webhook import PATH, LegacyWebhook, report_of_legacy
from tests.unit.noticing import CHANNEL, GRANT, NOW, OWNER, RECORD, SUBSCRIPTION, ManualClock, open_stores

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
class Setup:
    """Hints into a storage of its own; ``calls`` counts how often the worker was woken."""

    stores: Stores
    switch: Switch = field(default_factory=Switch)
    calls: list[None] = field(default_factory=list)
    rejections: Rejections = field(default_factory=lambda: Rejections(ManualClock()))
    outbox: Outbox | None = None  # instead of the storage's

    def send(self, body: Any, secret: str = "a secret/of v2.1") -> bool:
        """Send a request; *body* as bytes or as JSON."""
        old = LegacyWebhook(
            self.switch,
            self.rejections,
            outbox=self.outbox or self.stores.outbox,
            grants=self.stores.grants,
            clock=ManualClock(),
            stored=lambda: self.calls.append(None),
        )
        return old.receive(secret, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    """There are no grants."""
    stores = open_stores(tmp_path, ManualClock())
    yield Setup(stores)
    stores.close()


def test_the_address_is_the_plugins() -> None:
    """Update set v2.1 can't send anywhere else."""
    assert PATH == "/plugins/mattermost-plugin-servicenow/api/v1/notification"


@pytest.mark.parametrize("secret", ["a secret/of v2.1", "a%20secret%2Fof%20v2.1"])
def test_a_hint_waits_for_the_person_it_names(setup: Setup, secret: str) -> None:
    """Only where to look is stored; its secret can be encoded twice."""
    assert setup.send(HINT | {"number": "INC1", "state": "a lie"}, secret) is True
    [row] = setup.stores.outbox.waiting()
    assert (row.channel_id, row.held_for, row.table, row.record_id) == ("d" * 26, "n" * 26, "incident", RECORD)
    assert (row.stored_at, row.batch_id, len(row.event_id)) == (NOW, "", 32)
    assert row.key == f"{row.event_id}/{'d' * 26}/{'n' * 26}"
    assert setup.stores.outbox.opened([row.key]) == {row.key: {"hint": HINT}}
    assert (len(setup.calls), setup.rejections.counts()) == (1, {})


def test_channel_owner_and_table_come_from_the_grant(setup: Setup) -> None:
    """The hint's own values are ignored; two hints about the same change are separate."""
    setup.stores.grants.put(replace(GRANT, table="problem"))
    assert setup.send(HINT) is True
    assert setup.send(HINT) is True
    rows = setup.stores.outbox.waiting()
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
def test_nothing_is_accepted_with_another_secret_or_while_off(setup: Setup, wanted: str, given: str) -> None:
    """It is counted and not even parsed; "" isn't a secret."""
    setup.switch.wanted = wanted
    assert setup.send(b"{", given) is False
    assert setup.send(HINT, given) is False
    assert (setup.stores.outbox.waiting(), setup.calls) == ([], [])
    assert setup.rejections.counts() == {"legacy_webhook": 2}


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
def test_a_hint_with_missing_or_invalid_keys_is_malformed(setup: Setup, how: str) -> None:
    """The answer names the key and never the value."""
    key, value, said = WRONG[how]
    without = {name: known for name, known in HINT.items() if name != key}
    for body, words in ((HINT | {key: value}, said), (without, "Missing data for required field.")):
        with pytest.raises(InvalidInput) as caught:
            setup.send(body)
        assert caught.value.fields == {key: str([words])}
    assert (setup.stores.outbox.waiting(), setup.calls) == ([], [])
    assert setup.rejections.counts() == {"malformed": 2}


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_isnt_json_is_malformed(setup: Setup, raw: bytes) -> None:
    """The answer says so."""
    with pytest.raises(InvalidInput) as caught:
        setup.send(raw)
    assert caught.value.fields == {"": "Not JSON."}


def test_a_hint_only_says_that_its_record_may_have_changed() -> None:
    """For the granted table; a subscription to one record accepts only that record, and one with a filter nothing."""
    record = ReportedRecord(table="incident", sys_id=RECORD, number="")
    whole = Report(event_id="", occurred_at=0.0, component="", server_url="", record=record)
    assert report_of_legacy(GRANT, HINT) == whole
    assert report_of_legacy(replace(GRANT, record_id=RECORD), HINT) == whole
    assert report_of_legacy(replace(GRANT, record_id="f" * 32), HINT) is None
    assert report_of_legacy(replace(GRANT, filter_query="active=true"), HINT) is None
    assert report_of_legacy(replace(GRANT, filter_query="active=true", record_id=RECORD), HINT) is None
    assert report_of_legacy(None, HINT) is None


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
def test_only_so_many_hints_wait_for_their_owners_permissions(setup: Setup, crowd: str) -> None:
    """500 for one owner, and 5,000 in all. Signed reports that wait to be posted don't count."""
    outbox = CrowdedOutbox([*CROWDS[crowd], *[held("")] * 6000])
    setup.outbox = cast("Outbox", outbox)
    before = len(outbox.rows)
    assert [setup.send(HINT) for _ in range(4)] == [True, True, False, False]
    assert (len(outbox.rows) - before, len(setup.calls)) == (2, 2)
    assert setup.rejections.counts() == {"too_many": 2}
