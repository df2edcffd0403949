"""Which subscriptions get a batch at the time of its delivery, with whose rights it is read, and what is posted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from core.errors import ChannelClosed, MayNotPost, NotConnected, StorageFailed
from core.notices import Change, Comment, Match, ReportedRecord
from core.outbox import THREAD_LIFE, Batch, Content, Found, Posted, Queued, Thread
from core.records import Cell, Record
from core.storage_ports import Stores
from core.subscriptions import Grant, Status
from core.times import Deadline
from core.upstream_errors import MattermostRefused, MattermostSilent, Unreachable
from notifications.delivery import Delivery
from notifications.notice import Notice
from notifications.schema import packed
from servicenow.client import ServiceNowClient
from tests.unit.noticing import (
    ACCOUNT,
    CHANNEL,
    GRANT,
    MATCH,
    NOW,
    OWNER,
    RECORD,
    REPORT,
    SUBSCRIPTION,
    ManualClock,
    open_stores,
)

OTHER = "b" * 26
BATCH = Batch(batch_id="batch", channel_id=CHANNEL, table="incident", record_id=RECORD, claimed_at=NOW)
THREAD = Thread(
    channel_id=CHANNEL, table="incident", record_id=RECORD, root_id="root", root_at=NOW, last_at=NOW, mod_count=3
)
STATE, SALARY = Change("state", "State", "New", "Open"), Change("u_salary", "Salary", "1", "2")


@dataclass
class Collaborators:
    """Broken subscriptions, bot, publisher, earlier posts and ServiceNow, as far as delivery uses them."""

    records: dict[str, Record | Exception] = field(default_factory=dict)  # by owner
    sees: bool = True
    bot: dict[str, Exception] = field(default_factory=dict)  # by owner
    earlier: Mapping[str, Posted] | Exception = field(default_factory=dict)
    publisher: Thread | Exception | None = THREAD
    reads: list[str] = field(default_factory=list)
    said: list[tuple[str, ...]] = field(default_factory=list)

    def may_post(self, person_id: str, channel_id: str) -> None:
        """Like the bot's."""
        assert channel_id == CHANNEL
        if person_id in self.bot:
            raise self.bot[person_id]

    def mark(self, grants: Sequence[Grant], reason: str) -> None:
        """Like `BrokenSubscriptions`."""
        self.said += [("broken", one.sys_id, reason) for one in grants]

    def mark_channel(self, channel_id: str, reason: str) -> None:
        """Like `BrokenSubscriptions`."""
        self.said.append(("closed", channel_id, reason))

    def ask_to_connect(self, grant: Grant) -> None:
        """Like `BrokenSubscriptions`."""
        self.said.append(("not connected", grant.sys_id))

    def found(self, row: Queued) -> Mapping[str, Posted]:
        """What an earlier process posted."""
        if isinstance(self.earlier, Exception):
            raise self.earlier
        return self.earlier

    def post(self, notice: Notice) -> Thread | None:
        """Like the publisher's."""
        if isinstance(self.publisher, Exception):
            raise self.publisher
        return self.publisher

    def servicenow_for(self, person_id: str, deadline: Deadline) -> ServiceNowClient:
        """ServiceNow with a person's rights."""
        return cast("ServiceNowClient", _As(self, person_id))


@dataclass
class _As:
    around: Collaborators
    person_id: str

    def read_records(self, table: str, sys_ids: Sequence[str], columns: Sequence[str]) -> Mapping[str, Record]:
        self.around.reads.append(self.person_id)
        found = self.around.records.get(self.person_id)
        if isinstance(found, Exception):
            raise found
        return {} if found is None else {sys_id: found for sys_id in sys_ids if sys_id == found.sys_id}

    def sees_any(self, table: str) -> bool:
        return self.around.sees


def seen(*columns: str, count: str = "4") -> Record:
    """The record as a person sees it."""
    cells = {name: Cell(name) for name in columns}
    return Record("incident", RECORD, {"sys_class_name": Cell("incident"), "sys_mod_count": Cell(count), **cells})


