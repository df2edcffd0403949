"""How a batch becomes posts: with a card or as a reply, how many, and what is stored about the channel's thread."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from core.notices import Actor, Comment
from core.outbox import THREAD_LIFE, Batch, Card, Found, Mark, Posted, Thread
from core.records import Cell, Identity, Record
from core.storage_ports import Stores
from core.subscriptions import Grant
from core.upstream_errors import MattermostRefused, RootPostDeleted
from notifications.notice import Notice, NoticeRow, OwnerView
from notifications.publisher import Publisher, may_be_named
from tests.unit.noticing import ACCOUNT, CHANNEL, GRANT, NOW, RECORD, REPORT, ManualClock, open_stores

BATCH = Batch(batch_id="batch", channel_id=CHANNEL, table="incident", record_id=RECORD, claimed_at=NOW - 5)
CARD = Card({"title": "t"}, {"sys_id": RECORD})
ROOT = "root"


@dataclass
class Bot:
    """What was posted and shown; ``gone`` has deleted roots."""

    posts: list[tuple[str, str, Card | None, str, Mark]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    looked: list[tuple[str, str, float]] = field(default_factory=list)
    left: Found | None = None

    def post(self, channel_id: str, message: str, *, card: Card | None, root_id: str, mark: Mark) -> str:
        if root_id in self.gone:
            raise RootPostDeleted("gone", 400)
        self.posts.append((channel_id, message, card, root_id, mark))
        return f"post-{len(self.posts)}"

    def show(self, post_id: str, card: Card) -> None:
        assert card is CARD
        if post_id in self.stuck:
            raise MattermostRefused("no", 403)
        self.shown.append(post_id)

    def find(self, channel_id: str, batch_id: str, since: float) -> Found | None:
        self.looked.append((channel_id, batch_id, since))
        return self.left

    def username(self, person_id: str) -> str:
        return f"name-{person_id}"


@dataclass
class Setup:
    """The publisher on its own storage."""

    stores: Stores
    moment: ManualClock
    bot: Bot = field(default_factory=Bot)
    drawn: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publisher = Publisher(
            accounts=self.stores.accounts,
            threads=self.stores.threads,
            cards=self.stores.cards,
            bot=cast("Any", self.bot),
            draw=self.draw,
            link=lambda table, sys_id, number: f"[{number}]({table}/{sys_id})",
            work_notes=True,
            clock=self.moment,
        )

    def draw(self, record: Record, channel_id: str) -> Card:
        """A card."""
        self.drawn.append((record.sys_id, channel_id))
        return CARD

    def known(self, **more: Any) -> Thread:
        """Store a thread of the record in the channel."""
        made = Thread(
            channel_id=CHANNEL,
            table="incident",
            record_id=RECORD,
            root_id=ROOT,
            root_at=NOW - 100,
            last_at=NOW - 50,
            mod_count=3,
        )
        made = replace(made, **more)
        self.stores.threads.put([made])
        return made

    def roots(self) -> list[str]:
        """What each post replies to."""
        return [root_id for _, _, _, root_id, _ in self.bot.posts]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Setup]:
    """The channel doesn't know the record."""
    moment = ManualClock()
    stores = open_stores(tmp_path, moment)
    yield Setup(stores, moment)
    stores.close()


def row(event_id: str = "e1", grant: Grant = GRANT, count: str = "4", cells: Any = None, **more: Any) -> NoticeRow:
    """A row that the owner can see."""
    record = Record("incident", RECORD, {"sys_mod_count": Cell(count), "comments": Cell("x"), **(cells or {})})
    report = replace(REPORT, **({"actor": Actor("d" * 32, "aiko", "Aiko")} | more))
    return NoticeRow(report, [grant], event_id, views=[OwnerView([grant], record)])


def notice(*rows: NoticeRow, **more: Any) -> Notice:
    """A batch of rows."""
    return replace(Notice(BATCH), rows=list(rows), **more)


LOUD = replace(GRANT, options="in_channel")
NEW = Thread(
    channel_id=CHANNEL, table="incident", record_id=RECORD, root_id="post-1", root_at=NOW, last_at=NOW, mod_count=4
)


def test_the_first_post_of_a_record_has_its_card(desk: Setup) -> None:
    """Later ones reply to it."""
    assert desk.publisher.post(notice(row())) == NEW
    assert desk.bot.posts == [(CHANNEL, "**State changed** by Aiko", CARD, "", Mark("batch", ("e1",)))]
    assert (desk.drawn, desk.bot.shown) == ([(RECORD, CHANNEL)], [])


