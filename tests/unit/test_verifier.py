"""Who is calling, proof by proof: the checks before every route, with Mattermost's double and a clock of its own."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jwt
import pytest
from flask import Flask, g, request
from werkzeug.test import EnvironBuilder

from core.accounts import Installation
from core.errors import (
    AdministratorsOnly,
    AppError,
    InvalidInput,
    NotVerified,
    OtherSecret,
    TooManyRequests,
    UnknownRequest,
)
from core.upstream_errors import MattermostSilent
from mattermost.bot_tokens import BotTokens
from mattermost.client import MattermostClient
from mattermost.token_owners import TokenOwners
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble
from web.background import Background
from web.verify import Caller, Verifier

Json = dict[str, Any]
SECRET = "a secret that the framework and the app share"
ME = "/api/v4/users/me"
WEBHOOK = "/plugins/com.mattermost.apps/apps/servicenow/webhook/wake-up"


class FakeInstallations:
    """`core.storage_ports.Installations` without a disk."""

    row: Installation | None = None

    def get(self) -> Installation | None:
        return self.row

    def put(self, installation: Installation) -> None:
        self.row = installation


class Setup:
    """A verifier, the sessions that can be sent to it, and a clock."""

    def __init__(self, mattermost: MattermostDouble) -> None:
        mattermost.reset()
        self.mattermost = mattermost
        state = mattermost.state
        self.now = 1_000_000.0
        self.agent, self.admin = self._id("agent"), self._id("admin")
        self.bot = str(state.add_user("servicenow", "ServiceNow", "", bot=True)["id"])
        self.other_bot = str(state.add_user("otherbot", "Other", "", bot=True)["id"])
        self.bot_token = state.open_session(self.bot)
        self.memory = FakeInstallations()
        self.pin()
        client = MattermostClient(mattermost.url)
        self.owners = TokenOwners(client, self.clock, self.clock)
        self.tokens = BotTokens(client, self.memory, self.clock, "", wait=0.0)
        self.background = Background()
        self.verifier = Verifier(SECRET, self.owners, self.tokens, self.background, self.clock)
        self.app = Flask(__name__)
        for rule in ("/lifecycle/install", "/some/path"):
            self.app.add_url_rule(rule, rule, methods=["POST"])
        self.was_verified = False

    def clock(self) -> float:
        return self.now

    def pin(self, **changes: Any) -> None:
        """The bot is installed, by the administrator."""
        pinned = Installation(bot_user_id=self.bot, installed_by=self.admin, webhook_secret="s" * 26)
        self.memory.row = replace(pinned, bot_token=self.bot_token, **changes)

    @property
    def row(self) -> Installation:
        assert self.memory.row is not None
        return self.memory.row

    def session(self, user_id: str) -> str:
        """A live session of a person."""
        return self.mattermost.state.open_session(user_id)

    def asked(self, path: str = ME) -> int:
        """How many requests Mattermost got since the last call."""
        count = len([one for one in self.mattermost.requests() if one["path"] == path])
        self.mattermost.clear_requests()
        return count

    def send(
        self,
        check: Callable[..., Any],
        person: str = "",
        *,
        named: str | None = None,
        context: Json | None = None,
        path: str = "/some/path",
        target: str | None = "",
        header: str = "RAW_URI",
        body: bytes | None = None,
        secret: str = SECRET,
        more: Json | None = None,
        **arguments: Any,
    ) -> Any:
        """*check* a request of *person*; the framework's token names *named*, by default the same person."""
        claims: Json = {"exp": self.now + 60}
        if who := person if named is None else named:
            claims["acting_user_id"] = who
        token = jwt.encode(claims, secret, algorithm="HS256")
        about: Json = {"bot_access_token": self.bot_token}
        if person:
            about["acting_user"] = {"id": person, "username": "somebody", "roles": "system_user"}
        whole = {"path": path, "context": about | (context or {})} | (more or {})
        builder = EnvironBuilder(
            path=path,
            method="POST",
            data=json.dumps(whole).encode() if body is None else body,
            headers=[("Mattermost-App-Authorization", f"Bearer {token}")],
        )
        environ = builder.get_environ()
        for name in ("RAW_URI", "REQUEST_URI"):
            environ.pop(name, None)
        if target is not None:
            environ[header] = target or path
        with self.app.request_context(environ):
            try:
                return check(request, **arguments)
            finally:
                self.was_verified = g.get("verified", False)

    def rejection(self, kind: type[AppError], check: Callable[..., Any], person: str = "", **how: Any) -> str:
        """Why a request is rejected, with exactly the class *kind*."""
        with pytest.raises(kind) as rejection:
            self.send(check, person, **how)
        assert type(rejection.value) is kind
        return str(rejection.value)

    def _id(self, username: str) -> str:
        user = self.mattermost.state.by_username(username)
        assert user is not None
        return str(user["id"])


