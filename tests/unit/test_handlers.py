"""The handler registry, the command table and the lookups, by themselves."""

import threading

import pytest

from core.calls import Call, Kind, Reply, Text
from core.errors import UnknownRequest
from core.fields import Option
from core.menus import Requirement, UserStatus
from handlers import capabilities  # noqa: F401 - registers the handlers that menus lead to
from handlers.commands import command_words, help_lines, menus_of
from handlers.context import Context
from handlers.latest_only import LatestOnly
from handlers.registry import Registry, calls


def _answer(call: Call, context: Context) -> Reply:
    return Text("")


def test_two_handlers_for_one_path_prevent_the_start() -> None:
    """The second registration raises."""
    registry = Registry()
    registry.submit("a/b", needs=Requirement.NOTHING)(_answer)
    registry.form("a/b", needs=Requirement.NOTHING)(_answer)
    with pytest.raises(ValueError, match="two handlers for /a/b/submit"):
        registry.submit("a/b", needs=Requirement.NOTHING)(_answer)


def test_an_unknown_path_names_the_missing_registration() -> None:
    """The log helps the developer, the message helps the person."""
    with pytest.raises(UnknownRequest) as problem:
        calls.route("incident/crate", "submit")
    assert '@calls.submit("incident/crate"' in str(problem.value)
    assert "/servicenow incident create" in problem.value.user_message


def user_status(*, configured: bool = True, connected: bool = False, administrator: bool = False) -> UserStatus:
    """Where somebody stands."""
    return UserStatus(configured=configured, linked=connected, connected=connected, administrator=administrator)


@pytest.mark.parametrize("connected", [False, True])
def test_help_lists_exactly_what_the_menus_offer(connected: bool) -> None:
    """One table defines both, in the same order (spec D-47)."""
    here = user_status(connected=connected)
    offered = [" ".join(command.words) for command in menus_of(here, {}).commands]
    helped = [line.removeprefix("- `/servicenow ") for line in help_lines(here)]
    assert len(helped) == len(offered)
    assert all(line.startswith(words) for line, words in zip(helped, offered, strict=True))
    assert set(offered) <= set(command_words())


def test_nothing_that_needs_an_account_is_offered_without_one() -> None:
    """Without a configuration only help is offered; without a connection, connect and help."""
    assert [" ".join(c.words) for c in menus_of(user_status(configured=False), {}).commands] == ["help"]
    assert [" ".join(c.words) for c in menus_of(user_status(), {}).commands] == ["connect", "help"]


def test_replaced_lookups_are_empty_without_a_request() -> None:
    """Of those that wait while one runs, only the newest sends a request."""
    lookups = LatestOnly()
    asked: list[str] = []
    running, go_on = threading.Event(), threading.Event()

    def find(query: str) -> list[Option]:
        asked.append(query)
        running.set()
        go_on.wait(10)
        return [Option(query, query)]

    answers: dict[str, int] = {}

    def look_up(query: str) -> None:
        answers[query] = len(lookups.run("ann", "caller_id", query, find))

    threads = [threading.Thread(target=look_up, args=("ab",))]
    threads[0].start()
    running.wait(10)
    for query in ("abc", "abcd", "abcde"):
        threads.append(threading.Thread(target=look_up, args=(query,)))
        threads[-1].start()
        while lookups.newest("ann", "caller_id") < len(threads):
            running.wait(0.001)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert asked == ["ab", "abcde"]
    assert answers == {"ab": 1, "abc": 0, "abcd": 0, "abcde": 1}
    assert lookups.newest("ann", "caller_id") == 0  # nothing is kept


def test_a_short_query_sends_nothing() -> None:
    """No request is sent below two characters."""

    def find(query: str) -> list[Option]:
        raise AssertionError(query)

    assert LatestOnly().run("ann", "caller_id", " a ", find) == ()


def test_paths_end_in_a_kind() -> None:
    """Every registered path answers at /path/kind."""
    assert {route.kind for route in calls.routes} == set(Kind)
