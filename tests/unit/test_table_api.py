"""Reads and writes of the Table API: what is asked for, what is repeated, and what answers are refused."""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from core.errors import Suspended
from core.records import Cell, Record
from core.times import Deadline
from core.upstream_errors import (
    AccessDenied,
    Broken,
    Busy,
    CallLimitReached,
    CircuitOpen,
    ConnectionLost,
    CredentialsRefused,
    CutShort,
    GatewayFailed,
    Hibernating,
    ServiceNowError,
    TokenRefused,
    Unanswered,
    Unreachable,
)
from http_client.exchange import HttpResponse
from servicenow.queries import Query, equals
from servicenow.table_api import TableApi, created_columns, meta_path, record_from, row_path, table_path
from servicenow.tokens import TokenManager
from servicenow.transport import Transport

SYS_ID = "0123456789abcdef" * 2
SECONDS = 20.0
DENIED = HttpResponse(401, {}, b'{"error": {"message": "User Not Authenticated", "detail": ""}}')


class Clock:
    """A clock that moves only while somebody sleeps or waits for an answer."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """As `time.sleep`."""
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class Sent:
    """One request."""

    method: str
    path: str
    token: str
    rest: dict[str, Any]


@dataclass
class FakeTransport:
    """
    Args:
        answers: What comes back, in this order; the last one again and again.
        seconds: How long each answer takes.
    """

    clock: Clock
    answers: list[HttpResponse | ServiceNowError] = field(default_factory=list)
    seconds: float = 0.0
    sent: list[Sent] = field(default_factory=list)

    def send(self, method: str, path: str, *, token: str, **rest: Any) -> HttpResponse:
        """As `Transport.send`."""
        self.sent.append(Sent(method, path, token, rest))
        self.clock.now += self.seconds
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class FakeTokens:
    """Tokens that are renewed whenever it is asked for."""

    calls: list[tuple[str, ...]] = field(default_factory=list)
    verdict: TokenRefused | Suspended = field(default_factory=lambda: TokenRefused("refused twice"))

    def bearer(self, person_id: str, deadline: Deadline) -> str:
        """As `TokenManager.bearer`."""
        self.calls.append(("bearer", person_id))
        return "old"

    def renew(self, person_id: str, refused_token: str, deadline: Deadline) -> str:
        """As `TokenManager.renew`."""
        self.calls.append(("renew", person_id, refused_token))
        return "new"

    def refused_again(self, person_id: str, refused_token: str) -> TokenRefused | Suspended:
        """As `TokenManager.refused_again`."""
        self.calls.append(("refused_again", person_id, refused_token))
        return self.verdict

    def accepted(self, person_id: str) -> None:
        """As `TokenManager.accepted`."""
        self.calls.append(("accepted", person_id))


class World:
    """The tables as ann sees them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.transport = FakeTransport(clock, [ok([])])
        self.tokens = FakeTokens()

    def tables(self, seconds: float = SECONDS, **more: bool) -> TableApi:
        """A call's clients, *seconds* before its deadline."""
        return TableApi(
            cast("Transport", self.transport),
            cast("TokenManager", self.tokens),
            "ann",
            Deadline(seconds, self.clock),
            **more,
        )

    def answer(self, *answers: HttpResponse | ServiceNowError, seconds: float = 0.0) -> None:
        """What comes back from now on."""
        self.transport.answers, self.transport.seconds = list(answers), seconds

    @property
    def asked(self) -> int:
        """How many requests went out."""
        return len(self.transport.sent)

    @property
    def only(self) -> Sent:
        """The one request that went out."""
        [sent] = self.transport.sent
        return sent


def ok(result: Any, **more: Any) -> HttpResponse:
    """A good answer."""
    return HttpResponse(200, {}, json.dumps({"result": result, **more}).encode())


