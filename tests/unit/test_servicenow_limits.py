"""Few calls at once, fewer a person, and none while ServiceNow does not answer."""

import threading
from collections.abc import Callable

import pytest

from core.errors import Broken, Unanswered
from servicenow.limits import FAILURES, PAUSE_SECONDS, PER_PERSON, WINDOW_SECONDS, Full, Gate, Silent


class Time:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def call(gate: Gate, error: Exception | None = None, person: str | None = "ann") -> None:
    """One call that ends at once."""
    with gate.passing(person, 0.0):
        if error is not None:
            raise error


def silent(gate: Gate, times: int) -> None:
    """Unanswered calls."""
    for _ in range(times):
        with pytest.raises(Unanswered):
            call(gate, Unanswered("x"))


def test_a_person_has_three_places() -> None:
    """The fourth call of one person waits, then is refused; another person's passes."""
    gate = Gate(at_once=10)
    held = [gate.passing("ann") for _ in range(PER_PERSON)]
    for one in held:
        one.__enter__()
    with pytest.raises(Full):
        call(gate)
    call(gate, person="bob")
    held[0].__exit__(None, None, None)
    call(gate)


def test_all_together_have_the_places_there_are() -> None:
    """More persons than places: the last waits, then is refused; sign-ins count, too."""
    gate = Gate(at_once=2)
    with gate.passing("ann"), gate.passing(None):
        with pytest.raises(Full):
            call(gate, person="bob")
        with pytest.raises(Full):
            call(gate, person=None)
    call(gate, person="bob")


def test_whoever_waits_gets_the_place_that_becomes_free() -> None:
    """A waiting call starts when another ends, without being refused."""
    gate = Gate(at_once=1)
    entered, done = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        with gate.passing("bob"):
            done.set()

    with gate.passing("ann"):
        thread = threading.Thread(target=wait)
        thread.start()
        assert entered.wait(5)
    assert done.wait(5)
    thread.join(5)


def test_after_five_unanswered_calls_none_is_made() -> None:
    """The circuit opens: calls fail at once, for a quarter of a minute."""
    time = Time()
    gate = Gate(10, time)
    silent(gate, FAILURES)
    with pytest.raises(Silent):
        call(gate)
    time.now += PAUSE_SECONDS - 0.1
    with pytest.raises(Silent):
        call(gate, person="bob")


def test_one_probe_decides() -> None:
    """After the pause a single call is let through; its silence opens the circuit again, its answer closes it."""
    time = Time()
    gate = Gate(10, time)
    silent(gate, FAILURES)
    time.now += PAUSE_SECONDS
    with gate.passing("ann"), pytest.raises(Silent):
        call(gate, person="bob")
    call(gate, person="bob")

    silent(gate, FAILURES)
    time.now += PAUSE_SECONDS + WINDOW_SECONDS
    silent(gate, 1)
    with pytest.raises(Silent):
        call(gate)
    time.now += PAUSE_SECONDS
    call(gate)
    call(gate)


def test_a_probe_that_we_break_ourselves_decides_nothing() -> None:
    """A mistake of our own neither closes the circuit nor blocks the next probe."""
    time = Time()
    gate = Gate(10, time)
    silent(gate, FAILURES)
    time.now += PAUSE_SECONDS
    with pytest.raises(KeyError):
        call(gate, KeyError("ours"))
    call(gate)


@pytest.mark.parametrize(
    "between", [lambda gate, time: call(gate), lambda gate, time: setattr(time, "now", time.now + WINDOW_SECONDS + 1)]
)
def test_only_silence_in_a_row_and_in_a_short_time_counts(between: Callable[[Gate, Time], None]) -> None:
    """An answer in between, or enough time, and the count begins anew."""
    time = Time()
    gate = Gate(10, time)
    silent(gate, FAILURES - 1)
    between(gate, time)
    silent(gate, 1)
    call(gate)


def test_an_error_of_the_instance_is_no_silence() -> None:
    """Whoever answers with an error has answered."""
    gate = Gate(10, Time())
    for _ in range(FAILURES + 1):
        with pytest.raises(Broken):
            call(gate, Broken("500"))
    call(gate)


def test_places_are_given_back_after_errors() -> None:
    """No call keeps its place for ever."""
    gate = Gate(1, Time())
    for error in (Broken("x"), KeyError("x"), Unanswered("x")):
        with pytest.raises(type(error)):
            call(gate, error)
    call(gate)
