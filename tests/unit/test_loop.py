"""When a thread runs its next round: at once, after a wait, when woken, and never after it was closed."""

import queue
import threading
from collections.abc import Iterator

import pytest
import structlog

from core.errors import StorageFailed
from notifications.loop import Loop, Loops

pytestmark = pytest.mark.usefixtures("every_log_line")

SECONDS = 5.0  # until a test fails


class Waits(threading.Condition):
    """Records for how long the loop wants to wait, and waits until it is notified."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait without the loop's limit."""
        if threading.current_thread().name == "rounds":
            self.seconds.put(timeout)
            timeout = None
        return super().wait(timeout)


class Rounds:
    """A loop whose rounds return, or raise, what a test says."""

    def __init__(self) -> None:
        self.results: queue.SimpleQueue[float | Exception] = queue.SimpleQueue()
        self.begun: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.count = 0
        self.waits = Waits()
        self.loop = Loop("rounds", self.run_round)
        self.loop._changed = self.waits

    def run_round(self) -> float:
        """The next result."""
        self.count += 1
        self.begun.put(self.count)
        result = self.results.get(timeout=SECONDS)
        if isinstance(result, Exception):
            raise result
        return result

    def waited(self) -> float | None:
        """For how long the loop wants to wait now."""
        return self.waits.seconds.get(timeout=SECONDS)


@pytest.fixture
def rounds() -> Iterator[Rounds]:
    """Started; its first round waits for its result."""
    made = Rounds()
    made.loop.start()
    yield made
    for _ in range(3):
        made.results.put(1.0)
    made.loop.close(SECONDS)


def test_rounds_follow_each_other_until_one_waits(rounds: Rounds) -> None:
    """It waits the returned seconds, at most thirty."""
    for result in (0.0, 0.0, 7.0):
        rounds.results.put(result)
    assert rounds.waited() == 7.0
    assert rounds.count == 3
    for asked, waited in ((30.0, 30.0), (31.0, 30.0)):
        rounds.results.put(asked)
        rounds.loop.wake()
        assert rounds.waited() == waited


def test_waking_during_a_round_runs_another_one_at_once(rounds: Rounds) -> None:
    """The running round may have missed the reason."""
    assert rounds.begun.get(timeout=SECONDS) == 1
    rounds.loop.wake()
    rounds.results.put(5.0)
    rounds.results.put(6.0)
    assert rounds.waited() == 6.0
    assert rounds.count == 2


@pytest.mark.parametrize(
    ("error", "logged"),
    [(StorageFailed("disk full"), ("reason", "disk full")), (ValueError("why"), ("exc_info", "why"))],
)
def test_a_failed_round_is_logged_and_followed_by_another_after_a_second(
    rounds: Rounds, error: Exception, logged: tuple[str, str]
) -> None:
    """Whatever it raises, the thread keeps running."""
    with structlog.testing.capture_logs() as logs:
        rounds.results.put(error)
        assert rounds.waited() == 1.0
    [line] = logs
    assert (line["event"], line["log_level"], line["thread"]) == ("round failed", "error", "rounds")
    assert logged[1] in str(line[logged[0]])
    rounds.results.put(2.0)
    rounds.loop.wake()
    assert rounds.waited() == 2.0


def test_settling_waits_for_an_idle_round_that_starts_later(rounds: Rounds) -> None:
    """A round that is already running may have missed what is due, and one with something to do isn't the last."""
    assert rounds.begun.get(timeout=SECONDS) == 1
    done = threading.Event()

    def settle() -> None:
        if rounds.loop.settle(SECONDS):
            done.set()

    thread = threading.Thread(target=settle)
    thread.start()
    while not rounds.loop._woken:
        pass  # until it waits
    rounds.results.put(3.0)
    assert rounds.begun.get(timeout=SECONDS) == 2
    assert not done.is_set()
    rounds.results.put(0.0)
    assert rounds.begun.get(timeout=SECONDS) == 3
    assert not done.is_set()
    rounds.results.put(4.0)
    assert done.wait(SECONDS)
    assert rounds.waited() == 4.0
    thread.join()


def test_settling_times_out(rounds: Rounds) -> None:
    """Nobody waits forever for a thread that hangs or hasn't started."""
    assert rounds.begun.get(timeout=SECONDS) == 1
    assert not rounds.loop.settle(0.01)
    assert rounds.count == 1
    assert not Rounds().loop.settle(0.01)


@pytest.mark.parametrize("result", [0.0, 9.0])
def test_a_loop_ends_after_its_round(rounds: Rounds, result: float) -> None:
    """A running round is finished, nothing follows, not even a wait, and callers of settle return."""
    assert rounds.begun.get(timeout=SECONDS) == 1
    rounds.loop.close(0.01)
    assert rounds.loop._thread is not None
    assert rounds.loop._thread.is_alive()
    assert rounds.loop.settle(SECONDS)
    rounds.results.put(result)
    rounds.loop.close(SECONDS)
    assert not rounds.loop._thread.is_alive()
    assert rounds.count == 1


def test_closing_during_a_round_starts_no_wait(rounds: Rounds) -> None:
    """Otherwise, a restart would take as long as the wait."""
    assert rounds.begun.get(timeout=SECONDS) == 1
    rounds.loop.close(0.01)
    rounds.results.put(9.0)
    rounds.loop.close(SECONDS)
    assert rounds.waits.seconds.empty()
    assert rounds.loop._thread is not None
    assert not rounds.loop._thread.is_alive()


def test_closing_ends_a_wait(rounds: Rounds) -> None:
    """Even of a thread that never started."""
    rounds.results.put(9.0)
    assert rounds.waited() == 9.0
    rounds.loop.close(SECONDS)
    assert rounds.loop._thread is not None
    assert not rounds.loop._thread.is_alive()
    assert rounds.loop._thread.daemon
    Rounds().loop.close()


def test_several_loops_are_handled_as_one() -> None:
    """Each of them starts, is woken, settles, and ends."""
    both = [Rounds(), Rounds()]
    loops = Loops(*(one.loop for one in both))
    for one in both:
        one.results.put(5.0)
    loops.start()
    assert [one.waited() for one in both] == [5.0, 5.0]
    for one in both:
        one.results.put(6.0)
    loops.wake()
    assert [one.waited() for one in both] == [6.0, 6.0]
    for one in both:
        for seconds in (7.0, 8.0):
            one.results.put(seconds)
    loops.settle()
    assert all(one.count >= 3 for one in both)
    loops.close()
    assert not any(one.loop._thread is None or one.loop._thread.is_alive() for one in both)