@pytest.fixture
def doors(doubles: tuple[MattermostDouble, ServiceNowDouble]) -> Iterator[Setup]:
    """Everything is new, and no fault remains set."""
    doors = Setup(doubles[0])
    yield doors
    doors.background.close()
    doubles[0].clear_faults()


def administrator(doors: Setup, **changes: Any) -> Json:
    """A context that names the administrator as the framework does."""
    user = {"id": doors.admin, "username": "admin", "roles": "system_user system_admin"}
    return {"acting_user": user} | changes


def test_a_caller_is_named_by_both_proofs(doors: Setup) -> None:
    """Roles count by their exact names; the request is verified, and its session is the bot's newest."""
    caller: Caller = doors.send(doors.verifier.call, doors.agent)
    assert (caller.person.id, caller.person.username) == (doors.agent, "somebody")
    assert (caller.person.administrator, caller.person.guest) == (False, False)
    assert caller.request.path == "/some/path"
    assert "request" not in repr(caller)
    assert doors.was_verified
    for roles, administrates, guest in (
        ("system_user system_admin", True, False),
        ("system_guest", False, True),
        ("system_administrator system_guests", False, False),
    ):
        user = {"id": doors.agent, "username": "x", "roles": roles}
        person = doors.send(doors.verifier.call, doors.agent, context={"acting_user": user}).person
        assert (person.administrator, person.guest) == (administrates, guest)
    fresh = doors.session(doors.bot)
    doors.send(doors.verifier.call, doors.agent, context={"bot_access_token": fresh})
    assert (doors.row.bot_token, doors.row.bot_token_seen_at) == (fresh, doors.now)


def test_a_call_without_a_proof_is_rejected(doors: Setup) -> None:
    """Another person's token, no person, a session that isn't the bot's, or no bot yet: each has its message."""
    call = doors.verifier.call
    other = "the framework's token is another person's"
    assert doors.rejection(NotVerified, call, doors.agent, named=doors.admin) == other
    assert doors.rejection(NotVerified, call, "", named=doors.agent) == other
    assert doors.rejection(NotVerified, call, "") == "framework token names nobody"
    assert doors.rejection(OtherSecret, call, doors.agent, secret="another secret that is long enough")
    for owner in (doors.agent, doors.other_bot):
        context = {"bot_access_token": doors.session(owner)}
        assert doors.rejection(NotVerified, call, doors.agent, context=context) == "not the pinned bot's token"
        assert not doors.was_verified
    assert doors.row.bot_token == doors.bot_token
    doors.memory.row = None
    assert doors.rejection(NotVerified, call, doors.agent) == "nothing is installed"
    assert doors.rejection(NotVerified, doors.verifier.wake_up, "", named=doors.bot) == "nothing is installed"


def test_menus_need_only_the_framework_token(doors: Setup) -> None:
    """The session isn't checked, and only the person is read."""
    caller = doors.send(doors.verifier.bindings, doors.agent, context={"bot_access_token": "x"})
    assert caller.person.id == doors.agent
    assert caller.request.bot_access_token == ""
    assert doors.asked() == 0
    assert doors.rejection(NotVerified, doors.verifier.bindings, doors.agent, named=doors.admin)


def test_a_call_minutes_after_the_app_was_turned_off_shows_that_it_is_on(doors: Setup) -> None:
    """A cached session counts for a while; after six minutes a bot's session belongs to an enabled app."""
    doors.pin(turned_off_at=doors.now)
    for passed, off in ((0.0, True), (360.0, True), (0.5, False)):
        doors.now += passed
        doors.send(doors.verifier.call, doors.agent)
        assert bool(doors.row.turned_off_at) is off


def test_only_administrators_calls_bring_the_webhook_secret(doors: Setup) -> None:
    """If they carry one; an ordinary person's call changes nothing."""
    told = {"app": {"webhook_secret": "n" * 26}}
    doors.send(doors.verifier.call, doors.agent, context=told)
    assert doors.row.webhook_secret == "s" * 26
    doors.send(doors.verifier.call, doors.admin, context=administrator(doors))
    assert doors.row.webhook_secret == "s" * 26
    doors.send(doors.verifier.call, doors.admin, context=administrator(doors, **told))
    assert doors.row.webhook_secret == "n" * 26


