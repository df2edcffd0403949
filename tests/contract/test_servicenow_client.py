"""The ServiceNow client against the double: whole exchanges on real sockets, and everything that goes wrong."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
import stamina
import structlog
from requests.adapters import HTTPAdapter

from core.accounts import Account, Tokens
from core.base import BASE_COLUMNS
from core.deadline import Deadline
from core.errors import (
    AccessDenied,
    Asleep,
    Broken,
    Busy,
    Dropped,
    Misdirected,
    NotInstalled,
    OAuthRefused,
    Refused,
    ServiceNowError,
    Suspended,
    TooLong,
    Unanswered,
    Unreachable,
)
from core.records import Identity
from sandbox.servicenow import ServiceNowDouble
from servicenow.choices import SECONDS, ColumnCache
from servicenow.classify import CutShort, InsertHidden
from servicenow.client import ServiceNowClient, ServiceNowClients
from servicenow.links import ClassicLinks
from servicenow.oauth import OAuthClient
from servicenow.tokens import TokenKeeper
from servicenow.transport import Transport

REDIRECT = "http://chat.example/plugins/com.mattermost.apps/apps/servicenow/oauth2/remote/complete"
VERIFIER = "v" * 43
INSERT = {"short_description": "Printer burns", "correlation_id": "0123456789abcdef", "urgency": "1", "impact": "1"}
FORM_SECONDS = 8.0


class MemoryAccounts:
    """Accounts in memory, with the port's rule about versions."""

    def __init__(self) -> None:
        self.kept: dict[str, Account] = {}

    def get(self, person_id: str) -> Account | None:
        """What is stored."""
        return self.kept.get(person_id)

    def put(self, account: Account) -> bool:
        """Only a newer version wins."""
        stored = self.kept.get(account.person_id)
        if stored is not None and stored.version >= account.version:
            return False
        self.kept[account.person_id] = account
        return True

    def delete(self, person_id: str) -> None:
        """Gone."""
        self.kept.pop(person_id, None)

    def all(self) -> Sequence[Account]:
        """All."""
        return list(self.kept.values())


class World:
    """The double, and everything of ours that talks to it; time moves in both alike."""

    def __init__(self, double: ServiceNowDouble) -> None:
        self.double = double
        self.offset = 0.0
        double.store.insert(
            "oauth_entity",
            {"name": "Mattermost", "client_id": "c" * 32, "client_secret": "hush", "redirect_url": REDIRECT},
            "system",
        )
        self.accounts = MemoryAccounts()
        self.transport = Transport(double.url, at_once=24)
        self.oauth = self.oauth_client()
        self.keeper = TokenKeeper(
            self.accounts,
            self.oauth,
            instance=double.url,
            connect_address="http://chat.example/connect",
            clock=self.clock,
            on_client_suspect=lambda: None,
        )
        self.clients = ServiceNowClients(
            self.transport, self.keeper, self.accounts, ColumnCache(self.clock), self.clock
        )

    def clock(self) -> float:
        """Unix seconds."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass on both sides."""
        self.offset += seconds
        self.double.advance(seconds)

    def oauth_client(self, secret: str = "hush") -> OAuthClient:
        """A client of the registered application."""
        return OAuthClient(
            self.transport,
            client_id="c" * 32,
            client_secret=secret,
            redirect_address=REDIRECT,
            fingerprint_key=b"key",
            clock=self.clock,
        )

    def code(self, name: str) -> str:
        """Walk through sign-in and consent with a browser, as *name*; the code that comes back."""
        address = self.oauth.authorization_address("state-1", VERIFIER)
        with requests.Session() as browser:
            login = browser.get(address, timeout=5).url
            browser.post(login, data={"user_name": name, "user_password": "sandbox-1"}, timeout=5)
            answer = browser.post(address, data={"allow": "1"}, allow_redirects=False, timeout=5)
        back = answer.headers["Location"]
        assert back.startswith(REDIRECT)
        given = parse_qs(urlsplit(back).query)
        assert given["state"] == ["state-1"]
        return given["code"][0]

    def connect(self, name: str) -> Tokens:
        """Connect *name*, and forget the requests that it took."""
        tokens = self.oauth.exchange(self.code(name), VERIFIER)
        identity = self.oauth.identify(tokens)
        self.accounts.put(
            Account(
                person_id=name,
                instance=self.double.url,
                tokens=tokens,
                identity=identity,
                connected_at=self.clock(),
            )
        )
        self.double.clear_requests()
        return tokens

    def client(self, name: str = "agent", seconds: float = FORM_SECONDS) -> ServiceNowClient:
        """A client for one call of *name*, who is connected when that is missing."""
        if name not in self.accounts.kept:
            self.connect(name)
        return self.clients.client_for(name, Deadline(seconds))

    def asked(self, method: str, path: str) -> list[dict[str, Any]]:
        """Requests that came in."""
        return [r for r in self.double.requests() if r["method"] == method and r["path"].startswith(path)]

    def printers(self) -> list[dict[str, str]]:
        """The rows that `INSERT` made."""
        return [row for row in self.double.rows("incident") if row["short_description"] == "Printer burns"]