@dataclass
class Setup:
    """Delivery on its own storage."""

    stores: Stores
    moment: ManualClock
    around: Collaborators = field(default_factory=Collaborators)

    def __post_init__(self) -> None:
        around: Any = self.around
        self.delivery = Delivery(
            grants=self.stores.grants,
            accounts=self.stores.accounts,
            threads=self.stores.threads,
            cards=self.stores.cards,
            bot=around,
            broken_subscriptions=around,
            publisher=around,
            posted_lookup=around,
            servicenow_for=self.around.servicenow_for,
            tables=("incident", "kb_knowledge"),
            clock=self.moment,
        )

    def grant(self, number: int, **more: Any) -> Grant:
        """A stored grant."""
        made = replace(GRANT, **({"sys_id": f"{number:032x}"} | more))
        self.stores.grants.put(made)
        return made

    def prepare(self, *contents: Content | None, found: Found | None = None, batch: Batch = BATCH) -> Notice:
        """A batch of rows, by the event ids e0, e1 …."""
        [notice] = self.delivery.prepare([(batch, rows(*contents))], {} if found is None else {batch.batch_id: found})
        return notice

    def is_empty(self, *contents: Content | None) -> bool:
        """Whether a batch has nothing to post and nothing to wait for."""
        notice = self.prepare(*contents)
        return not notice.rows and not notice.retry_reason


def rows(*contents: Content | None) -> list[tuple[Queued, Content | None]]:
    """Rows of a batch."""
    return [
        (
            Queued(
                key=f"e{number}/{CHANNEL}",
                event_id=f"e{number}",
                channel_id=CHANNEL,
                table="incident",
                record_id=RECORD,
                stored_at=NOW,
            ),
            content,
        )
        for number, content in enumerate(contents)
    ]


def content(*grants: Grant, claimed: Sequence[Match] = (), **more: Any) -> dict[str, Any]:
    """What a row shows to these owners."""
    report = replace(REPORT, matches=[*claimed], **more)
    made: dict[str, Any] = {"report": packed(report), "granted": [one.sys_id for one in grants]}
    return made | ({"claimed": [one.sys_id for one in claimed]} if claimed else {})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Setup]:
    """The owner is connected, has one grant and sees the record."""
    moment = ManualClock()
    stores = open_stores(tmp_path, moment)
    stores.accounts.put(ACCOUNT)
    stores.grants.put(GRANT)
    made = Setup(stores, moment)
    made.around.records[OWNER] = seen("state")
    yield made
    stores.close()


def test_a_row_is_read_as_its_owner(desk: Setup) -> None:
    """Only the changed columns that the owner can see are read."""
    notice = desk.prepare(content(GRANT, changes=[STATE, SALARY]))
    [row] = notice.rows
    [view] = row.views
    assert (row.event_id, row.hint, row.bare, view.grants, view.record) == ("e0", False, False, [GRANT], seen("state"))
    assert list(view.changes) == [STATE]
    assert (notice.retry_reason, notice.posted_events, notice.posted, notice.post_count) == ("", set(), None, 0)
    assert (desk.around.reads, desk.around.said) == ([OWNER], [])


@pytest.mark.parametrize("more", [{"status": Status.PAUSED.value}, {"status": "broken"}, {"channel_id": "d" * 26}])
def test_a_grant_must_be_current(desk: Setup, more: dict[str, Any]) -> None:
    """Paused, broken, moved to another channel since the report arrived, or deleted, it gets nothing."""
    desk.stores.grants.put(replace(GRANT, **more))
    assert desk.is_empty(content(GRANT))
    desk.stores.grants.delete(SUBSCRIPTION)
    assert desk.is_empty(content(GRANT))
    assert (desk.around.reads, desk.around.said) == ([], [])