def read(world: World, seconds: float = SECONDS, **more: bool) -> dict[str, Any]:
    """One read."""
    return world.tables(seconds, **more).get("/api/x", {"a": "b"})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Nobody really sleeps."""
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(time, "monotonic", clock)
    return World(clock)


def test_a_page_of_rows_is_requested_uncounted(world: World) -> None:
    """Counting rows and writing pagination headers cost ServiceNow time, and nothing reads them."""
    world.answer(ok([{"sys_id": "a"}, "no row", {"sys_id": "b"}]))
    found = world.tables().rows("incident", Query().where(equals("active", "true")), ("sys_id", "number"), 20)
    assert found == [{"sys_id": "a"}, {"sys_id": "b"}]
    assert (world.only.method, world.only.path) == ("GET", "/api/now/v2/table/incident")
    assert world.only.rest["params"] == {
        "sysparm_query": "active=true",
        "sysparm_fields": "sys_id,number",
        "sysparm_limit": "20",
        "sysparm_display_value": "false",
        "sysparm_exclude_reference_link": "true",
        "sysparm_no_count": "true",
        "sysparm_suppress_pagination_header": "true",
    }


def test_rows_come_as_displayed_if_asked_for(world: World) -> None:
    """The caller chooses the shape."""
    world.tables().rows("incident", Query(), ("number",), 1, display="all")
    assert world.only.rest["params"]["sysparm_display_value"] == "all"


def test_rows_that_arent_a_list_are_rejected(world: World) -> None:
    """An object in place of the list is an error, not an empty page."""
    world.answer(ok({"sys_id": "a"}))
    with pytest.raises(Broken, match="incident: no list"):
        world.tables().rows("incident", Query(), ("number",), 1)


BOTH = {"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"}
CELLS = {"sys_id": {"value": SYS_ID, "display_value": SYS_ID}, "state": {"value": "1", "display_value": "New"}}
RECORD = Record("incident", SYS_ID, {"sys_id": Cell(SYS_ID, SYS_ID), "state": Cell("1", "New")})


def test_a_row_is_read_in_both_shapes(world: World) -> None:
    """Raw for decisions, displayed for people."""
    world.answer(ok(CELLS))
    assert world.tables().row("incident", SYS_ID, ("sys_id", "state")) == RECORD
    assert (world.only.method, world.only.path) == ("GET", f"/api/now/v2/table/incident/{SYS_ID}")
    assert world.only.rest["params"] == {"sysparm_fields": "sys_id,state", **BOTH}


def test_an_insert_sends_raw_values_once(world: World) -> None:
    """It answers what the card, the confirmation and a later lookup need."""
    world.answer(ok(CELLS))
    assert world.tables().insert("incident", {"state": "1"}) == RECORD
    assert (world.only.method, world.only.path) == ("POST", "/api/now/v2/table/incident")
    assert world.only.rest["json"] == {"state": "1"}
    assert world.only.rest["file"] is None
    columns = created_columns("incident")
    assert world.only.rest["params"] == {
        "sysparm_fields": ",".join(columns),
        "sysparm_input_display_value": "false",
        **BOTH,
    }
    assert columns[-2:] == ("opened_at", "correlation_id")
    assert {"sys_id", "number", "state"} <= set(columns)


def test_an_update_sends_raw_values_once(world: World) -> None:
    """It answers the columns that were asked for."""
    world.answer(ok(CELLS))
    assert world.tables().update("incident", SYS_ID, {"state": "1"}, ("sys_id", "state")) == RECORD
    assert (world.only.method, world.only.path) == ("PATCH", f"/api/now/v2/table/incident/{SYS_ID}")
    assert world.only.rest["json"] == {"state": "1"}
    assert world.only.rest["params"] == {
        "sysparm_fields": "sys_id,state",
        "sysparm_input_display_value": "false",
        **BOTH,
    }


@pytest.mark.parametrize("result", [None, [], "text", {}, {"sys_id": ""}, {"number": "INC1"}])
def test_an_answer_without_a_row_is_rejected(world: World, result: Any) -> None:
    """Without a sys_id it's unknown which record was read or written."""
    world.answer(ok(result))
    with pytest.raises(Broken, match="incident: answered without a row"):
        world.tables().row("incident", SYS_ID, ("number",))


def test_other_writes_carry_what_they_are_given(world: World) -> None:
    """A body as JSON, or a file as the whole body."""
    world.answer(ok({"a": 1}))
    tables = world.tables()
    assert tables.post("/api/p", {"c": "d"}) == {"result": {"a": 1}}
    assert tables.write("DELETE", "/api/w", {"q": "1"}) == {"result": {"a": 1}}
    tables.write("PUT", "/api/w", {}, ["body"])
    assert tables.upload("/api/u", {"name": "x"}, "text/plain", b"file") == {"result": {"a": 1}}
    assert [
        (one.method, one.path, one.rest["params"], one.rest["json"], one.rest["file"]) for one in world.transport.sent
    ] == [
        ("POST", "/api/p", {}, {"c": "d"}, None),
        ("DELETE", "/api/w", {"q": "1"}, None, None),
        ("PUT", "/api/w", {}, ["body"], None),
        ("POST", "/api/u", {"name": "x"}, None, ("text/plain", b"file")),
    ]