@pytest.fixture(scope="module")
def double() -> Iterator[ServiceNowDouble]:
    """One server for all tests; each starts with a fresh instance."""
    with ServiceNowDouble() as one:
        yield one


@pytest.fixture
def world(double: ServiceNowDouble) -> Iterator[World]:
    """A fresh instance, and retries without their pauses."""
    double.reset()
    with stamina.set_testing(True, attempts=3, cap=True):
        yield World(double)
    double.clear_faults()


# --- connecting


def test_a_person_is_who_signed_in(world: World) -> None:
    """Code with PKCE, tokens for half an hour, and the identity behind them."""
    tokens = world.oauth.exchange(world.code("agent2"), VERIFIER)
    assert 1700 < tokens.expires_at - world.clock() < 1801
    assert tokens.refresh_token
    identity = world.oauth.identify(tokens)
    assert (identity.user_name, identity.name, identity.language) == ("agent2", "Aiko Agent", "de")
    assert identity.known


@pytest.mark.parametrize("wrong", ["code", "verifier", "secret", "twice"])
def test_a_wrong_exchange_is_refused(world: World, wrong: str) -> None:
    """All of it looks alike at ServiceNow, and is one error here."""
    code = world.code("agent")
    oauth = world.oauth_client("wrong") if wrong == "secret" else world.oauth
    if wrong == "twice":
        oauth.exchange(code, VERIFIER)
    with pytest.raises(OAuthRefused):
        oauth.exchange("made-up" if wrong == "code" else code, "w" * 43 if wrong == "verifier" else VERIFIER)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        *(("hibernating", Asleep), ("html_login", Misdirected), ("429_bare", Busy), ("500", Broken)),
        *(("202", Dropped),),
    ],
)
def test_a_sick_token_endpoint_refuses_nobody(world: World, kind: str, error: type[ServiceNowError]) -> None:
    """A refresh that meets a fault tells the fault, suspends nobody, and the next one works."""
    world.client()
    before = world.accounts.kept["agent"]
    world.advance(1800)
    world.double.fault(kind, "/oauth_token.do")
    with pytest.raises(error):
        world.client().find_groups("net")
    assert world.accounts.kept["agent"] == before
    assert world.client().find_groups("net")
    assert len(world.asked("POST", "/oauth_token.do")) == 2


def test_a_slow_token_endpoint_keeps_the_calls_deadline(world: World) -> None:
    """A look-up does not wait longer because its token had to be refreshed."""
    world.client()
    world.advance(1800)
    world.double.fault("slow", "/oauth_token.do", seconds=30)
    began = time.monotonic()
    with pytest.raises(Unanswered):
        world.client(seconds=0.6).find_groups("net")
    assert time.monotonic() - began < 3
    assert not world.accounts.kept["agent"].suspended