def test_an_unverified_row_counts_only_if_granted_as_it_is(desk: Setup) -> None:
    """Not if its grant differs, not without one, and not for what wasn't claimed."""
    second = desk.grant(2)
    match = replace(MATCH, sys_id=second.sys_id)
    assert [row.grants for row in desk.prepare(content(claimed=[match])).rows] == [[second]]
    desk.grant(2, created_by="")  # of an older version: its owner's account shows who created the row
    assert [row.event_id for row in desk.prepare(content(claimed=[match])).rows] == ["e0"]
    assert desk.is_empty(content(claimed=[replace(match, filter_digest="0" * 64)]))
    assert desk.is_empty(content(claimed=[replace(match, sys_id="9" * 32)]))
    assert desk.is_empty(content(claimed=[replace(match, created_by="mallory")]))
    unclaimed = content(claimed=[match]) | {"claimed": []}
    assert desk.is_empty(unclaimed)


def test_a_class_that_is_no_longer_shared_isnt_posted(desk: Setup) -> None:
    """It was shared when the report arrived; the rest of the batch is posted."""
    secret = ReportedRecord(table="sn_hr_core_case", sys_id=RECORD, number="")
    notice = desk.prepare(content(GRANT, record=secret), content(GRANT))
    assert [row.event_id for row in notice.rows] == ["e1"]


def test_a_row_that_cant_be_opened_waits(desk: Setup) -> None:
    """It says why; the readable rows aren't posted without it."""
    notice = desk.prepare(None, content(GRANT))
    assert notice.retry_reason == "what is stored can't be opened: was a key taken out of APP_SECRET?"
    assert desk.around.reads == []


def test_changes_are_posted_in_the_order_of_their_counts(desk: Setup) -> None:
    """However they arrived."""
    assert REPORT.record is not None
    counted = [content(GRANT, record=replace(REPORT.record, sys_mod_count=count)) for count in (5, 0, 3)]
    assert [row.event_id for row in desk.prepare(*counted).rows] == ["e1", "e2", "e0"]


def test_an_event_in_several_rows_is_posted_once(desk: Setup) -> None:
    """Its owners were asked separately; each subscription counts once."""
    second = desk.grant(2)
    both = rows(content(GRANT), content(second, GRANT))
    same = [(replace(queued, event_id="e"), carried) for queued, carried in both]
    [notice] = desk.delivery.prepare([(BATCH, same)], {})
    assert [row.grants for row in notice.rows] == [[GRANT, second]]


def test_an_owner_who_cant_post_is_left_out_and_told(desk: Setup) -> None:
    """The other subscriptions continue; an archived channel ends the whole batch."""
    second = desk.grant(2, owner_id=OTHER)
    desk.around.records[OTHER] = seen("state")
    desk.around.bot[OWNER] = MayNotPost("left")
    notice = desk.prepare(content(GRANT, second))
    assert [row.grants for row in notice.rows] == [[second]]
    assert desk.around.said == [("broken", SUBSCRIPTION, MayNotPost.user_message)]
    desk.around.said.clear()
    desk.around.bot[OWNER] = ChannelClosed("archived", "It is archived.")
    assert desk.is_empty(content(GRANT, second))
    assert desk.around.said == [("closed", CHANNEL, "It is archived.")]
    assert desk.around.reads == [OTHER]


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (MattermostSilent("down"), ["down", "down"]),
        (MattermostSilent("busy", 503), ["busy", ""]),
        (MattermostRefused("no", 400), ["no", ""]),
    ],
)
def test_an_outage_for_everyone_is_noticed_once(desk: Setup, error: Exception, waits: list[str]) -> None:
    """The other batches wait too, and nobody is read for; another failure affects only its batch."""
    desk.grant(2, owner_id=OTHER)
    desk.around.records[OTHER] = seen("state")
    desk.around.bot[OWNER] = error
    second = desk.stores.grants.get(f"{2:032x}")
    assert second is not None
    notices = desk.delivery.prepare(
        [(BATCH, rows(content(GRANT))), (replace(BATCH, batch_id="b2"), rows(content(second)))], {}
    )
    assert [notice.retry_reason for notice in notices] == waits
    assert desk.around.reads == [OTHER][: waits.count("")]
    assert desk.around.said == []


def test_an_earlier_attempts_posts_are_found(desk: Setup) -> None:
    """By the batch's own mark."""
    found = Found(Posted("p1", "root"), frozenset({"e0.1"}), 2, False)
    notice = desk.prepare(content(GRANT), found=found)
    assert (notice.posted, notice.post_count, notice.posted_events) == (Posted("p1", "root"), 2, {"e0.1"})