def test_an_administrator_turns_the_app_on(doors: Setup) -> None:
    """Nobody else does; every session is checked again."""
    doors.pin(turned_off_at=doors.now)
    assert "ordinary user" in doors.rejection(AdministratorsOnly, doors.verifier.turned_on, doors.agent)
    assert doors.row.turned_off_at
    assert doors.asked() == 1
    caller = doors.send(doors.verifier.turned_on, doors.admin, context=administrator(doors))
    assert caller.person.id == doors.admin
    assert doors.row.turned_off_at == 0.0
    assert doors.asked() == 0
    doors.send(doors.verifier.call, doors.agent)
    assert doors.asked() == 1


def test_a_call_without_a_person_turns_the_app_off(doors: Setup) -> None:
    """The bot's session and the path prove it; an administrator can be named, and every session is checked again."""
    nobody: Json = {}
    for person in ("", doors.admin):
        context = administrator(doors) if person else nobody
        doors.pin()
        doors.asked()
        doors.send(doors.verifier.turned_off, person, context=context, removed=False)
        assert doors.row.turned_off_at == doors.now
        assert doors.asked() == 1
        doors.send(doors.verifier.call, doors.agent)
        assert doors.asked() == 1
        doors.owners.forget()


def test_nobody_else_turns_the_app_off(doors: Setup) -> None:
    """
    A named person must be named by both and be an administrator; the session is the bot's; the path is the framework's.
    """
    off = doors.verifier.turned_off
    for removed in (False, True):
        assert doors.rejection(AdministratorsOnly, off, doors.agent, removed=removed)
        other = "the framework's token is another person's"
        assert doors.rejection(NotVerified, off, "", named=doors.admin, removed=removed) == other
        context = administrator(doors)
        assert doors.rejection(NotVerified, off, "", context=context, named="", removed=removed) == other
        assert doors.rejection(NotVerified, off, "", context=context, named=doors.agent, removed=removed) == other
        assert doors.rejection(UnknownRequest, off, "", target="/some/path#x", removed=removed)
    assert doors.row.turned_off_at == 0.0
    dead = {"bot_access_token": secrets.token_hex(13)}
    assert "refused" in doors.rejection(NotVerified, off, "", context=dead, removed=False)
    assert doors.row.turned_off_at == 0.0
    assert doors.asked(WEBHOOK) == 0


def test_a_removed_app_is_turned_off_if_the_framework_confirms(doors: Setup) -> None:
    """Its bot has no session anymore: the framework is asked, once per five seconds."""
    off = doors.verifier.turned_off
    dead = {"bot_access_token": secrets.token_hex(13)}
    doors.mattermost.fault("429", WEBHOOK)
    with pytest.raises(MattermostSilent):
        doors.send(off, "", context=dead, removed=True)
    assert doors.asked(WEBHOOK) == 1
    doors.now += 4.5
    assert "refused" in doors.rejection(NotVerified, off, "", context=dead, removed=True)
    assert doors.asked(WEBHOOK) == 0
    assert doors.row.turned_off_at == 0.0
    doors.now += 0.5
    doors.send(off, "", context=dead, removed=True)
    assert doors.asked(WEBHOOK) == 1
    assert doors.row.turned_off_at == doors.now
    doors.pin()
    doors.now += 5
    person = {"acting_user": {"id": doors.agent, "roles": "system_user"}, **dead}
    assert doors.rejection(AdministratorsOnly, off, doors.agent, context=person, removed=True)
    assert doors.row.turned_off_at == 0.0


@pytest.mark.parametrize("header", ["RAW_URI", "REQUEST_URI"])
def test_a_framework_path_has_one_spelling(doors: Setup, header: str) -> None:
    """In the body, which the framework compared, and in the raw request target, if a server provides it."""
    framework = doors.verifier.framework
    caller = doors.send(framework, doors.agent, header=header)
    assert caller.person.id == doors.agent
    other: Json
    for other in (
        {"target": "/some/pat%68"},
        {"target": "/some/path#x"},
        {"target": None},
        {"more": {"path": "/some/pat%68"}},
        {"more": {"path": ""}},
    ):
        assert "another spelling" in doors.rejection(UnknownRequest, framework, doors.agent, header=header, **other)
    assert doors.rejection(NotVerified, framework, doors.agent, named=doors.admin)


