"""One form makes each write once: what is stored when, and what a resubmitted form does."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import cast

import pytest

from core.accounts import FormResult
from core.calls import Text
from core.errors import StillWorking, StorageFailed
from core.records import Cell, Record
from core.upstream_errors import AccessDenied, Busy, InsertHidden, Refused, ServiceNowError, Unanswered
from handlers.confirmed import MayBeSaved
from handlers.context import Context
from handlers.idempotency import EDITED, HOLD_SECONDS, Attempt, digest_of, once

NOW = 1_800_000_000.0
LIST = "https://acme.service-now.com/incident_list.do"
HIDDEN = 86_400.0


@dataclass
class FakeFormResults:
    """Form results in memory. ``puts`` has everything that was stored, in order."""

    kept: dict[str, FormResult] = field(default_factory=dict)
    puts: list[FormResult] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)
    full: bool = False

    @contextmanager
    def claim(self, form_id: str) -> Iterator[None]:
        if form_id in self.claimed:
            raise StillWorking(form_id)
        self.claimed.add(form_id)
        try:
            yield
        finally:
            self.claimed.remove(form_id)

    def get(self, form_id: str) -> FormResult | None:
        return self.kept.get(form_id)

    def put(self, result: FormResult) -> None:
        if self.full:
            raise StorageFailed("disk full")
        self.kept[result.form_id] = result
        self.puts.append(result)

    def forget(self, form_id: str) -> None:
        self.kept.pop(form_id, None)


class World:
    """
    One form of ann's, and what ServiceNow does with its writes.

    ``found`` is what a lookup returns or raises. ``sent`` and ``looked`` are contents and digests.
    """

    def __init__(self) -> None:
        self.now = NOW
        self.results = FakeFormResults()
        self.error: ServiceNowError | None = None
        self.found: str | ServiceNowError | None = None
        self.sent: list[str] = []
        self.looked: list[str] = []

    def submit(self, work: Callable[[Attempt], Text], person: str = "ann") -> Text:
        """Send the form."""
        context = SimpleNamespace(
            person=SimpleNamespace(id=person),
            clock=lambda: self.now,
            stores=SimpleNamespace(form_results=self.results),
        )
        return once(cast("Context", context), "form", work)

    def write(self, attempt: Attempt, content: str = "content", name: str = "entry", **more: str) -> str:
        """One write of the form."""

        def send() -> str:
            self.sent.append(content)
            if self.error is not None:
                raise self.error
            return "sent"

        def look(digest: str) -> str | None:
            self.looked.append(digest)
            if isinstance(self.found, ServiceNowError):
                raise self.found
            return self.found

        return attempt.write(
            name, send, look, content=content, address=LIST, again=lambda result: f"{result} again", **more
        )

    def submit_write(self, content: str = "content") -> str:
        """Send a form of one write; its answer is the write's result."""
        return self.submit(lambda attempt: Text(self.write(attempt, content))).text

    def submit_unanswered(self, content: str = "content") -> MayBeSaved:
        """Send a form of one write whose result remains unknown."""
        with pytest.raises(MayBeSaved) as raised:
            self.submit_write(content)
        return raised.value

    def lose_answer(self) -> None:
        """Send the form; its write gets no answer and is not found."""
        self.error = Unanswered("no answer")
        self.submit_unanswered()
        self.error = None
        self.sent.clear()
        self.looked.clear()

    @property
    def stored(self) -> FormResult:
        """What is stored now."""
        return self.results.kept["form"]

    @property
    def unanswered(self) -> dict[str, list[object]]:
        """The stored writes that may have been sent."""
        found: dict[str, list[object]] = json.loads(self.stored.unanswered)
        return found


@pytest.fixture
def world() -> World:
    """Nothing was sent yet."""
    return World()


def test_a_form_sent_again_gets_the_first_answer(world: World) -> None:
    """Nothing is done a second time."""
    first = world.submit(lambda attempt: Text("Created.", refresh_menus=True))
    assert first == Text("Created.", refresh_menus=True)
    assert world.stored == FormResult("form", "ann", "", "", "", "Created.", stored_at=NOW)

    def never(attempt: Attempt) -> Text:
        raise AssertionError(attempt)

    assert world.submit(never) == Text("Created.")


def test_another_person_doesnt_get_the_answer(world: World) -> None:
    """A form ID that someone else sends is a form of theirs."""
    world.submit(lambda attempt: Text("For ann."))
    world.now += 1
    since: list[float] = []

    def work(attempt: Attempt) -> Text:
        since.append(attempt.since)
        return Text("For bob.")

    assert world.submit(work, "bob").text == "For bob."
    assert since == [NOW + 1]
    assert world.stored.person_id == "bob"


