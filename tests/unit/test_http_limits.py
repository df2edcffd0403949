"""Few calls at once, fewer a person, and none while ServiceNow does not answer."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from core.upstream_errors import Broken, CallLimitReached, CircuitOpen, Unanswered
from http_client import call_limits
from http_client.call_limits import FAILURES, PAUSE_SECONDS, PER_PERSON, WAIT_SECONDS, WINDOW_SECONDS, CallLimits


class Time:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def call(limit: CallLimits, error: Exception | None = None, person: str | None = "ann") -> None:
    """One call that ends at once."""
    with limit.call(person, 0.0):
        if error is not None:
            raise error


def silent(limit: CallLimits, times: int) -> None:
    """Unanswered calls."""
    for _ in range(times):
        with pytest.raises(Unanswered):
            call(limit, Unanswered("x"))


def test_a_person_has_three_places() -> None:
    """The fourth call of one person waits, then is refused; another person's passes."""
    limit = CallLimits(total=10)
    held = [limit.call("ann") for _ in range(PER_PERSON)]
    for one in held:
        one.__enter__()
    with pytest.raises(CallLimitReached):
        call(limit)
    call(limit, person="bob")
    held[0].__exit__(None, None, None)
    call(limit)


def test_all_together_have_the_places_there_are() -> None:
    """More persons than places: the last waits, then is refused; sign-ins count, too."""
    limit = CallLimits(total=2)
    with limit.call("ann"), limit.call(None):
        with pytest.raises(CallLimitReached):
            call(limit, person="bob")
        with pytest.raises(CallLimitReached):
            call(limit, person=None)
    call(limit, person="bob")


def test_whoever_waits_gets_the_place_that_becomes_free() -> None:
    """A waiting call starts when another ends, without being refused."""
    limit = CallLimits(total=1)
    entered, done = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        with limit.call("bob"):
            done.set()

    with limit.call("ann"):
        thread = threading.Thread(target=wait)
        thread.start()
        assert entered.wait(5)
    assert done.wait(5)
    thread.join(5)


def test_after_five_unanswered_calls_none_is_made() -> None:
    """The circuit opens: calls fail at once, for a quarter of a minute."""
    time = Time()
    limit = CallLimits(10, time)
    silent(limit, FAILURES)
    with pytest.raises(CircuitOpen):
        call(limit)
    time.now += PAUSE_SECONDS - 0.1
    with pytest.raises(CircuitOpen):
        call(limit, person="bob")


def test_one_probe_decides() -> None:
    """After the pause a single call is let through; its silence opens the circuit again, its answer closes it."""
    time = Time()
    limit = CallLimits(10, time)
    silent(limit, FAILURES)
    time.now += PAUSE_SECONDS
    with limit.call("ann"), pytest.raises(CircuitOpen):
        call(limit, person="bob")
    call(limit, person="bob")

    silent(limit, FAILURES)
    time.now += PAUSE_SECONDS + WINDOW_SECONDS
    silent(limit, 1)
    with pytest.raises(CircuitOpen):
        call(limit)
    time.now += PAUSE_SECONDS
    call(limit)
    call(limit)


def test_a_probe_that_we_break_ourselves_decides_nothing() -> None:
    """A mistake of our own neither closes the circuit nor blocks the next probe."""
    time = Time()
    limit = CallLimits(10, time)
    silent(limit, FAILURES)
    time.now += PAUSE_SECONDS
    with pytest.raises(KeyError):
        call(limit, KeyError("ours"))
    call(limit)


@pytest.mark.parametrize(
    "between",
    [
        lambda limit, time: call(limit),
        lambda limit, time: setattr(time, "now", time.now + WINDOW_SECONDS + 1),
    ],
)
def test_only_silence_in_a_row_and_in_a_short_time_counts(between: Callable[[CallLimits, Time], None]) -> None:
    """An answer in between, or enough time, and the count begins anew."""
    time = Time()
    limit = CallLimits(10, time)
    silent(limit, FAILURES - 1)
    between(limit, time)
    silent(limit, 1)
    call(limit)


def test_an_error_of_the_instance_is_no_silence() -> None:
    """Whoever answers with an error has answered."""
    limit = CallLimits(10, Time())
    for _ in range(FAILURES + 1):
        with pytest.raises(Broken):
            call(limit, Broken("500"))
    call(limit)


def test_places_are_given_back_after_errors() -> None:
    """No call keeps its place for ever."""
    limit = CallLimits(1, Time())
    for error in (Broken("x"), KeyError("x"), Unanswered("x")):
        with pytest.raises(type(error)):
            call(limit, error)
    call(limit)