def test_one_differing_target_is_enough_to_reject(doors: Setup) -> None:
    """Whichever of the two a proxy changed."""

    def check(incoming: Any, name: str) -> Caller:
        incoming.environ[name] = "/some/pat%68"
        return doors.verifier.framework(incoming)

    for header, name in (("RAW_URI", "REQUEST_URI"), ("REQUEST_URI", "RAW_URI")):
        assert "another spelling" in doors.rejection(UnknownRequest, check, doors.agent, header=header, name=name)


def installing(doors: Setup, **changes: Any) -> Json:
    """What the framework sends when the administrator installs the app."""
    sessions = {"acting_user_access_token": doors.session(doors.admin), "bot_access_token": doors.session(doors.bot)}
    context = administrator(doors, app={"webhook_secret": "n" * 26}, **sessions) | changes
    return {"person": doors.admin, "path": "/lifecycle/install", "context": context}


def test_an_installation_pins_the_bot(doors: Setup) -> None:
    """With its session and the webhook's secret, replacing the old ones; old sessions are checked again."""
    doors.send(doors.verifier.call, doors.agent)
    doors.pin(bot_user_id=doors.other_bot, turned_off_at=doors.now)
    doors.asked()
    sent = installing(doors)
    caller = doors.send(doors.verifier.installation, **sent)
    assert caller.person.id == doors.admin
    assert doors.was_verified
    assert doors.row == Installation(
        bot_user_id=doors.bot,
        installed_by=doors.admin,
        bot_token=sent["context"]["bot_access_token"],
        bot_token_seen_at=doors.now,
        webhook_secret="n" * 26,
    )
    assert doors.asked() == 2
    doors.send(doors.verifier.call, doors.agent)
    assert doors.asked() == 1


def test_an_installation_checks_the_administrators_session_again(doors: Setup) -> None:
    """A cached result isn't enough: a former administrator pins nothing."""
    sent, before = installing(doors), doors.row
    doors.send(doors.verifier.installation, **sent)
    doors.memory.row = before
    doors.owners.owner(sent["context"]["acting_user_access_token"], asker=doors.admin)
    doors.mattermost.state.users[doors.admin]["roles"] = "system_user"
    assert doors.rejection(AdministratorsOnly, doors.verifier.installation, **sent)
    assert not doors.was_verified
    assert doors.row == before


def test_a_flood_blocks_no_installation(doors: Setup) -> None:
    """The administrator's session is enough to check the bot's."""
    sent = installing(doors)
    with pytest.raises(NotVerified, match="token refused"):
        doors.owners.owner(secrets.token_hex(13), asker=doors.admin)
    doors.send(doors.verifier.installation, **sent)
    assert doors.row.bot_token == sent["context"]["bot_access_token"]


def test_nobody_else_installs(doors: Setup) -> None:
    """
    Another person's session, a bot's, an ordinary person's, a person's as the bot's, another path: nothing is pinned.
    """
    before, install = doors.row, doors.verifier.installation
    rejected: list[tuple[type[AppError], Json]] = [
        (AdministratorsOnly, installing(doors, acting_user_access_token=doors.session(doors.agent))),
        (NotVerified, installing(doors, bot_access_token=doors.session(doors.agent))),
        (UnknownRequest, installing(doors) | {"target": "/lifecycle/instal%6c"}),
        (NotVerified, installing(doors) | {"named": doors.agent}),
        (NotVerified, installing(doors, acting_user_access_token=secrets.token_hex(13))),
    ]
    user = {"id": doors.agent, "roles": "system_user system_admin"}
    own, hers = doors.session(doors.agent), doors.session(doors.admin)
    for session in (own, hers):
        sent = installing(doors, acting_user=user, acting_user_access_token=session)
        rejected.append((AdministratorsOnly, sent | {"person": doors.agent}))
    doors.mattermost.state.users[doors.other_bot]["roles"] = "system_user system_admin"
    bot = {"id": doors.other_bot, "roles": "system_user system_admin"}
    sent = installing(doors, acting_user=bot, acting_user_access_token=doors.session(doors.other_bot))
    rejected.append((AdministratorsOnly, sent | {"person": doors.other_bot}))
    for kind, sent in rejected:
        assert doors.rejection(kind, install, **sent)
        assert doors.row == before
        doors.now += 1
    with pytest.raises(OtherSecret) as told:
        doors.send(install, **installing(doors), secret="another secret that is long enough")
    assert "`MATTERMOST_APP_JWT_SECRET`" in told.value.user_message