def test_each_request_has_the_persons_token_share_and_deadline(world: World) -> None:
    """A call of one person never uses another's rights or more time than is left."""
    assert read(world) == {"result": []}
    sent = world.only
    assert (sent.token, sent.rest["person_id"]) == ("old", "ann")
    assert sent.rest["deadline"].left() == SECONDS
    assert world.tokens.calls == [("bearer", "ann"), ("accepted", "ann")]


def test_a_write_is_sent_again_after_a_401(world: World) -> None:
    """The access token expired between two calls. ServiceNow did nothing, so repeating a write is safe."""
    world.answer(DENIED, ok(CELLS))
    assert world.tables().insert("incident", {"state": "1"}) == RECORD
    assert [(one.token, one.rest["json"]) for one in world.transport.sent] == [
        ("old", {"state": "1"}),
        ("new", {"state": "1"}),
    ]
    assert world.tokens.calls == [("bearer", "ann"), ("renew", "ann", "old"), ("accepted", "ann")]


def test_the_token_manager_judges_a_second_401(world: World) -> None:
    """Only it knows whether this has lasted long enough to suspend the account."""
    world.answer(DENIED)
    with pytest.raises(TokenRefused, match="refused twice") as refused:
        read(world)
    assert isinstance(refused.value.__cause__, CredentialsRefused)
    assert world.asked == 2
    assert world.tokens.calls[-1] == ("refused_again", "ann", "new")


def test_a_failed_call_proves_no_token(world: World) -> None:
    """Earlier 401s are forgotten after an answer, not after a timeout."""
    world.answer(Unanswered("x"))
    with pytest.raises(Unanswered):
        world.tables().post("/api/p", {})
    assert world.tokens.calls == [("bearer", "ann")]


@pytest.mark.parametrize(
    ("passing", "error"),
    [
        *((kind("x"), kind) for kind in (Busy, CutShort, GatewayFailed, ConnectionLost, Unreachable)),
        (HttpResponse(503, {}, b""), Busy),
        (HttpResponse(200, {}, b'{"result": ['), CutShort),
    ],
)
def test_a_read_is_retried_twice_after_a_temporary_error(
    world: World, passing: HttpResponse | ServiceNowError, error: type[ServiceNowError]
) -> None:
    """The third answer counts; a third error is raised."""
    world.answer(passing, passing, ok(["x"]))
    assert read(world) == {"result": ["x"]}
    world.answer(passing)
    with pytest.raises(error):
        read(world)
    assert world.asked == 6
    assert [(one.method, one.path, one.rest["params"]) for one in world.transport.sent] == [
        ("GET", "/api/x", {"a": "b"})
    ] * 6


@pytest.mark.parametrize(
    "lasting",
    [
        CallLimitReached("x"),
        CircuitOpen("x"),
        Unanswered("x"),
        Broken("x"),
        Hibernating("x"),
        AccessDenied("x"),
        CallLimitReached("x", retry_after=1.0),
    ],
)
def test_a_read_isnt_retried_if_that_wouldnt_help(world: World, lasting: ServiceNowError) -> None:
    """Our own limits ask for fewer requests, and a timeout has used up the time."""
    world.answer(lasting)
    with pytest.raises(type(lasting)):
        read(world)
    assert world.asked == 1


def test_a_lookup_isnt_retried(world: World) -> None:
    """The next key sends another anyway."""
    assert read(world, retry=False) == {"result": []}
    world.answer(Busy("x"))
    with pytest.raises(Busy):
        read(world, retry=False)
    assert [(one.method, one.path, one.rest["params"]) for one in world.transport.sent] == [
        ("GET", "/api/x", {"a": "b"})
    ] * 2


