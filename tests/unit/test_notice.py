"""What parts of a batch can be shown, whom they are for, and where they are posted."""

from dataclasses import replace
from typing import Any

import pytest

from core.notices import Actor, Change, Comment
from core.outbox import Batch
from core.records import Cell, Record
from core.subscriptions import Grant, PostOption
from core.upstream_errors import MattermostSilent
from mattermost.notice_cards import Save
from notifications.notice import Notice, NoticeRow, OwnerView, has_option, in_channel, mod_count_of, shown_journals
from tests.unit.noticing import CHANNEL, GRANT, NOW, RECORD, REPORT

STATE, PRIORITY = Change("state", "State", "New", "Open"), Change("priority", "Priority", "3", "2")
PUBLIC, PRIVATE = Comment("comments", "for everybody"), Comment("work_notes", "for the desk")
REPORTED = replace(
    REPORT,
    events=("state", "priority", "commented", "work_notes"),
    changes=[STATE, PRIORITY],
    comments=[PUBLIC, PRIVATE],
    actor=Actor("d" * 32, "aiko", "Aiko"),
)
SEEN = ("state", "priority", "comments", "work_notes")


def grant(events: str, owner_id: str = "a", options: str = "") -> Grant:
    """A subscription to events."""
    return replace(GRANT, sys_id=f"{owner_id}/{events}/{options}", events=events, owner_id=owner_id, options=options)


def view(*grants: Grant, sees: tuple[str, ...] = SEEN, changes: tuple[Change, ...] = (STATE, PRIORITY)) -> OwnerView:
    """A record with the columns that an owner can see."""
    return OwnerView(list(grants), Record("incident", RECORD, {name: Cell("x") for name in sees}), changes)


def row(*views: OwnerView, **more: Any) -> NoticeRow:
    """A row that these owners see."""
    made = NoticeRow(REPORTED, [one for each in views for one in each.grants], "e1", views=list(views))
    return replace(made, **more)


EVERYTHING = grant("state,priority,commented,work_notes")


def test_everything_is_shown_to_owners_who_asked_for_it_and_see_it() -> None:
    """The post names who did it."""
    whole = Save(list(REPORTED.events), [STATE, PRIORITY], [PUBLIC, PRIVATE], REPORTED.actor, "e1")
    assert row(view(EVERYTHING)).save(True) == whole


def test_nothing_is_shown_if_nobody_sees_the_record() -> None:
    """The post only says that something changed."""
    unread = NoticeRow(REPORTED, [EVERYTHING], "e1")
    assert unread.save(True) == Save((), mark="e1")
    assert (unread.hint, unread.bare, unread.record) == (False, False, None)


def test_texts_are_shown_if_a_reader_sees_and_wants_them() -> None:
    """Work notes also need the setting that allows them in channels."""
    assert list(row(view(EVERYTHING)).save(False).comments) == [PUBLIC]
    assert list(row(view(EVERYTHING, sees=("comments",))).save(True).comments) == [PUBLIC]
    assert list(row(view(EVERYTHING, sees=("work_notes",))).save(True).comments) == [PRIVATE]
    assert list(row(view(EVERYTHING, sees=("state",))).save(True).comments) == []
    assert list(row(view(grant("state,commented"))).save(True).comments) == [PUBLIC]
    assert list(row(view(grant("commented,work_notes", options="hide_comment"))).save(True).comments) == []
    # One can't see work notes and one didn't ask for them: together they show none.
    blind = view(grant("work_notes"), sees=("state", "comments"))
    assert list(row(blind, view(grant("commented", "b"))).save(True).comments) == [PUBLIC]


def test_only_visible_columns_are_shown() -> None:
    """With the first reader's labels and values, in the report's order."""
    other = replace(STATE, new="Offen")
    first, second = view(EVERYTHING, changes=(PRIORITY,)), view(grant("state", "b"), changes=(other,))
    assert list(row(first).save(True).changes) == [PRIORITY]
    assert list(row(first, second).save(True).changes) == [other, PRIORITY]
    assert list(row(view(EVERYTHING), second).save(True).changes) == [STATE, PRIORITY]


def test_only_requested_events_are_posted() -> None:
    """In the report's order."""
    assert list(row(view(grant("priority,state,closed"))).save(True).events) == ["state", "priority"]
    assert list(row(view(grant("state")), view(grant("commented", "b"))).save(True).events) == ["state", "commented"]


def test_a_post_is_for_its_readers_or_else_for_all_subscribers() -> None:
    """The card shows what the first reader sees."""
    first, second = view(EVERYTHING), view(grant("state", "b"))
    both = row(first, second, grants=[EVERYTHING])
    assert both.shown_for() == [*first.grants, *second.grants]
    assert both.record is first.record
    assert NoticeRow(REPORTED, [EVERYTHING], "e1").shown_for() == [EVERYTHING]


def test_as_few_owners_as_needed_are_read_for() -> None:
    """A second one only for a part that those before don't ask for; each once, in order."""
    state, again, comment = grant("state"), grant("state", "b"), grant("commented", "c")
    assert list(NoticeRow(REPORTED, [state, again, comment, grant("priority")], "e1").readers()) == ["a", "c"]
    # What an owner asks for counts for each of this owner's subscriptions.
    assert list(NoticeRow(REPORTED, [state, grant("priority"), grant("priority", "b")], "e1").readers()) == ["a"]
    assert list(NoticeRow(REPORTED, [grant("closed"), again], "e1").readers()) == ["a", "b"]


