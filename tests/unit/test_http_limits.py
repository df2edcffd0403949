"""A few calls run at once, fewer per person, and none while ServiceNow doesn't answer."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from core.upstream_errors import Broken, CallLimitReached, CircuitOpen, Unanswered
from http_client import call_limits
from http_client.call_limits import FAILURES, PAUSE_SECONDS, PER_PERSON, WAIT_SECONDS, WINDOW_SECONDS, CallLimits


class ManualClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def call(limit: CallLimits, error: Exception | None = None, person: str | None = "ann") -> None:
    """One call that ends at once."""
    with limit.call(person, 0.0):
        if error is not None:
            raise error


def time_out(limit: CallLimits, times: int) -> None:
    """Calls that time out."""
    for _ in range(times):
        with pytest.raises(Unanswered):
            call(limit, Unanswered("x"))


def test_a_person_has_three_slots() -> None:
    """A person's fourth call waits, then is rejected; another person's passes."""
    limit = CallLimits(total=10)
    held = [limit.call("ann") for _ in range(PER_PERSON)]
    for one in held:
        one.__enter__()
    with pytest.raises(CallLimitReached):
        call(limit)
    call(limit, person="bob")
    held[0].__exit__(None, None, None)
    call(limit)


def test_everyone_shares_the_total_slots() -> None:
    """With more people than slots, the last waits, then is rejected; sign-ins count too."""
    limit = CallLimits(total=2)
    with limit.call("ann"), limit.call(None):
        with pytest.raises(CallLimitReached):
            call(limit, person="bob")
        with pytest.raises(CallLimitReached):
            call(limit, person=None)
    call(limit, person="bob")


def test_a_waiting_call_gets_a_freed_slot() -> None:
    """It starts when another ends, without being rejected."""
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


def test_after_five_timeouts_no_call_is_made() -> None:
    """The circuit opens: calls fail at once, for 15 seconds."""
    time = ManualClock()
    limit = CallLimits(10, time)
    time_out(limit, FAILURES)
    with pytest.raises(CircuitOpen):
        call(limit)
    time.now += PAUSE_SECONDS - 0.1
    with pytest.raises(CircuitOpen):
        call(limit, person="bob")


def test_one_probe_decides() -> None:
    """After the pause one call is let through; its timeout opens the circuit again, its answer closes it."""
    time = ManualClock()
    limit = CallLimits(10, time)
    time_out(limit, FAILURES)
    time.now += PAUSE_SECONDS
    with limit.call("ann"), pytest.raises(CircuitOpen):
        call(limit, person="bob")
    call(limit, person="bob")

    time_out(limit, FAILURES)
    time.now += PAUSE_SECONDS + WINDOW_SECONDS
    time_out(limit, 1)
    with pytest.raises(CircuitOpen):
        call(limit)
    time.now += PAUSE_SECONDS
    call(limit)
    call(limit)


def test_our_own_error_in_a_probe_decides_nothing() -> None:
    """It neither closes the circuit nor blocks the next probe."""
    time = ManualClock()
    limit = CallLimits(10, time)
    time_out(limit, FAILURES)
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
def test_only_consecutive_timeouts_in_a_short_time_count(between: Callable[[CallLimits, ManualClock], None]) -> None:
    """An answer in between, or enough time, resets the count."""
    time = ManualClock()
    limit = CallLimits(10, time)
    time_out(limit, FAILURES - 1)
    between(limit, time)
    time_out(limit, 1)
    call(limit)


def test_an_error_from_the_instance_isnt_a_timeout() -> None:
    """An instance that returns an error has answered."""
    limit = CallLimits(10, ManualClock())
    for _ in range(FAILURES + 1):
        with pytest.raises(Broken):
            call(limit, Broken("500"))
    call(limit)


def test_slots_are_released_after_errors() -> None:
    """No call keeps its slot."""
    limit = CallLimits(1, ManualClock())
    for error in (Broken("x"), KeyError("x"), Unanswered("x")):
        with pytest.raises(type(error)):
            call(limit, error)
    call(limit)


def hold(stack: ExitStack, limit: CallLimits, *people: str | None) -> None:
    """Calls that run until the stack is closed."""
    for person in people:
        stack.enter_context(limit.call(person, 0.0))


def test_the_limits_are_the_designs() -> None:
    """Three calls per person, with a wait of one second; five timeouts within 30 s stop all calls for 15 s."""
    assert WAIT_SECONDS == 1.0
    clock = ManualClock()
    limit = CallLimits(10, clock)
    with ExitStack() as stack:
        hold(stack, limit, "ann", "ann", "ann")
        with pytest.raises(CallLimitReached):
            call(limit)
    time_out(limit, 4)
    call(limit)
    time_out(limit, 1)
    clock.now += 30
    time_out(limit, 4)
    clock.now += 14.9
    with pytest.raises(CircuitOpen):
        call(limit)
    clock.now += 0.1
    call(limit)


def test_the_window_starts_with_the_first_of_the_five() -> None:
    """Four close together and one long before don't open the circuit."""
    time = ManualClock()
    limit = CallLimits(10, time)
    time_out(limit, 1)
    time.now += 30.1
    time_out(limit, FAILURES - 1)
    call(limit)


def test_sign_ins_use_nobodys_share() -> None:
    """Up to the total number of slots run at once."""
    limit = CallLimits(total=PER_PERSON + 2)
    with ExitStack() as stack:
        hold(stack, limit, *[None] * (PER_PERSON + 1))
        call(limit, person=None)


def test_a_slot_is_released_once() -> None:
    """After many sequential calls there are as many slots as before, in total and for each person."""
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
    """Start it, and return once it waits for a slot."""
    thread.start()
    while thread.is_alive() and not limit._bulkhead._released._waiters:  # type: ignore[attr-defined]
        threading.Event().wait(0.01)


def test_a_waiting_call_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It continues at once when another ends, not when its wait times out."""
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


def test_a_waiting_call_is_rejected_when_the_circuit_opens() -> None:
    """The slot is free because ServiceNow timed out: the waiting call isn't made."""
    limit = CallLimits(1, ManualClock())
    time_out(limit, FAILURES - 1)
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


def test_an_open_circuit_is_reported_before_full_slots() -> None:
    """While the probe has the only slot, others learn of the timeout; nobody waits for a slot."""
    time = ManualClock()
    limit = CallLimits(1, time)
    time_out(limit, FAILURES)
    time.now += PAUSE_SECONDS
    with limit.call("ann"), pytest.raises(CircuitOpen):
        call(limit, person="bob")


def test_an_answer_to_an_older_call_closes_the_circuit() -> None:
    """ServiceNow answers again: calls pass at once, not after the pause."""
    limit = CallLimits(10, ManualClock())
    with limit.call("ann"):
        time_out(limit, FAILURES)
    call(limit)


def test_a_call_without_time_doesnt_wait_for_a_slot() -> None:
    """It is rejected at once."""
    limit = CallLimits(1)
    with limit.call("ann"):
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(CallLimitReached):
                call(limit, person="bob")
    assert time.monotonic() - began < 2 * WAIT_SECONDS