def test_an_earlier_processs_posts_of_these_events_are_found(desk: Setup) -> None:
    """A backup was restored: parts of an event count, other events don't; an earlier attempt's own post comes first."""
    desk.around.earlier = {"e0.1": Posted("p2"), "e9": Posted("p9")}
    notice = desk.prepare(content(GRANT))
    assert (notice.posted, notice.posted_events) == (Posted("p2"), {"e0.1"})
    found = Found(Posted("p1"), frozenset({"e0"}), 1, False)
    notice = desk.prepare(content(GRANT), found=found)
    assert (notice.posted, notice.posted_events) == (Posted("p1"), {"e0", "e0.1"})
    desk.around.earlier = {"e9": Posted("p9")}
    assert desk.prepare(content(GRANT)).posted is None
    desk.around.earlier = MattermostSilent("down")
    assert desk.prepare(content(GRANT)).retry_reason == "down"


def test_as_many_owners_as_needed_are_read_for(desk: Setup) -> None:
    """An owner who asks for nothing more is left out; each owner once, with all subscriptions that the post is for."""
    mine, same = desk.grant(2, events="priority"), desk.grant(3, owner_id=OTHER)
    comments = desk.grant(4, owner_id="n" * 26, events="commented")
    for person in (OTHER, "n" * 26):
        desk.around.records[person] = seen("comments")
    events, written = ("state", "priority", "commented"), [Comment("comments", "x")]
    [row] = desk.prepare(content(GRANT, mine, same, comments, events=events, comments=written)).rows
    assert [view.grants for view in row.views] == [[GRANT, mine], [comments]]
    assert sorted(desk.around.reads) == ["n" * 26, OWNER]
    # The first can't see it: the next who asks for the same is read for.
    del desk.around.records[OWNER]
    [row] = desk.prepare(content(GRANT, same)).rows
    assert [view.grants for view in row.views] == [[same]]


def test_the_records_of_several_batches_are_read_in_one_request(desk: Setup) -> None:
    """Of one owner and table."""
    assert REPORT.record is not None
    other = content(GRANT, record=replace(REPORT.record, sys_id="f" * 32))
    second = replace(BATCH, batch_id="b2", record_id="f" * 32)
    notices = desk.delivery.prepare([(BATCH, rows(content(GRANT))), (second, rows(other))], {})
    assert ([len(notice.rows) for notice in notices], desk.around.reads) == ([1, 0], [OWNER])


def test_an_owner_who_cant_see_the_record_gets_nothing(desk: Setup) -> None:
    """A subscription to the table continues; an owner who sees nothing of it, or not the one record, is told."""
    del desk.around.records[OWNER]
    assert desk.is_empty(content(GRANT))
    assert desk.around.said == []
    desk.around.sees = False
    assert desk.is_empty(content(GRANT))
    assert desk.around.said == [
        ("broken", SUBSCRIPTION, "ServiceNow shows its owner no record of this table any more.")
    ]


def test_an_unavailable_servicenow_makes_the_batch_wait(desk: Setup) -> None:
    """For as long as it asks."""
    down = Unreachable("down")
    down.retry_after = 7.0
    desk.around.records[OWNER] = down
    notice = desk.prepare(content(GRANT))
    assert (notice.retry_reason, notice.retry_after, desk.around.said) == ("down", 7.0, [])


UNREAD = NotConnected("no account", "https://app.example")


def test_without_a_connection_a_change_of_a_record_known_to_the_channel_is_posted(desk: Setup) -> None:
    """Known by a thread of the last thirty days or a shared card; its owner is asked to connect."""
    desk.around.records[OWNER] = UNREAD
    assert desk.is_empty(content(GRANT))
    assert desk.around.said == [("not connected", SUBSCRIPTION)]
    for age, rows_left in ((0.0, 1), (THREAD_LIFE - 1, 1), (THREAD_LIFE, 0)):
        desk.stores.threads.put([replace(THREAD, root_at=NOW - age)])
        left = desk.prepare(content(GRANT)).rows
        assert [(row.bare, row.views) for row in left] == [(True, [])] * rows_left
    desk.stores.cards.add(CHANNEL, RECORD, "post")
    assert len(desk.prepare(content(GRANT)).rows) == 1


