"""The scripts' logic that needs no records: tokens, journal text, ASCII JSON, retries, stages and splitting."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import quickjs
from hypothesis import given
from hypothesis import strategies as st

from tests.updateset.artifact import includes

_CLASS = "var Class = {create: function () { return function () { this.initialize.apply(this, arguments); }; }};"


@cache
def context() -> quickjs.Context:
    """All script includes, without a platform."""
    engine = quickjs.Context()
    engine.eval(_CLASS)
    for text in includes():
        engine.eval(text)
    engine.eval(
        "function ask(name, method, given) {"
        " var answer = new this[name]()[method].apply(new this[name](), JSON.parse(given));"
        " return JSON.stringify(answer === undefined ? null : answer); }"
    )
    return engine


def utils(method: str, *given: Any) -> Any:
    """Call a method of the utilities."""
    return _ask("ServiceNowForMattermostUtils", method, *given)


def reports(method: str, *given: Any) -> Any:
    """Call a method of the reports."""
    return _ask("ServiceNowForMattermostReports", method, *given)


def _ask(name: str, method: str, *given: Any) -> Any:
    ask: Callable[[str, str, str], str] = context().get("ask")
    return json.loads(ask(name, method, json.dumps(given)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("state,priority", ["state", "priority"]),
        (" state ,, priority , state,", ["state", "priority"]),
        ("", []),
        (None, []),
        ("estate", ["estate"]),
    ],
)
def test_tokens_are_whole_words(text: str | None, words: list[str]) -> None:
    """They are split at commas, trimmed and unique. An empty column has none."""
    assert utils("tokens", text) == words


def test_a_token_does_not_match_a_part_of_another() -> None:
    """`estate` and `state_change` don't match `state`, although they contain it."""
    assert utils("share", ["state"], ["estate", "state_change"]) is False
    assert utils("share", ["x", "state"], ["state"]) is True
    assert utils("share", [], ["state"]) is False


@given(st.dictionaries(st.text(), st.text()))
def test_json_is_ascii_and_decodes_to_the_same_value(value: dict[str, str]) -> None:
    """It is printable ASCII without dollar signs, which the platform could substitute."""
    engine = context()
    engine.eval("function ascii(text) { return new ServiceNowForMattermostUtils().asciiJson(JSON.parse(text)); }")
    written = engine.get("ascii")(json.dumps(value))
    assert written.isascii()
    assert written.isprintable()
    assert "$" not in written
    assert json.loads(written) == value


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("2026-07-28 23:46:48 - Abel Tuter (Additional comments)\nfirst\n\nsecond\n\n", "first\n\nsecond"),
        ("28.07.2026 23:46:48 - Abel Tuter (Zus\u00e4tzliche Kommentare)\r\nja\r\n", "ja"),
        ("07/28/2026 11:46:48 PM - A - B (C) (Work notes)\ntext", "text"),
        ("text without a heading (really)\nmore", "text without a heading (really)\nmore"),
        (
            "2026-07-28 23:46:48 - A (Comments)\n2026-01-01 10:00:00 - quoted (text)\nx",
            "2026-01-01 10:00:00 - quoted (text)\nx",
        ),
        ("2026-07-28 23:46:48 - A (Comments)\n", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_heading_of_a_journal_entry_is_removed_once(entry: str | None, text: str) -> None:
    """This works for any date format and language. Text in the entry that looks like a heading is kept."""
    assert utils("journalText", entry) == text


@pytest.mark.parametrize(
    ("own", "newest", "text"),
    [
        ("Mine", "2026-11-24 14:02:33 - Ann (Comments)\nSomebody else's\n\n", "Mine"),
        ("Mine\n\nstill \n", "2026-11-24 14:02:33 - Ann (Comments)\nMine\n\nstill\n\n", "Mine\n\nstill"),
        ("2026-11-24 14:02:33 - Ann (Comments)\nquoted", "2026-11-24 15:00:00 - Bo (Comments)\nx", None),
        ("", "2026-11-24 14:02:33 - Ann (Comments)\nMine\n\n", "Mine"),
        (
            "2026-11-24 14:02:33 - Ann (Comments)\nMine\n\n2026-11-24 14:01:00 - Bo (Comments)\nOlder\n\n",
            "2026-11-24 14:02:33 - Ann (Comments)\nMine\n\n",
            "Mine",
        ),
        ("Mine", "", "Mine"),
        (None, None, ""),
        ("x" * 20000, "", "x" * 7999 + "\u2026"),
    ],
)
def test_a_save_is_reported_with_its_own_text(own: str | None, newest: str | None, text: str | None) -> None:
    """A concurrent entry isn't used. The newest entry is used if the column is empty or has all entries."""
    assert utils("writtenText", own, newest) == (own if text is None else text)


def test_long_texts_are_truncated_with_an_ellipsis() -> None:
    """A comment is cut at its limit, but never within an emoji."""
    assert utils("cut", "abcdef", 6) == "abcdef"
    assert utils("cut", "abcdefg", 6) == "abcde\u2026"
    assert utils("cut", "abcd\U0001f600xx", 6) == "abcd\u2026"
    assert len(utils("journalText", "x" * 20000)) == 8000


def test_retry_delays_double_up_to_an_hour() -> None:
    """The delays are in seconds after each failed attempt."""
    waits = [utils("backoff", attempt) for attempt in range(1, 12)]
    assert waits == [5, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert utils("backoff", 10_000) == 3600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Tue, 24 Nov 2026 12:05:00 GMT", 300),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("999999999", 21600),
        ("soon", 0),
        ("-5", 0),
        (None, 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: int) -> None:
    """An invalid value counts as 0. The delay is at most six hours."""
    noon = 1_795_521_600_000  # 24 November 2026, 12:00 UTC
    assert utils("retryAfter", header, noon) == seconds


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "delivered"),
        (202, "delivered"),
        (299, "delivered"),
        (400, "dead"),
        (413, "dead"),
        *((status, "retry") for status in (0, 301, 302, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504)),
    ],
)
def test_outcome_by_status(status: int, outcome: str) -> None:
    """Only 400 and 413 are permanent. Other errors are retried, even 401 and 404."""
    assert utils("outcome", status) == outcome