def test_a_later_post_replies_and_updates_an_older_card(desk: Setup) -> None:
    """And every card that people shared; it is rendered once."""
    known = desk.known()
    desk.stores.cards.add(CHANNEL, RECORD, "shared")
    assert desk.publisher.post(notice(row())) == replace(known, last_at=NOW, mod_count=4)
    assert desk.bot.posts == [(CHANNEL, "**State changed** by Aiko", None, ROOT, Mark("batch", ("e1",)))]
    assert (desk.bot.shown, len(desk.drawn)) == ([ROOT, "shared"], 1)


def test_a_current_card_is_left_alone(desk: Setup) -> None:
    """It isn't even rendered; one that can't be updated keeps its content."""
    known = desk.known(mod_count=4)
    assert desk.publisher.post(notice(row())) == replace(known, last_at=NOW)
    assert (desk.bot.shown, desk.drawn) == ([], [])
    known = desk.known()
    desk.bot.stuck = {ROOT}
    assert desk.publisher.post(notice(row())) == replace(known, last_at=NOW)


def test_a_thread_ends_after_thirty_days(desk: Setup) -> None:
    """Exact to the second."""
    desk.known(root_at=NOW - THREAD_LIFE + 1)
    desk.publisher.post(notice(row()))
    desk.known(root_at=NOW - THREAD_LIFE)
    assert desk.publisher.post(notice(row())) == replace(NEW, root_id="post-2")
    assert desk.roots() == [ROOT, ""]
    assert desk.bot.shown == [ROOT]
    assert desk.publisher.thread_of(BATCH, Posted("p2")) == replace(NEW, root_id="p2", mod_count=0)


def test_a_post_in_the_channel_itself_has_a_card_and_keeps_the_thread(desk: Setup) -> None:
    """The next replies go to the older root."""
    known = desk.known()
    assert desk.publisher.post(notice(row(grant=LOUD))) == replace(known, last_at=NOW, mod_count=4)
    assert [(card, root_id) for _, _, card, root_id, _ in desk.bot.posts] == [(CARD, "")]
    assert desk.bot.shown == [ROOT]


def test_a_deleted_root_is_replaced(desk: Setup) -> None:
    """By a new post with the card; later ones reply to that."""
    desk.known()
    desk.bot.gone = {ROOT}
    assert desk.publisher.post(notice(row())) == NEW
    assert [(card, root_id) for _, _, card, root_id, _ in desk.bot.posts] == [(CARD, "")]


LONG = [Comment("comments", letter * 9000) for letter in "xyz"]
WRITES = replace(GRANT, events="commented")


def long(**more: Any) -> NoticeRow:
    """A row that needs two posts."""
    return row(grant=WRITES, events=("commented",), comments=LONG, **more)


def test_a_long_notice_continues_under_its_first_post(desk: Setup) -> None:
    """Posts are numbered; each except the last says that more follows."""
    desk.publisher.post(notice(long()))
    marks = [mark for *_, mark in desk.bot.posts]
    assert len(marks) == 3
    assert [mark.part for mark in marks] == list(range(len(marks)))
    assert [mark.more for mark in marks] == [True] * (len(marks) - 1) + [False]
    assert {mark.batch_id for mark in marks} == {"batch"}
    assert desk.roots() == ["", *["post-1"] * (len(marks) - 1)]
    assert [card for _, _, card, _, _ in desk.bot.posts] == [CARD, *[None] * (len(marks) - 1)]
    told = [event for mark in marks for event in mark.events]
    assert (told[-1], len(set(told))) == ("e1", len(told))


def test_the_first_of_two_posts_says_that_more_follows(desk: Setup) -> None:
    """So if the process dies between them, the next one continues."""
    desk.publisher.post(notice(row(grant=WRITES, events=("commented",), comments=LONG[:2])))
    assert [mark.more for *_, mark in desk.bot.posts] == [True, False]


def test_a_batch_shows_the_last_readable_row(desk: Setup) -> None:
    """If another of its rows can't be read."""
    assert desk.publisher.post(notice(row(), *unread("e2"))) == NEW
    assert desk.bot.posts[0][2] is CARD


def test_a_long_notice_continues_after_an_earlier_attempt(desk: Setup) -> None:
    """Under the thread's root if its first post is a reply; in the channel if that was deleted in the meantime."""
    desk.publisher.post(notice(long()))
    first, *others = [mark for *_, mark in desk.bot.posts]
    desk.bot.posts.clear()
    known = desk.known()
    again = notice(long(), posted=Posted("p1", ROOT), post_count=1, posted_events=set(first.events))
    assert desk.publisher.post(again) == replace(known, last_at=NOW, mod_count=4)
    assert [mark for *_, mark in desk.bot.posts] == others
    assert set(desk.roots()) == {ROOT}
    desk.bot.posts.clear()
    desk.bot.gone = {"p1"}
    desk.publisher.post(replace(again, posted=Posted("p1")))
    assert [(card, root_id, mark) for _, _, card, root_id, mark in desk.bot.posts] == [
        (None, "", one) for one in others
    ]