def hold(stack: ExitStack, limit: CallLimits, *people: str | None) -> None:
    """Calls that go on until the stack is closed."""
    for person in people:
        stack.enter_context(limit.call(person, 0.0))


def test_the_limits_are_those_of_the_design() -> None:
    """Three calls a person, waiting one second; five unanswered ones within 30 s stop all calls for 15 s."""
    assert WAIT_SECONDS == 1.0
    clock = Time()
    limit = CallLimits(10, clock)
    with ExitStack() as stack:
        hold(stack, limit, "ann", "ann", "ann")
        with pytest.raises(CallLimitReached):
            call(limit)
    silent(limit, 4)
    call(limit)
    silent(limit, 1)
    clock.now += 30
    silent(limit, 4)
    clock.now += 14.9
    with pytest.raises(CircuitOpen):
        call(limit)
    clock.now += 0.1
    call(limit)


def test_the_window_begins_with_the_first_of_the_five() -> None:
    """Four of them close together and one long before are no reason to stop."""
    time = Time()
    limit = CallLimits(10, time)
    silent(limit, 1)
    time.now += 30.1
    silent(limit, FAILURES - 1)
    call(limit)


def test_sign_ins_take_nobodys_share() -> None:
    """As many at once as there are places."""
    limit = CallLimits(total=PER_PERSON + 2)
    with ExitStack() as stack:
        hold(stack, limit, *[None] * (PER_PERSON + 1))
        call(limit, person=None)


def test_a_place_is_given_back_once() -> None:
    """After many calls, one after the other, there are as many places as before, in all and for each person."""
    limit = CallLimits(total=PER_PERSON + 1)
    for _ in range(3):
        call(limit)
    with ExitStack() as stack:
        hold(stack, limit, *["ann"] * (PER_PERSON - 1))
        call(limit)
        hold(stack, limit, "ann")
        with pytest.raises(CallLimitReached):
            call(limit)
        hold(stack, limit, "bob")
        with pytest.raises(CallLimitReached):
            call(limit, person="cid")


def start_waiting(thread: threading.Thread, limit: CallLimits) -> None:
    """Start it, and return once it waits for a place."""
    thread.start()
    while thread.is_alive() and not limit._bulkhead._released._waiters:  # type: ignore[attr-defined]
        threading.Event().wait(0.01)


def test_whoever_waits_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a call lets a waiting one go on at once, not when its patience ends."""
    monkeypatch.setattr(call_limits, "WAIT_SECONDS", 60.0)
    limit = CallLimits(total=1)
    done = threading.Event()

    def wait() -> None:
        with limit.call("bob", 60.0):
            done.set()

    with limit.call("ann"):
        thread = threading.Thread(target=wait)
        start_waiting(thread, limit)
    assert done.wait(20)
    thread.join(5)


def test_whoever_waits_while_the_circuit_opens_is_refused() -> None:
    """The place becomes free because ServiceNow went silent: the waiting call is not made."""
    limit = CallLimits(1, Time())
    silent(limit, FAILURES - 1)
    refused: list[Exception] = []

    def wait() -> None:
        try:
            with limit.call("bob"):
                pass
        except CircuitOpen as error:
            refused.append(error)

    thread = threading.Thread(target=wait)

    def unanswered_while_another_waits() -> None:
        with limit.call("ann"):
            start_waiting(thread, limit)
            raise Unanswered("x")

    with pytest.raises(Unanswered):
        unanswered_while_another_waits()
    thread.join(5)
    assert len(refused) == 1


def test_an_open_circuit_is_told_before_a_full_one() -> None:
    """While the probe takes the only place, others are told of the silence; nobody waits for a place."""
    time = Time()
    limit = CallLimits(1, time)
    silent(limit, FAILURES)
    time.now += PAUSE_SECONDS
    with limit.call("ann"), pytest.raises(CircuitOpen):
        call(limit, person="bob")


def test_an_answer_to_an_older_call_closes_the_circuit() -> None:
    """ServiceNow answers again: calls pass at once, not after the pause."""
    limit = CallLimits(10, Time())
    with limit.call("ann"):
        silent(limit, FAILURES)
    call(limit)


def test_a_call_without_time_does_not_wait_for_a_place() -> None:
    """What has no time left is refused at once."""
    limit = CallLimits(1)
    with limit.call("ann"):
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(CallLimitReached):
                call(limit, person="bob")
    assert time.monotonic() - began < 2 * WAIT_SECONDS