def test_a_refused_refresh_suspends_and_deletes_nothing(world: World) -> None:
    """One question; then the person has to connect again."""
    tokens = world.connect("agent")
    world.advance(1800)
    world.double.fault("refresh_refused", "/oauth_token.do")
    for _ in range(2):
        with pytest.raises(Suspended):
            world.client().find_groups("net")
    assert len(world.asked("POST", "/oauth_token.do")) == 1
    assert world.accounts.kept["agent"].tokens == tokens


def test_a_refresh_without_a_refresh_token_keeps_the_old_one(world: World) -> None:
    """ServiceNow may answer with an access token alone."""
    tokens = world.connect("agent")
    world.double.fault("no_refresh_token", "/oauth_token.do")
    renewed = world.oauth.refresh(tokens)
    assert (renewed.refresh_token, renewed.granted_at) == (tokens.refresh_token, tokens.granted_at)
    assert renewed.access_token != tokens.access_token


def test_a_connection_without_a_refresh_token_ends_with_its_access_token(world: World) -> None:
    """Public clients get none: then the person connects again, and ServiceNow is not asked in vain."""
    world.double.fault("no_refresh_token", "/oauth_token.do")
    tokens = world.connect("agent")
    assert tokens.refresh_token == ""
    world.advance(1800)
    with pytest.raises(Suspended):
        world.client().find_groups("net")
    assert world.asked("POST", "/oauth_token.do") == []


def test_a_disconnect_revokes_both_tokens(world: World) -> None:
    """Neither works afterwards, and neither was in an address."""
    tokens = world.connect("agent")
    world.oauth.revoke(tokens)
    assert world.double.oauth.owner(tokens.access_token) == ""
    with pytest.raises(OAuthRefused):
        world.oauth.refresh(tokens)
    assert [request["query"] for request in world.asked("POST", "/oauth_revoke_token.do")] == ["", ""]


@pytest.mark.parametrize("kind", ["hibernating", "html_login", "500", "401"])
def test_an_unconfirmed_revocation_is_told(world: World, kind: str) -> None:
    """An instance that answers with a page has revoked nothing."""
    tokens = world.connect("agent")
    world.double.fault(kind, "/oauth_revoke_token.do", times=2)
    with pytest.raises(ServiceNowError):
        world.oauth.revoke(tokens)


def test_who_may_not_read_people_stays_unknown(world: World) -> None:
    """A closed `sys_user` breaks no connection."""
    tokens = world.connect("agent")
    world.double.fault("empty_acl", "/api/now/v2/table/sys_user")
    assert world.oauth.identify(tokens) == Identity()


def test_the_fingerprint_tells_clients_apart_and_nothing_else(world: World) -> None:
    """It changes with the secret, and shows neither id nor secret."""
    one, other = world.oauth.client_fingerprint, world.oauth_client("other").client_fingerprint
    assert one != other
    assert one == world.oauth_client().client_fingerprint
    assert "hush" not in one


# --- tokens in use


def test_ten_parallel_calls_make_one_refresh(world: World) -> None:
    """Their token has expired; whoever comes first refreshes for all, and the result is stored."""
    world.client()
    world.advance(1800)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(_tolerant(world))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 10
    assert len(world.asked("POST", "/oauth_token.do")) == 1
    assert world.accounts.kept["agent"].version == 2


def _tolerant(world: World) -> Any:
    """Ten calls of one person at once may exceed the person's three places; that is not the point here."""
    try:
        return world.client().find_groups("net")
    except Busy as busy:
        return busy


def test_a_token_that_dies_between_two_calls_is_replaced(world: World) -> None:
    """401 to a token that should live: one refresh, the same call again, a write as well as a read."""
    world.client().find_groups("net")
    world.double.oauth.expire_access()
    assert world.client().create("incident", INSERT).number
    world.double.oauth.expire_access()
    assert world.client().find_groups("net")
    assert len(world.printers()) == 1
    assert len(world.asked("POST", "/oauth_token.do")) == 2