def test_what_was_already_posted_isnt_posted_again(desk: Setup) -> None:
    """The thread is that of the post that was found; without one nothing is posted."""
    done = notice(row(), posted_events={"e1"}, posted=Posted("p1", "r1"))
    assert desk.publisher.post(done) == replace(NEW, root_id="r1", mod_count=0)
    assert desk.publisher.post(replace(done, posted=None)) is None
    assert desk.publisher.thread_of(BATCH, Posted("p2")) == replace(NEW, root_id="p2", mod_count=0)
    known = desk.known()
    assert desk.publisher.thread_of(BATCH, Posted("p2")) == replace(known, last_at=NOW)
    assert desk.bot.posts == []


def test_an_earlier_attempt_is_searched_for_since_its_claim(desk: Setup) -> None:
    """By the batch's ID."""
    found = Found(Posted("p1"), frozenset({"e1"}), 1, True)
    desk.bot.left = found
    assert desk.publisher.found(BATCH) is found
    assert desk.bot.looked == [(CHANNEL, "batch", NOW - 5)]


def unread(*event_ids: str, grant: Grant = GRANT) -> list[NoticeRow]:
    """Rows that nobody can read now."""
    return [NoticeRow(REPORT, [grant], event_id, bare=True) for event_id in event_ids]


def test_a_record_that_nobody_can_read_now_is_reported_as_changed(desk: Setup) -> None:
    """Only with a link, without parts that were already posted, and without a card."""
    known = desk.known()
    told = notice(*unread("e1", "e2"), posted_events={"e1"})
    assert desk.publisher.post(told) == replace(known, last_at=NOW)
    [(_, text, card, root_id, mark)] = desk.bot.posts
    assert text == (
        f"[INC0000001](incident/{RECORD}) has changed. "
        "The person who subscribed is not connected to ServiceNow, so nothing else can be shown."
    )
    assert (card, root_id, mark) == (None, ROOT, Mark("batch", ("e2",)))
    assert desk.publisher.post(replace(told, posted_events={"e1", "e2"})) is None
    desk.stores.cards.add(CHANNEL, RECORD, "shared")
    desk.publisher.post(told)
    assert (desk.bot.shown, desk.drawn) == ([], [])


def test_a_record_that_nobody_can_read_now_isnt_named_again(desk: Setup) -> None:
    """After the card that made it known to the channel was deleted; unless its subscriber could read it alone."""
    desk.known()
    desk.bot.gone = {ROOT}
    assert desk.publisher.post(notice(*unread("e1"))) is None
    assert desk.bot.posts == []
    single = replace(GRANT, record_id=RECORD, record_read=True)
    assert desk.publisher.post(notice(*unread("e1", grant=single))) == replace(NEW, mod_count=0)
    assert desk.roots() == [""]
    assert [
        may_be_named(one, BATCH) for one in (single, replace(single, record_read=False), replace(single, record_id="f"))
    ] == [True, False, False]


ASSIGNED = {"assigned_to": Cell("9" * 32)}
CALLS = replace(GRANT, options="mention_assignee")


def mentions(desk: Setup, *rows: NoticeRow) -> bool:
    """Whether the assignee is mentioned."""
    desk.bot.posts.clear()
    desk.publisher.post(notice(*rows))
    [(_, text, _, _, _)] = desk.bot.posts
    assert "@" not in text or "@name-p" in text
    return "@name-p" in text


def test_a_linked_assignee_is_mentioned_if_a_subscription_wants_it(desk: Setup) -> None:
    """Not for their own work, not someone else, and nobody if the record is unassigned."""
    desk.stores.accounts.put(replace(ACCOUNT, identity=Identity("8" * 32)))
    assert mentions(desk, row(grant=CALLS, cells=ASSIGNED)) is False
    desk.stores.accounts.put(replace(ACCOUNT, person_id="p", identity=Identity("9" * 32)))
    assert mentions(desk, row(grant=CALLS, cells=ASSIGNED)) is True
    assert mentions(desk, row(cells=ASSIGNED)) is False
    own = row(grant=CALLS, cells=ASSIGNED, actor=Actor("9" * 32, "me", "Me"))
    assert mentions(desk, own) is False
    assert mentions(desk, own, row("e2", grant=CALLS, cells=ASSIGNED)) is True
    desk.stores.accounts.put(replace(ACCOUNT, person_id="q", identity=Identity("")))
    assert mentions(desk, row(grant=CALLS, cells={"assigned_to": Cell("")}, actor=Actor())) is False
    assert mentions(desk, row(grant=CALLS)) is False


def test_a_test_says_that_it_is_one(desk: Setup) -> None:
    """In its first line."""
    desk.publisher.post(notice(row(test="nonce")))
    assert desk.bot.posts[0][1].startswith("*This is a test that somebody asked for; nothing has changed.*\n")