def test_our_own_wake_up_brings_a_session_of_the_bot(doors: Setup) -> None:
    """The framework names the bot and returns our secret; then the session is checked, however many others are."""
    fresh = doors.session(doors.bot)
    values = {"values": {"rawQuery": f"secret={'s' * 26}"}}
    for _ in range(2):
        with pytest.raises(NotVerified, match="token refused"):
            doors.owners.owner(secrets.token_hex(13), asker=doors.bot)
    assert (
        doors.send(doors.verifier.wake_up, "", named=doors.bot, context={"bot_access_token": fresh}, more=values)
        is None
    )
    assert doors.was_verified
    assert doors.row.bot_token == fresh


def test_no_other_webhook_call_is_accepted(doors: Setup) -> None:
    """Another secret, another name, another session: the bot's newest session remains."""
    wake_up = doors.verifier.wake_up
    right, wrong = {"values": {"rawQuery": f"secret={'s' * 26}"}}, {"values": {"rawQuery": f"secret={'t' * 26}"}}
    context = {"bot_access_token": doors.session(doors.bot)}
    assert "another secret" in doors.rejection(NotVerified, wake_up, "", named=doors.bot, context=context, more=wrong)
    assert "another secret" in doors.rejection(NotVerified, wake_up, "", named=doors.bot, context=context)
    assert "bot's name" in doors.rejection(NotVerified, wake_up, "", named=doors.agent, context=context, more=right)
    other = {"bot_access_token": doors.session(doors.agent)}
    words = "not the pinned bot's token"
    assert doors.rejection(NotVerified, wake_up, "", named=doors.bot, context=other, more=right) == words
    assert not doors.was_verified
    assert doors.row.bot_token == doors.bot_token


def test_the_bots_known_session_is_accepted_during_a_flood(doors: Setup) -> None:
    """A new one is rejected while checks are used up; a wake-up brings it, once per five seconds."""
    fresh = {"bot_access_token": doors.session(doors.bot)}
    for passed, woken in ((0.0, 1), (0.0, 0), (4.5, 0), (0.5, 1)):
        doors.now += passed
        for _ in range(2):
            with pytest.raises((NotVerified, TooManyRequests)):
                doors.owners.owner(secrets.token_hex(13), asker=doors.agent)
        assert doors.rejection(TooManyRequests, doors.verifier.call, doors.agent, context=fresh)
        doors.background.settle()
        assert doors.asked(WEBHOOK) == woken
    doors.owners.forget()
    doors.send(doors.verifier.call, doors.agent)
    doors.now += 1
    doors.send(doors.verifier.call, doors.agent, context=fresh)
    assert doors.row.bot_token == fresh["bot_access_token"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"5", b"\xff", b'{"a":' * 5000 + b"1" + b"}" * 5000])
def test_a_body_that_isnt_an_object_is_rejected(doors: Setup, body: bytes) -> None:
    """With a message, and the log says what it was."""
    with pytest.raises(InvalidInput) as rejection:
        doors.send(doors.verifier.call, doors.agent, body=body)
    assert str(rejection.value).startswith("body is no JSON object: ")


def test_utf_16_is_rejected(doors: Setup) -> None:
    """The JSON library would accept it."""
    with pytest.raises(InvalidInput) as rejection:
        doors.send(doors.verifier.call, doors.agent, body=json.dumps({"path": "x"}).encode("utf-16"))
    assert str(rejection.value) == "body is no JSON object: UnicodeDecodeError"


def test_lone_surrogates_are_replaced_however_they_are_spelled(doors: Setup) -> None:
    """Complete pairs and everything else are unchanged."""
    text = '{"path": "/some/path", "context": {"acting_user": {"id": "%s"}, "bot_access_token": "%s"}, "query": "%s"}'
    for spelled, read in (
        ("\\ud800", "?"),
        ("\\UD800", None),
        ("\\uD800x", "?x"),
        ("ä\\ud83d\\ude00", "ä\N{GRINNING FACE}"),
    ):
        body = (text % (doors.agent, doors.bot_token, spelled)).encode()
        if read is None:
            assert "JSONDecodeError" in doors.rejection(InvalidInput, doors.verifier.call, doors.agent, body=body)
        else:
            assert doors.send(doors.verifier.call, doors.agent, body=body).request.query == read