def test_a_second_401_suspends(world: World) -> None:
    """Refused with a fresh token: nothing that this call could do."""
    client = world.client()
    world.double.fault("401", "/api", times=2)
    with pytest.raises(Suspended):
        client.create("incident", INSERT)
    assert world.accounts.kept["agent"].suspended
    assert world.printers() == []


def test_two_people_share_a_connection_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance sets session cookies on every answer; none comes back, with nobody's token."""
    seen: list[tuple[requests.PreparedRequest, requests.Response]] = []
    send = HTTPAdapter.send

    def spy(self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = send(self, request, *args, **kwargs)
        seen.append((request, response))
        return response

    people = ("agent", "agent2", "agent", "agent2")
    for name in people:
        world.client(name)
    monkeypatch.setattr(HTTPAdapter, "send", spy)
    for name in people:
        world.client(name).find_groups("net")
    assert len(seen) == 4
    assert all("JSESSIONID" in response.headers["Set-Cookie"] for _, response in seen)
    assert all("Cookie" not in request.headers for request, _ in seen)
    assert len({request.headers["Authorization"] for request, _ in seen}) == 2
    assert len({request["connection"] for request in world.double.requests()}) == 1


# --- creating


def test_a_record_is_created_in_one_round_trip(world: World) -> None:
    """The answer holds all that a card shows, both as stored and as the account reads it."""
    record = world.client("agent2").create("incident", INSERT)
    assert record.number.startswith("INC")
    assert record.display("priority") == "1 - Kritisch"
    assert (record.value("state"), record.value("sys_mod_count")) == ("1", "0")
    assert record.value("correlation_id") == INSERT["correlation_id"]
    assert [(r["method"], r["path"]) for r in world.double.requests()] == [("POST", "/api/now/v2/table/incident")]
    assert world.printers()[0]["sys_id"] == record.sys_id


@pytest.mark.parametrize(
    ("kind", "error", "saved"),
    [
        *(("hibernating", Asleep, 0), ("html_login", Misdirected, 0), ("429", Busy, 0), ("429_bare", Busy, 0)),
        *(("500", Broken, 0), ("202", Dropped, 0), ("414", TooLong, 0)),
        *(("500_after_commit", Broken, 1), ("403_after_insert", InsertHidden, 1), ("truncated", CutShort, 1)),
    ],
)
def test_a_failed_insert_is_never_repeated(world: World, kind: str, error: type[ServiceNowError], saved: int) -> None:
    """One POST in every case; where it may have been saved, that is said, and looking for it tells."""
    client = world.client()
    since = world.clock()
    world.double.fault(kind, "/api/now/v2/table/incident")
    with pytest.raises(error) as caught:
        client.create("incident", INSERT)
    assert type(caught.value) is error
    assert len(world.asked("POST", "/api")) == 1
    assert len(world.printers()) == saved
    assert caught.value.may_have_been_saved or not saved
    found = client.find_created("incident", INSERT, since)
    assert (found.sys_id if found else None) == (world.printers()[0]["sys_id"] if saved else None)


def test_an_unanswered_insert_is_found_later(world: World) -> None:
    """ServiceNow took longer than the call may; the row came into being all the same."""
    client = world.client(seconds=0.5)
    since = world.clock()
    world.double.fault("slow", "/api/now/v2/table/incident", seconds=30)
    with pytest.raises(Unanswered) as caught:
        client.create("incident", INSERT)
    assert caught.value.may_have_been_saved
    with pytest.raises(Unreachable):
        client.find_created("incident", INSERT, since)
    world.double.clear_faults()
    deadline = time.monotonic() + 5
    while not world.printers() and time.monotonic() < deadline:
        pass
    assert world.client().find_created("incident", INSERT, since) is not None


def test_a_row_is_found_without_its_correlation_id(world: World) -> None:
    """Where the column does not read back: by opener, short description and time."""
    client = world.client()
    since = world.clock()
    made = client.create("incident", INSERT)
    world.double.fault("strip_field", "/api/now/v2/table/incident", times=50)
    found = client.find_created("incident", INSERT, since)
    assert found is not None
    assert found.sys_id == made.sys_id
    assert client.find_created("incident", INSERT | {"short_description": "Another"}, since) is None


def test_a_dropped_condition_finds_no_stranger(world: World) -> None:
    """Without the column ServiceNow drops the condition and answers with any rows: none of them is ours."""
    client = world.client()
    since = world.clock()
    del world.double.store.tables["task"].columns["correlation_id"]
    assert client.find_created("incident", INSERT, since) is None
    made = client.create("incident", INSERT)
    found = client.find_created("incident", INSERT, since)
    assert found is not None
    assert found.sys_id == made.sys_id


def test_nobody_elses_and_no_older_row_is_taken_for_ours(world: World) -> None:
    """The same words by another person, long ago or of another form are another record."""
    world.client("agent2").create("incident", INSERT | {"correlation_id": ""})
    world.client("agent").create("incident", INSERT | {"correlation_id": ""})
    world.advance(1000)
    world.client("agent").create("incident", INSERT | {"correlation_id": "f" * 16})
    assert world.client("agent").find_created("incident", INSERT, world.clock()) is None


def test_mandatory_fields_are_named(world: World) -> None:
    """A data policy of the instance becomes labels that a capability puts at its fields."""
    world.double.store.insert(
        "sys_dictionary",
        {"name": "incident", "element": "u_cost_center", "column_label": "Cost center", "mandatory": "true"},
        "admin",
    )
    with pytest.raises(Refused) as caught:
        world.client().create("incident", INSERT)
    assert caught.value.labels == ("Cost center",)


def test_what_an_account_may_not_or_cannot_open(world: World) -> None:
    """A right that is missing is sure: nothing to look for; a table that is missing is not installed."""
    with pytest.raises(AccessDenied) as caught:
        world.client("requester").create("task", INSERT)
    assert not caught.value.may_have_been_saved
    with pytest.raises(NotInstalled):
        world.client().create("x_example_case", INSERT)


# --- reading


@pytest.mark.parametrize(
    ("kind", "error", "asked"),
    [
        *(("429", None, 2), ("429_bare", None, 2), ("truncated", None, 2)),
        *(("hibernating", Asleep, 1), ("html_login", Misdirected, 1), ("500", Broken, 1), ("202", Dropped, 1)),
    ],
)
def test_reads_are_repeated_where_that_helps(
    world: World, kind: str, error: type[ServiceNowError] | None, asked: int
) -> None:
    """What passes by itself is tried again, at most twice; what does not is told at once."""
    client = world.client()
    world.double.fault(kind, "/api/now/v2/table/incident")
    since = world.clock()
    if error is None:
        assert client.find_created("incident", INSERT, since) is None
        asked += 1  # looking takes two reads
    else:
        with pytest.raises(error):
            client.find_created("incident", INSERT, since)
    assert len(world.asked("GET", "/api/now/v2/table/incident")) == asked


def test_reads_are_repeated_twice_at_most(world: World) -> None:
    """Then the error is told."""
    client = world.client()
    world.double.fault("429_bare", "/api/now/v2/table/incident", times=10)
    with pytest.raises(Busy):
        client.find_created("incident", INSERT, world.clock())
    assert len(world.asked("GET", "/api/now/v2/table/incident")) == 3


def test_a_pause_longer_than_the_call_is_not_waited_for(world: World) -> None:
    """ServiceNow asks for a minute; the person is told instead."""
    client = world.client()
    world.double.fault("429", "/api/now/v2/table/incident", seconds=60)
    with pytest.raises(Busy):
        client.find_created("incident", INSERT, world.clock())
    assert len(world.asked("GET", "/api/now/v2/table/incident")) == 1


def test_look_ups_are_not_repeated(world: World) -> None:
    """The next key asks anyway."""
    client = world.client(seconds=3)
    world.double.fault("429_bare", "/api/now/v2/table/sys_user_group")
    with pytest.raises(Busy):
        client.find_groups("net")
    assert len(world.double.requests()) == 1


def test_people_groups_and_items_are_found_by_a_few_letters(world: World) -> None:
    """By name anywhere, by the beginning of user name or e-mail; labels tell people apart."""
    client = world.client("requester")
    assert [option.label for option in client.find_users("agen")] == ["Aiko Agent (agent2)", "Amir Agent (agent)"]
    assert [option.label for option in client.find_users("abel.t")] == ["Abel Tuter (abel.tuter)"]
    assert [option.label for option in client.find_groups("DATA")] == ["Database"]
    assert "VPN gateway" in [option.label for option in client.find_configuration_items("vpn")]
    assert client.find_users("nobody of this name") == []
    sent = parse_qs(world.double.requests()[0]["query"])
    assert (sent["sysparm_limit"], sent["sysparm_no_count"]) == (["20"], ["true"])
    assert sent["sysparm_fields"] == ["sys_id,name,user_name"]


@pytest.mark.parametrize(
    "typed", ["zz^ORactive=false", "zz^NQactive=true", "^", "javascript:gs.getUserID()", "zz\n^ORsys_idISNOTEMPTY"]
)
def test_what_is_typed_into_a_look_up_finds_nothing_more(world: World, typed: str) -> None:
    """Nobody types their way past the conditions."""
    assert world.client().find_users(typed) == []


def test_namesakes_are_both_offered(world: World) -> None:
    """Clients drop a second option of the same label, so the second shows the end of its sys_id."""
    world.double.store.insert("sys_user_group", {"name": "Network", "sys_id": "0" * 26 + "abcdef"}, "system")
    labels = [option.label for option in world.client().find_groups("network")]
    assert sorted(labels) == ["Network", "Network · abcdef"]


# --- columns


def test_columns_come_in_the_persons_language_and_stay_for_a_while(world: World) -> None:
    """One question for all who speak it; after 15 minutes it is asked anew."""
    assert _labels(world.client("agent2"), "urgency") == ["1 - Hoch", "2 - Mittel", "3 - Niedrig"]
    assert _labels(world.client("agent"), "urgency") == ["1 - High", "2 - Medium", "3 - Low"]
    world.client("newcomer")
    world.double.clear_requests()
    assert world.client("newcomer").columns("incident")["short_description"].max_length == 160
    assert world.client("newcomer").cached_columns("incident")["category"].choices
    assert world.double.requests() == []
    world.advance(SECONDS + 1)
    world.client("newcomer").columns("incident")
    assert len(world.asked("GET", "/api/now/ui/meta/incident")) == 1


def test_every_choice_is_offered_where_nobody_tells_what_depends_on_what(world: World) -> None:
    """Ordinary people may not read `sys_choice`; that is asked once, not for every form."""
    subcategory = world.client().columns("incident")["subcategory"]
    assert len(subcategory.choices) > 5
    assert {choice.dependent_value for choice in subcategory.choices} == {""}
    world.client().columns("incident")
    assert len(world.asked("GET", "/api/now/v2/table/sys_choice")) == 1


def test_dependent_choices_know_what_they_depend_on(world: World) -> None:
    """Where `sys_choice` may be read, a value may even belong to two categories."""
    choices = world.client("admin").columns("incident")["subcategory"].choices
    assert {c.dependent_value for c in choices if c.value == "email"} == {"inquiry", "software"}


def test_a_closed_ui_meta_is_made_up_for(world: World) -> None:
    """`sys_choice` stands in where it may be read, else the base system's levels: a form opens in any case."""
    world.double.fault("meta_refused", "/api/now/ui/meta", times=2)
    told = world.client("admin").columns("incident")
    assert {"impact", "urgency", "category", "subcategory"} <= set(told)
    assert told["category"].choices
    world.advance(SECONDS + 1)
    assert world.client("agent").columns("incident") == BASE_COLUMNS["incident"]


@pytest.mark.parametrize("kind", ["hibernating", "html_login", "500", "202"])
def test_a_form_opens_while_servicenow_is_ill(world: World, kind: str) -> None:
    """The base system's levels stand in, for a minute; then the real ones are asked for."""
    client = world.client()
    world.double.fault(kind, "/api/now/ui/meta")
    for _ in range(2):
        assert client.columns("incident") == BASE_COLUMNS["incident"]
    assert len(world.double.requests()) == 1
    world.advance(61)
    assert "category" in world.client().columns("incident")


def test_many_forms_at_once_ask_once(world: World) -> None:
    """Columns are single-flight per table and language."""
    world.client()
    world.connect("newcomer")
    threads = [
        threading.Thread(target=lambda n=name: world.client(n).columns("incident"))
        for name in ("agent", "newcomer") * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(world.asked("GET", "/api/now/ui/meta/incident")) == 1


def _labels(client: ServiceNowClient, column: str) -> list[str]:
    return [choice.label for choice in client.columns("incident")[column].choices]


# --- conduct


def test_while_it_is_silent_calls_fail_at_once_and_later_work_again(world: World) -> None:
    """After five unanswered calls nobody waits any more; when it answers again, so do we."""
    ticking = 1000.0
    world.transport.gate._monotonic = lambda: ticking
    world.client()
    world.double.fault("slow", "/api", times=5, seconds=30)
    for _ in range(5):
        with pytest.raises(Unanswered):
            world.client(seconds=0.4).find_groups("net")
    world.double.clear_faults()
    began = time.monotonic()
    with pytest.raises(Unreachable):
        world.client().find_groups("net")
    assert time.monotonic() - began < 0.1
    ticking += 16
    assert world.client().find_groups("net")


@pytest.mark.usefixtures("every_log_line")
def test_logs_hold_no_token_query_or_record_text(world: World) -> None:
    """Transactions are named; what people write and what opens doors is not."""
    with structlog.testing.capture_logs() as logs:
        tokens = world.connect("agent")
        world.client().create("incident", INSERT)
        world.client().find_users("Amir")
        world.double.fault("500", "/api")
        with suppress(Broken):
            world.client().create("incident", INSERT)
        world.double.fault("429_bare", "/api", times=3)
        with suppress(Busy):
            world.client().find_created("incident", INSERT, 0.0)
        world.advance(1800)
        world.double.fault("refresh_refused", "/oauth_token.do")
        with suppress(Suspended):
            world.client().find_users("Amir")
    text = str(logs)
    assert any(entry.get("transaction") for entry in logs)
    secrets = (
        tokens.access_token,
        tokens.refresh_token,
        "hush",
        "Printer",
        "Amir",
        INSERT["correlation_id"],
        "sysparm",
    )
    assert [secret for secret in secrets if secret in text] == []


def test_links_open_the_record_and_the_list(world: World) -> None:
    """Everything behind `uri=` is encoded once, and what the browser decodes is the classic address."""
    links = ClassicLinks("https://acme.service-now.com")
    record = links.record("incident", "a" * 32)
    assert record == "https://acme.service-now.com/nav_to.do?uri=incident.do%3Fsys_id%3D" + "a" * 32
    assert unquote(urlsplit(links.list("incident")).query) == (
        "uri=incident_list.do?sysparm_query=ORDERBYDESCsys_created_on"
    )
    made = world.client().create("incident", INSERT)
    page = requests.get(ClassicLinks(world.double.url).record("incident", made.sys_id), timeout=5)
    assert page.status_code == 200


def test_an_account_of_another_instance_asks_nothing(world: World) -> None:
    """Tokens go where they came from and nowhere else."""
    world.client()
    account = world.accounts.kept["agent"]
    world.accounts.kept["agent"] = replace(account, instance="https://old.service-now.com")
    with pytest.raises(Suspended):
        world.client().find_groups("net")
    assert world.double.requests() == []