def test_a_write_isnt_retried(world: World) -> None:
    """ServiceNow may have saved it."""
    world.answer(ConnectionLost("x"))
    tables = world.tables()
    writes: Sequence[Callable[[], object]] = [
        lambda: tables.insert("incident", {}),
        lambda: tables.update("incident", SYS_ID, {}, ()),
        lambda: tables.post("/api/p", {}),
        lambda: tables.write("PUT", "/api/w", {}),
        lambda: tables.upload("/api/u", {}, "text/plain", b""),
    ]
    for write in writes:
        with pytest.raises(ConnectionLost):
            write()
    assert world.asked == len(writes)


@pytest.mark.parametrize(("chosen", "pauses"), [(0, [0.2, 0.4]), (1, [0.5, 0.7])])
def test_the_pauses_between_reads_grow_and_differ(
    world: World, monkeypatch: pytest.MonkeyPatch, chosen: int, pauses: list[float]
) -> None:
    """Many calls that fail together don't come back together."""
    monkeypatch.setattr(random, "uniform", lambda *bounds: bounds[chosen])
    world.answer(Busy("x"))
    with pytest.raises(Busy):
        read(world)
    assert world.clock.pauses == pytest.approx(pauses)


@pytest.mark.parametrize(
    ("left", "seconds", "asked"),
    [
        (1.5, 0.375, 2),  # 1.125 s are left, then less than a second
        (1.5, 0.5, 1),  # exactly one second is left
        (0.9, 0.0, 1),
        (0.05, 0.0, 1),
    ],
)
def test_a_read_is_retried_while_more_than_a_second_is_left(
    world: World, left: float, seconds: float, asked: int
) -> None:
    """An answer needs that long, and Mattermost doesn't wait."""
    world.answer(Busy("x"), seconds=seconds)
    with pytest.raises(Busy):
        read(world, left)
    assert world.asked == asked


@pytest.mark.parametrize(
    ("wanted", "left", "pauses"),
    [
        (0.0, SECONDS, [0.05]),
        (3.0, SECONDS, [3.0]),
        (5.0, SECONDS, [5.0]),
        (5.5, SECONDS, []),
        (2.0, 3.0, [2.0]),
        (2.0, 2.75, []),
    ],
)
def test_retry_after_is_kept(world: World, wanted: float, left: float, pauses: list[float]) -> None:
    """Five seconds at most, and only if a second is left after it. Otherwise the error is raised at once."""
    world.answer(Busy("x", retry_after=wanted), ok([]))
    if pauses:
        assert read(world, left) == {"result": []}
    else:
        with pytest.raises(Busy):
            read(world, left)
    assert world.clock.pauses == pauses


@pytest.mark.parametrize("table", ["", "Incident", "1a", "a/b", "a?b", "incident ", "../a", "inc-ident"])
def test_a_url_takes_only_a_table_name(table: str) -> None:
    """Table names can come from a report or a subscription's row."""
    for path in (table_path, meta_path, lambda name: row_path(name, SYS_ID)):
        with pytest.raises(ValueError, match="is no table name"):
            path(table)


def test_urls_name_the_table_and_the_row() -> None:
    """Version 2 of the Table API, with the columns' classic names."""
    assert table_path("u_my_table2") == "/api/now/v2/table/u_my_table2"
    assert meta_path("incident") == "/api/now/ui/meta/incident"
    assert row_path("incident", SYS_ID) == f"/api/now/v2/table/incident/{SYS_ID}"


@pytest.mark.parametrize("sys_id", ["", SYS_ID[1:], SYS_ID.upper(), f"{SYS_ID}/a", "g" * 32])
def test_a_url_takes_only_a_sys_id(sys_id: str) -> None:
    """IDs come from buttons, reports and links."""
    with pytest.raises(ValueError, match="no sys_id"):
        row_path("incident", sys_id)


def test_a_row_becomes_a_record() -> None:
    """Empty and missing formats read as empty, a plain text as both, anything else is left out."""
    row: Mapping[str, Any] = {
        "sys_id": SYS_ID,
        "both": {"value": "1", "display_value": "One"},
        "empty": {"value": "", "display_value": None},
        "bare": {},
        "count": {"value": 3, "display_value": 4},
        "number": 5,
        "nothing": None,
    }
    assert record_from("incident", row) == Record(
        "incident",
        SYS_ID,
        {
            "sys_id": Cell(SYS_ID, SYS_ID),
            "both": Cell("1", "One"),
            "empty": Cell("", ""),
            "bare": Cell("", ""),
            "count": Cell("3", "4"),
        },
    )
    assert record_from("incident", {"number": "INC1"}).sys_id == ""