def test_two_submits_of_a_form_dont_run_at_once(world: World) -> None:
    """The second is rejected while the first runs, even if the first fails later."""

    def work(attempt: Attempt) -> Text:
        with pytest.raises(StillWorking):
            world.submit_write()
        raise Busy("x")

    with pytest.raises(Busy):
        world.submit(work)
    assert world.submit_write() == "sent"


def test_the_attempt_is_stored_before_the_write_is_sent(world: World) -> None:
    """After a crash it shows what may have been sent, and how long to wait."""
    world.error = Unanswered("no answer")
    world.submit_unanswered()
    assert world.sent == ["content"]
    assert [one.unanswered for one in world.results.puts] == [
        json.dumps({"entry": (digest_of("content"), NOW + HOLD_SECONDS)})
    ]
    assert HOLD_SECONDS == 360.0


def test_nothing_is_sent_if_the_attempt_cant_be_stored(world: World) -> None:
    """Otherwise a second submit could write it twice."""
    world.results.full = True
    with pytest.raises(StorageFailed):
        world.submit_write()
    assert world.sent == []


def test_completed_writes_are_stored_with_the_answer(world: World) -> None:
    """And with the next write, so a form that stops in between resumes after them."""

    def work(attempt: Attempt) -> Text:
        for name in ("first", "second"):
            assert not attempt.has_done(name)
            assert world.write(attempt, name=name) == "sent"
            assert attempt.has_done(name)
            assert not attempt.may_have_sent(name)
        return Text("Done.")

    world.submit(work)
    assert [one.done for one in world.results.puts] == ["", "first", "first second"]
    assert (world.stored.unanswered, world.stored.text) == ("", "Done.")
    assert len(world.sent) == 2
    assert world.looked == []


def test_a_form_resumes_with_what_is_stored(world: World) -> None:
    """The record that it made, the time of the first submit, and the writes that are or may be done."""

    def stop(attempt: Attempt) -> Text:
        assert (attempt.record_id, attempt.since, attempt.form_id) == ("", NOW, "form")
        attempt.set_record(Record("incident", "1" * 32, {"number": Cell("INC1", "INC1")}))
        attempt.finish("first")
        attempt.finish("second")
        attempt.begin("third")
        assert attempt.may_have_sent("third")
        raise Busy("x")

    with pytest.raises(Busy):
        world.submit(stop)
    assert world.unanswered == {"third": ["", NOW]}
    world.now += 100

    def resume(attempt: Attempt) -> Text:
        assert (attempt.record_id, attempt.since, attempt.form_id) == ("1" * 32, NOW, "form")
        assert [attempt.has_done(name) for name in ("first", "second", "third")] == [True, True, False]
        assert [attempt.may_have_sent(name) for name in ("first", "third")] == [False, True]
        return Text("Done.")

    assert world.submit(resume).text == "Done."
    assert world.stored == FormResult(
        "form", "ann", "incident", "1" * 32, "INC1", "Done.", stored_at=NOW, done="first second"
    )


def test_a_rejected_write_leaves_no_trace(world: World) -> None:
    """The person corrects the form and submits it again at once."""
    world.error = Refused("mandatory")
    with pytest.raises(Refused, match="mandatory"):
        world.submit_write()
    assert world.results.kept == {}
    world.error = None
    assert world.submit_write("corrected") == "sent"
    assert world.looked == []


def test_a_rejected_write_leaves_the_others_unchanged(world: World) -> None:
    """Completed writes remain completed, and what may have been sent is still looked up."""

    def after_one(attempt: Attempt) -> Text:
        world.write(attempt, name="first")
        world.error = Refused("mandatory")
        return Text(world.write(attempt, name="second"))

    with pytest.raises(Refused):
        world.submit(after_one)
    assert (world.stored.done, world.stored.unanswered) == ("first", "")

    world.results.kept.clear()

    def after_another(attempt: Attempt) -> Text:
        attempt.begin("first", "text", 5.0)
        return Text(world.write(attempt, name="second"))

    with pytest.raises(Refused):
        world.submit(after_another)
    assert world.stored.done == ""
    assert world.unanswered == {"first": [digest_of("text"), NOW + 5.0]}


def test_a_write_can_be_undone_after_it_was_completed(world: World) -> None:
    """It turned out that nothing was saved: the next submit sends only this write again."""

    def work(attempt: Attempt) -> Text:
        attempt.finish("first")
        attempt.finish("second")
        attempt.discard("second")
        raise Busy("x")

    with pytest.raises(Busy):
        world.submit(work)
    assert world.stored.done == "first"


def test_an_answer_ends_the_form(world: World) -> None:
    """Nothing is looked up after it."""

    def work(attempt: Attempt) -> Text:
        attempt.begin("card")
        return Text("Done.")

    world.submit(work)
    assert world.stored.unanswered == ""