def test_without_a_connection_a_change_of_a_record_its_owner_could_read_is_posted(desk: Setup) -> None:
    """It was subscribed to alone; whichever of several subscriptions that is."""
    desk.around.records |= {OWNER: UNREAD, OTHER: UNREAD}
    single = desk.grant(2, owner_id=OTHER, record_id=RECORD, record_read=True, events="priority")
    for grants in ([single, GRANT], [GRANT, single]):
        [row] = desk.prepare(content(*grants, events=("state", "priority"))).rows
        assert row.bare is True
    unread = desk.grant(3, record_id=RECORD)
    assert desk.is_empty(content(unread))


def hint(**more: str) -> Content:
    """A hint of v2.1."""
    return {"hint": {"sys_id": SUBSCRIPTION, "record_id": RECORD} | more}


def test_a_hint_is_news_if_its_record_is_newer_than_the_last_post(desk: Setup) -> None:
    """And never without a connection, because it proves no change."""
    [row] = desk.prepare(hint()).rows
    assert (row.hint, row.grants, row.views[0].record) == (True, [GRANT], seen("state"))
    for count, news in (("3", 0), ("4", 1)):
        desk.stores.threads.put([THREAD])
        desk.around.records[OWNER] = seen("state", count=count)
        assert len(desk.prepare(hint()).rows) == news
    # A signed report needs no higher count.
    desk.around.records[OWNER] = seen("state", count="3")
    assert len(desk.prepare(content(GRANT)).rows) == 1
    desk.around.records[OWNER] = UNREAD
    assert desk.is_empty(hint())
    desk.stores.grants.put(replace(GRANT, filter_query="active=true"))
    assert desk.is_empty(hint())


def test_a_posted_event_is_posted_again_only_for_the_missing_parts(desk: Setup) -> None:
    """For an hour: a subscription whose owner was still being asked gets what the others didn't ask for."""
    second, comments = desk.grant(2), desk.grant(3, events="commented")
    both: dict[str, Any] = {"events": ("state", "commented")}
    assert desk.delivery.post(desk.prepare(content(GRANT, **both))) == THREAD
    assert desk.is_empty(content(second, **both))
    [row] = desk.prepare(content(second, comments, **both)).rows
    assert row.grants == [comments]
    desk.moment.now += 3599.5
    assert desk.is_empty(content(second, **both))
    desk.moment.now += 0.5
    assert len(desk.prepare(content(second, **both)).rows) == 1


def test_an_empty_notice_isnt_posted(desk: Setup) -> None:
    """A channel archived in the meantime is reported; the worker handles other failures."""
    desk.around.publisher = RuntimeError("must not be called")
    assert desk.delivery.post(Notice(BATCH)) is None
    notice = desk.prepare(content(GRANT))
    desk.around.publisher = ChannelClosed("archived", "It is archived.")
    assert desk.delivery.post(notice) is None
    assert desk.around.said == [("closed", CHANNEL, "It is archived.")]
    assert len(desk.prepare(content(GRANT)).rows) == 1
    desk.around.publisher = MattermostSilent("down")
    with pytest.raises(MattermostSilent):
        desk.delivery.post(notice)


def test_an_error_in_one_batch_delays_no_other(desk: Setup) -> None:
    """It is retried; a disk that fails affects all batches."""
    broken: Content = {"report": {}}
    notices = desk.delivery.prepare([(BATCH, rows(broken)), (replace(BATCH, batch_id="b2"), rows(content(GRANT)))], {})
    assert [(notice.retry_reason, len(notice.rows)) for notice in notices] == [
        ("could not be prepared: KeyError", 0),
        ("", 1),
    ]
    desk.around.earlier = StorageFailed("full")
    with pytest.raises(StorageFailed):
        desk.prepare(content(GRANT))