@pytest.mark.parametrize(
    "query",
    [
        "caller_id=javascript:gs.getUserID()",
        "caller_id=JavaScript:x()",
        "a=java script :x",
        "a=java\u200bscript\t:\nx",
        "a=\u00a0j a v a s c r i p t:1",
    ],
)
def test_scripts_in_filters_are_detected(query: str) -> None:
    """Case, spaces and invisible characters don't hide a script."""
    assert utils("runsScript", query) is True


def test_the_word_javascript_alone_is_not_a_script() -> None:
    """A filter can search for the word."""
    assert utils("runsScript", "short_descriptionLIKEjavascript error^priority<=2") is False


INCIDENT = ["incident", "task"]


@pytest.mark.parametrize(
    ("tables", "state", "active", "stage"),
    [
        (INCIDENT, "1", "1", "open"),
        (INCIDENT, "3", "true", "open"),  # on hold, though 3 closes a task
        (INCIDENT, "6", "1", "resolved"),
        (INCIDENT, "6", "0", "resolved"),
        (INCIDENT, "7", "0", "closed"),
        (INCIDENT, "99", "false", "closed"),
        (["u_outage", *INCIDENT], "6", "1", "resolved"),
        (["problem", "task"], "106", "1", "resolved"),
        (["change_request", "task"], "0", "1", "open"),
        (["change_request", "task"], "3", "1", "closed"),
        (["sc_task", "task"], "3", "1", "closed"),
        (["kb_knowledge"], "published", "1", "open"),
        (["kb_knowledge"], "retired", "1", "closed"),
        (["u_other"], "3", "", "open"),
    ],
)
def test_stages_depend_on_the_class(tables: list[str], state: str, active: str, stage: str) -> None:
    """The nearest known class decides. An inactive record is closed."""
    assert utils("stage", tables, state, active) == stage


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        ("open", "resolved", "resolved"),
        ("open", "closed", "closed"),
        ("resolved", "closed", "closed"),
        ("resolved", "open", "reopened"),
        ("closed", "open", "reopened"),
        ("closed", "resolved", "resolved"),
        ("open", "open", ""),
    ],
)
def test_events_of_stage_changes(before: str, after: str, event: str) -> None:
    """A change of stage has one token."""
    assert utils("stageEvent", before, after) == event


def _subscription(number: int, size: int = 0) -> dict[str, str]:
    return {"sys_id": f"{number:032x}", "filler": "\u00e9" * size}


@pytest.mark.parametrize(("count", "parts"), [(1, [1]), (200, [200]), (201, [200, 1]), (450, [200, 200, 50])])
def test_no_report_has_over_200_subscriptions(count: int, parts: list[int]) -> None:
    """The others go into further reports, without duplicates or losses."""
    given = [_subscription(number) for number in range(count)]
    found = reports("split", {"record": {}, "subscriptions": []}, given)
    assert [len(one["subscriptions"]) for one in found] == parts
    assert [subscription for one in found for subscription in one["subscriptions"]] == given


def test_no_report_exceeds_the_receiver_s_limit() -> None:
    """A report with large subscriptions has fewer of them, so that it remains under 256 KiB."""
    given = [_subscription(number, 1000) for number in range(100)]
    found = reports("split", {"comments": ["\u00e9" * 16000], "subscriptions": []}, given)
    assert len(found) > 1
    assert [subscription for one in found for subscription in one["subscriptions"]] == given
    for one in found:
        assert len(json.dumps(one, ensure_ascii=True)) < 256 * 1024