def test_an_unanswered_write_is_held(world: World) -> None:
    """The person learns for how long, and where to check."""
    world.error = Unanswered("no answer")
    error = world.submit_unanswered()
    assert str(error) == "no answer, nothing found: no answer"
    assert "[Check the list](https://acme.service-now.com/incident_list.do)" in error.user_message
    assert "For the next 6 minutes" in error.user_message
    assert world.looked == [digest_of("content")]


def test_the_callers_name_for_the_place_to_check_is_used(world: World) -> None:
    """Entries are in a record, not in a list."""
    world.error = Unanswered("no answer")
    with pytest.raises(MayBeSaved) as raised:
        world.submit(lambda attempt: Text(world.write(attempt, what="the record")))
    assert "[Check the record]" in raised.value.user_message


@pytest.mark.parametrize(("passed", "minutes"), [(0.0, "6 minutes"), (120.0, "4 minutes"), (359.0, "minute")])
def test_a_form_isnt_sent_again_during_the_hold(world: World, passed: float, minutes: str) -> None:
    """ServiceNow may still be working on the first request."""
    world.lose_answer()
    world.now += passed
    error = world.submit_unanswered("other content")
    assert str(error) == "an earlier submit is unanswered, and nothing is there yet"
    assert f"For the next {minutes}, " in error.user_message
    assert (world.sent, world.looked) == ([], [digest_of("content")])


def test_a_form_is_sent_again_after_the_hold(world: World) -> None:
    """ServiceNow has given up the first request. The caller learns that it was the second one."""
    world.lose_answer()
    world.now += HOLD_SECONDS
    assert world.submit_write() == "sent again"
    assert world.sent == ["content"]
    assert world.results.puts[-2].unanswered == json.dumps({"entry": (digest_of("content"), world.now + HOLD_SECONDS)})


@pytest.mark.parametrize("passed", [1.0, HOLD_SECONDS])
def test_what_the_first_submit_saved_is_found(world: World, passed: float) -> None:
    """Whether or not the hold is over."""
    world.lose_answer()
    world.now += passed
    world.found = "saved"
    assert world.submit_write(" content\n") == "saved"  # whitespace is no edit
    assert (world.sent, world.looked) == ([], [digest_of("content")])
    assert (world.stored.done, world.stored.unanswered) == ("entry", "")


def test_the_person_learns_that_an_edit_wasnt_saved(world: World) -> None:
    """ServiceNow has the text of the first submit; the answer says so each time."""
    world.lose_answer()
    world.found = "saved"
    text = f"saved\n\n{EDITED}"
    assert world.submit_write("edited content") == text
    assert world.submit_write("edited content") == text


def test_a_failed_lookup_sends_nothing(world: World) -> None:
    """Not even after the hold: the first request may have been saved."""
    world.lose_answer()
    world.now += HOLD_SECONDS - 30
    world.found = Busy("later")
    error = world.submit_unanswered()
    assert str(error) == "looking failed: later"
    assert "For the next minute" in error.user_message
    world.now += HOLD_SECONDS
    world.submit_unanswered()
    assert world.sent == []


def test_a_row_that_its_creator_cant_see_is_never_sent_again(world: World) -> None:
    """Each further submit would make another one."""
    world.error = InsertHidden("403")
    error = world.submit_unanswered()
    assert error.user_message.endswith("again. Sending this form again only checks whether it was saved.")
    assert world.unanswered == {"entry": [digest_of("content"), NOW + HIDDEN]}
    world.error = None
    world.now += HIDDEN - 1
    world.submit_unanswered()
    assert world.sent == ["content"]


def test_a_lookup_without_permission_after_a_timeout_is_an_ordinary_hold(world: World) -> None:
    """ServiceNow didn't say that the row was hidden, so the form can be sent again."""
    world.error, world.found = Unanswered("no answer"), AccessDenied("no list")
    world.submit_unanswered()
    assert world.unanswered == {"entry": [digest_of("content"), NOW + HOLD_SECONDS]}


def test_a_stored_digest_has_no_text_and_ignores_whitespace() -> None:
    """Digests of an earlier release are still valid, and any text has one, even half of a surrogate pair."""
    assert digest_of("a  b\n") == digest_of("a b") == hashlib.sha256(b"a b").hexdigest()
    assert digest_of("ab") != digest_of("a b")
    assert digest_of("") == ""
    assert len(digest_of("\ud800")) == 64


def test_results_of_an_earlier_release_are_read(world: World) -> None:
    """They have no list of writes."""
    world.results.kept["form"] = replace(FormResult("form", "ann", "", "", "", "", NOW), done="", unanswered="")
    assert world.submit_write() == "sent"