def test_a_part_is_an_event_or_a_text_of_the_report() -> None:
    """An owner who hides texts asks for less."""
    either = NoticeRow(REPORTED, [], "e1")
    hides, shows = grant("commented", options="hide_comment"), grant("commented", "b")
    assert either.adds(shows, [hides]) is True
    assert either.adds(hides, [shows]) is False
    assert either.adds(grant("closed"), []) is False
    silent = NoticeRow(replace(REPORTED, comments=[]), [], "e1")
    assert silent.adds(shows, [hides]) is False
    assert either.adds(grant("state"), []) is True


def test_journals_follow_from_events() -> None:
    """None is read where texts are hidden."""
    assert shown_journals(grant("state,commented,work_notes,of_later")) == {"comments", "work_notes"}
    assert shown_journals(grant("state,commented")) == {"comments"}
    assert shown_journals(grant("commented", options="in_channel,hide_comment")) == set()


def test_an_option_counts_if_a_reader_has_it() -> None:
    """Not if only someone has it for whom nothing is shown."""
    loud = grant("state", "b", "in_channel")
    assert has_option(PostOption.IN_CHANNEL, [row(view(loud))]) is True
    assert has_option(PostOption.MENTION_ASSIGNEE, [row(view(loud))]) is False
    assert has_option(PostOption.IN_CHANNEL, [row(view(EVERYTHING), grants=[EVERYTHING, loud])]) is False
    quiet = row(view(EVERYTHING), report=replace(REPORTED, changes=[STATE]))
    assert in_channel([quiet, replace(quiet, views=[view(loud)])]) is True
    assert in_channel([quiet]) is False


RAISED: dict[str, tuple[Change, bool]] = {
    "by values": (Change("priority", "P", "Low", "High", "4", "2"), True),
    "by one": (Change("priority", "P", "", "", "3", "2"), True),
    "to the same": (Change("priority", "P", "", "", "3", "3"), False),
    "lowered": (Change("priority", "P", "", "", "2", "3"), False),
    "by words": (Change("priority", "P", "10 - Planning", "4 - Low"), False),
    "by the first digit": (Change("priority", "P", "3 - Moderate", "2 - High"), True),
    "values before words": (Change("priority", "P", "1 - Critical", "4 - Low", "4", "1"), True),
    "many digits": (Change("priority", "P", "", "", "10", "9"), True),
    "from nothing": (Change("priority", "P", "", "2 - High"), False),
    "to nothing": (Change("priority", "P", "2 - High", ""), False),
    "in words alone": (Change("priority", "P", "Low", "High"), False),
    "another column": (Change("urgency", "U", "", "", "3", "2"), False),
}


@pytest.mark.parametrize("how", RAISED)
def test_a_raised_priority_is_posted_in_the_channel_itself(how: str) -> None:
    """Values are compared; in reports without them, the first digit of the text."""
    change, urgent = RAISED[how]
    report = replace(REPORTED, changes=[STATE, change], events=("priority",))
    assert in_channel([row(view(EVERYTHING), report=report)]) is urgent


def test_a_reopened_record_is_posted_in_the_channel_itself() -> None:
    """Whatever else changed."""
    assert (
        in_channel([row(view(EVERYTHING), report=replace(REPORTED, events=("state", "reopened"), changes=[]))]) is True
    )


def test_a_modification_count_is_a_number() -> None:
    """It is 0 if it can't be read."""
    assert mod_count_of(Record("incident", RECORD, {"sys_mod_count": Cell("12", "x")})) == 12
    assert mod_count_of(Record("incident", RECORD, {"sys_mod_count": Cell("1,2")})) == 0
    assert (mod_count_of(Record("incident", RECORD)), mod_count_of(None)) == (0, 0)


def test_an_event_in_several_rows_is_posted_once_for_all_their_subscriptions() -> None:
    """Its owners were checked separately, so each has a row. Another event has its own post."""
    notice = Notice(Batch(batch_id="b", channel_id=CHANNEL, table="incident", record_id=RECORD, claimed_at=NOW))
    first, second, third = grant("state"), grant("state", "b"), grant("closed", "c")
    notice.add(NoticeRow(REPORTED, [first], "e1"))
    notice.add(NoticeRow(REPORTED, [third], "e2"))
    notice.add(NoticeRow(REPORTED, [first, second], "e1"))
    assert [(one.event_id, one.grants) for one in notice.rows] == [("e1", [first, second]), ("e2", [third])]


def test_a_removed_subscription_gets_no_post_of_any_event() -> None:
    """The other subscriptions get theirs."""
    notice = Notice(Batch(batch_id="b", channel_id=CHANNEL, table="incident", record_id=RECORD, claimed_at=NOW))
    gone, stays = grant("state"), grant("state", "b")
    notice.add(NoticeRow(REPORTED, [gone, stays], "e1"))
    notice.add(NoticeRow(REPORTED, [gone], "e2"))
    notice.remove(gone)
    assert [one.grants for one in notice.rows] == [[stays], []]


def test_a_batch_waits_as_long_as_the_server_asks() -> None:
    """For the longest of several; without a request it doesn't wait."""
    notice = Notice(Batch(batch_id="b", channel_id=CHANNEL, table="incident", record_id=RECORD, claimed_at=NOW))
    assert (notice.place, notice.post_count, notice.retry_after) == ((CHANNEL, RECORD), 0, 0.0)
    notice.postpone(MattermostSilent("down"))
    assert (notice.retry_reason, notice.retry_after) == ("down", 0.0)
    notice.postpone(MattermostSilent("busy", 429, 30.0))
    notice.postpone(MattermostSilent("less", 429, 5.0))
    assert (notice.retry_reason, notice.retry_after) == ("less", 30.0)
