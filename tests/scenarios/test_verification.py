"""Every route of the service verifies its caller. Without valid proofs the answer is a message, and nothing is done."""

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests

from tests.world import JWT_SECRET, World

Json = dict[str, Any]

# Buttons and dialogs carry other proofs; tests/scenarios/plain/test_plain_verification.py breaks those.
PLAIN = {"/plain/press", "/plain/dialog"}
# So do reports and our own wake-up: tests/scenarios/notifications/test_notices_intake.py and test_notices_bot.py.
WEBHOOKS = {
    "/webhooks/servicenow",
    "/plugins/mattermost-plugin-servicenow/api/v1/notification",
    "/webhook/<segment>",
}
OPEN = {"/manifest.json", "/ping", "/static/<path:filename>", "/healthz", "/readyz"}


class Caller:
    """Calls the service as the plugin does, with any proofs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.agent = world.person("agent")
        app = world.mattermost.registry.apps["servicenow"]
        self.bot_id = app.bot_user_id
        self.bot_token = world.mattermost.registry.token(app, app.bot_user_id)
        self.own_token = world.mattermost.registry.token(app, self.agent.id)
        self.other_bot = another_bot(world)

    def token(self, person: str = "", secret: str = JWT_SECRET, age: float = 0.0, **claims: Any) -> str:
        """A framework token."""
        content = {"exp": int(time.time() - age) + 900, "acting_user_id": person or self.agent.id} | claims
        return jwt.encode({k: v for k, v in content.items() if v is not None}, secret, algorithm="HS256")

    def context(self, **changes: Any) -> Json:
        """A context as the plugin fills it in."""
        user = {"id": self.agent.id, "username": "agent", "roles": "system_user", "locale": "en"}
        whole = {"acting_user": user, "bot_user_id": self.bot_id, "bot_access_token": self.bot_token}
        return {key: value for key, value in (whole | changes).items() if value is not None}

    def post(self, path: str, context: Json, token: str | None, body: Json | None = None) -> requests.Response:
        """One request, directly to the service."""
        headers = {"Mattermost-App-Authorization": f"Bearer {token}"} if token is not None else {}
        content = {"path": path, "context": context, "values": {}} | (body or {})
        return requests.post(self.world.config.app_url + path, json=content, headers=headers, timeout=20)


@pytest.fixture
def caller(world: World) -> Caller:
    """An ordinary person's valid proofs, for tests to break one by one."""
    world.connected("agent")
    world.servicenow.clear_requests()
    return Caller(world)


def routes(world: World) -> list[str]:
    """Every POST route of the service, and the catch-all with the paths that it knows."""
    from handlers.registry import calls

    rules = {rule.rule for rule in world.running.service.app.url_map.iter_rules() if "POST" in (rule.methods or set())}
    paths = [rule for rule in rules if rule not in OPEN | PLAIN | WEBHOOKS and "<" not in rule]
    return sorted(paths + [f"/{route.path}/{route.kind}" for route in calls.routes] + ["/no/such/submit"])


def test_every_route_is_listed_in_this_test(world: World) -> None:
    """A route that is neither public on purpose nor among the protected ones fails here."""
    rules = {rule.rule for rule in world.running.service.app.url_map.iter_rules()}
    assert rules == OPEN | PLAIN | WEBHOOKS | {
        "/bindings",
        "/update-set",
        "/lifecycle/install",
        "/lifecycle/uninstall",
        "/lifecycle/enable",
        "/lifecycle/disable",
        "/oauth2/connect",
        "/oauth2/complete",
        "/<path:path>",
    }


Break = Callable[[Caller], tuple[Json, str | None]]

BROKEN: dict[str, Break] = {
    "no token": lambda c: (c.context(), None),
    "no JWT at all": lambda c: (c.context(), "garbage"),
    "wrong secret": lambda c: (c.context(), c.token(secret="another secret of the same length")),
    "another algorithm": lambda c: (c.context(), jwt.encode({"exp": time.time() + 900}, "x" * 64, algorithm="HS512")),
    "no algorithm": lambda c: (c.context(), jwt.encode({"exp": time.time() + 900}, "", algorithm="none")),
    "expired": lambda c: (c.context(), c.token(age=2000)),
    "without expiry": lambda c: (c.context(), c.token(exp=None)),
    "another person's": lambda c: (c.context(), c.token(person=c.world.person("admin").id)),
    "names nobody": lambda c: (c.context(), c.token(acting_user_id=None)),
    "acting user missing": lambda c: (c.context(acting_user=None), c.token()),
}
BOT_BROKEN: dict[str, Break] = {
    "bot token missing": lambda c: (c.context(bot_access_token=None), c.token()),
    "bot token made up": lambda c: (c.context(bot_access_token="x" * 26), c.token()),
    "bot token of no shape": lambda c: (c.context(bot_access_token="../../../etc/passwd"), c.token()),
    "a person's own": lambda c: (c.context(bot_access_token=c.own_token), c.token()),
    "a person's session": lambda c: (
        c.context(bot_access_token=c.agent.browser.cookies["MMAUTHTOKEN"]),
        c.token(),
    ),
    "of another app": lambda c: (c.context(bot_access_token=c.other_bot), c.token()),
    "another server": lambda c: (
        c.context(bot_access_token="y" * 26, mattermost_site_url="http://127.0.0.1:1"),
        c.token(),
    ),
}


def another_bot(world: World) -> str:
    """A live session of another app's bot."""
    state = world.mattermost.state
    bot = state.by_username("otherbot") or state.add_user("otherbot", "Other", "", bot=True)
    return state.open_session(str(bot["id"]), "other.app", 600)


def refusals(path: str, how: str) -> tuple[str, ...]:
    """How the rejection begins."""
    words = ["This request could not be verified"]
    if path == "/lifecycle/install":
        words.append("Only a Mattermost system administrator may do this")
    if (path, how) == ("/lifecycle/install", "wrong secret"):
        words.append("The JWT secret that was entered is not")
    if (path, how) == ("/bindings", "acting user missing"):
        words.append("The app doesn't understand this request")
    return tuple(words)


@pytest.mark.parametrize("how", [*BROKEN, *BOT_BROKEN])
def test_a_call_without_both_proofs_is_rejected_on_every_route(caller: Caller, how: str) -> None:
    """HTTP 200 with a message; no account changes, and nothing reaches ServiceNow or a channel."""
    world = caller.world
    for path in routes(world):
        if path == "/bindings" and how in BOT_BROKEN:
            continue
        context, token = (BROKEN | BOT_BROKEN)[how](caller)
        answer = caller.post(path, context, token)
        assert answer.status_code == 200, path
        assert answer.json()["type"] == "error", path
        assert answer.json()["text"].startswith(refusals(path, how)), path
        assert "Reference" in answer.json()["text"], path
    assert world.asked() == []
    assert len(world.servicenow.rows("incident")) == 3
    assert list(world.person("agent").entries("/channel_header")) == ["ServiceNow"]


def sign(payload: str) -> str:
    """A token with the right secret around any text."""
    return jwt.PyJWS(algorithms=["HS256"]).encode(payload.encode(), JWT_SECRET, algorithm="HS256")


EXPIRIES = ["NaN", "Infinity", "-Infinity", '"inf"', '"NaN"', "1e999", "null", "true", "[]", '"9999999999"', "{}"]


def test_a_token_without_a_finite_expiry_is_rejected(caller: Caller) -> None:
    """Whatever `exp` is, and whatever the token contains instead of claims, the answer is a message."""
    payloads = [f'{{"exp": {one}, "acting_user_id": "{caller.agent.id}"}}' for one in EXPIRIES]
    payloads += ["[]", '"exp"', "5", "null", "", "{", "[" * 20_000, f'["exp", "{caller.agent.id}"]']
    for payload in payloads:
        for path in ("/account/me/submit", "/bindings"):
            answer = caller.post(path, caller.context(), sign(payload)).json()
            assert "could not be verified" in answer["text"], payload[:80]
    for expiry in (f"{time.time() + 900}", "1" + "0" * 400):
        payload = f'{{"exp": {expiry}, "acting_user_id": "{caller.agent.id}"}}'
        assert caller.post("/account/me/submit", caller.context(), sign(payload)).json()["type"] == "ok"


@pytest.mark.parametrize(
    "token", ["пароль" * 4 + "ab", "\N{SNOWMAN}" * 26, "a" * 25, "a" * 27, "a" * 26 + "\n", "A" * 26]
)
def test_a_malformed_session_is_put_into_no_header(caller: Caller, token: str) -> None:
    """A person's session that can't be valid is rejected before anything is requested with it."""
    caller.world.mattermost.clear_requests()
    context = caller.context(acting_user_access_token=token)
    for path in ("/incident/create/submit", "/account/disconnect/submit", "/lifecycle/install", "/oauth2/complete"):
        answer = caller.post(path, context, caller.token()).json()
        assert "doesn't understand this request" in answer["text"], path
    assert caller.world.mattermost.requests() == []


@pytest.mark.parametrize("how", BOT_BROKEN)
def test_bindings_need_only_the_framework_token(caller: Caller, how: str) -> None:
    """Menus show only what a person has, and change nothing."""
    context, token = BOT_BROKEN[how](caller)
    answer = caller.post("/bindings", context, token).json()
    assert answer["type"] == "ok"
    assert {top["location"] for top in answer["data"]} == {"/command", "/channel_header", "/post_menu"}


def test_forged_bot_tokens_are_checked_once_and_only_at_our_server(caller: Caller) -> None:
    """The address in the call is never used, and a rejected token isn't cached as valid."""
    context = caller.context(bot_access_token="z" * 26, mattermost_site_url="http://127.0.0.1:1")
    caller.world.mattermost.clear_requests()
    for _ in range(2):
        answer = caller.post("/account/me/submit", context, caller.token()).json()
        assert "could not be verified" in answer["text"]
    asked = [entry for entry in caller.world.mattermost.requests() if entry["path"] == "/api/v4/users/me"]
    assert len(asked) == 1
    assert all(entry["status"] == 401 for entry in asked)


def test_a_valid_call_passes(caller: Caller) -> None:
    """The same request with both proofs is answered, so the rejections above have the reason they claim."""
    answer = caller.post("/account/me/submit", caller.context(), caller.token()).json()
    assert answer["type"] == "ok"
    assert "Amir Agent" in answer["text"]


def test_a_disabled_apps_bot_token_expires_within_five_minutes(world: World) -> None:
    """The bot's session ends with the app; a disabled app's calls never reach us."""
    admin = world.person("admin")
    agent = world.connected("agent")
    answer = admin.call(
        {"path": "/disable", "expand": {"acting_user": "+summary"}}, app_id="apps", values={"app": "servicenow"}
    )
    assert answer["type"] == "ok"
    refused = agent.call({"path": "/account/me/submit", "expand": {"acting_user": "+summary"}})
    assert "disabled" in refused["text"]


def test_only_an_administrator_pins_the_bot(caller: Caller) -> None:
    """An ordinary person who knows the JWT secret can't install: their own session isn't an administrator's."""
    for token in (caller.own_token, caller.bot_token, "", "x" * 26):
        context = caller.context(acting_user_access_token=token, bot_access_token=caller.other_bot)
        user = context["acting_user"] | {"roles": "system_user system_admin"}
        answer = caller.post("/lifecycle/install", context | {"acting_user": user}, caller.token()).json()
        assert answer["type"] == "error"
        live = token in {caller.own_token, caller.bot_token}
        assert ("Only a Mattermost system administrator" if live else "could not be verified") in answer["text"], token
    assert caller.post("/account/me/submit", caller.context(), caller.token()).json()["type"] == "ok"
    admin = caller.world.person("admin")
    other = caller.context(acting_user={"id": admin.id, "username": "admin"}, bot_access_token=caller.other_bot)
    answer = caller.post("/account/me/submit", other, caller.token(person=admin.id)).json()
    assert "could not be verified" in answer["text"]


BODIES: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "an array": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "deep": b'{"context":' * 5000 + b"1" + b"}" * 5000,
    "no context": b"{}",
    "context a text": b'{"context": "x"}',
    "user a number": b'{"context": {"acting_user": 5}}',
    "values a list": b'{"context": {}, "values": [1]}',
    "state an object": b'{"context": {}, "state": {"a": 1}}',
    "half a character": b'{"context": {}, "query": "\\ud800"}',
    "not UTF-8": b'{"context": {}, "query": "\xff\xfe"}',
    "over 1 MiB": b'{"context": {}, "values": {"a": "' + b"x" * (1024 * 1024 + 1) + b'"}}',
}


# A body that can't be read, one that names nobody whom a proof could belong to, and one that isn't read at all.
ODD = ("doesn't understand this request", "could not be verified", "at most 1 MiB")


@pytest.mark.parametrize("what", BODIES)
def test_malformed_bodies_get_a_message_and_never_a_5xx(caller: Caller, what: str) -> None:
    """Whatever is posted with a valid framework token, the answer is HTTP 200 with a text."""
    headers = {"Mattermost-App-Authorization": f"Bearer {caller.token()}", "Content-Type": "application/json"}
    for path in ("/incident/create/submit", "/bindings", "/lifecycle/install", "/oauth2/complete"):
        answer = requests.post(caller.world.config.app_url + path, data=BODIES[what], headers=headers, timeout=20)
        assert answer.status_code == 200
        told = [words for words in ODD if words in answer.json()["text"]]
        assert (answer.json()["type"], len(told)) == ("error", 1), answer.json()


@pytest.mark.parametrize(
    "values",
    [
        {"short_description": {"value": 5}},
        {"short_description": {"no": "value"}},
        {"urgency": [[["deep"]]]},
        {"short_description": 5.5, "caller_id": {"label": "x", "value": "no sys_id"}},
        {"short_description": "x" * 200_000},
    ],
)
def test_malformed_values_get_a_message_and_create_no_record(caller: Caller, values: Json) -> None:
    """A value of an unknown type is rejected at its field."""
    body = json.dumps({"path": "/incident/create/submit", "context": caller.context(), "values": values})
    headers = {"Mattermost-App-Authorization": f"Bearer {caller.token()}", "Content-Type": "application/json"}
    url = f"{caller.world.config.app_url}/incident/create/submit"
    answer = requests.post(url, data=body, headers=headers, timeout=20).json()
    assert answer["type"] in {"error", "form"}
    assert answer.get("text") or answer["form"]["fields"]
    assert len(caller.world.servicenow.rows("incident")) == 3


def test_a_lone_surrogate_is_replaced(caller: Caller) -> None:
    """It is legal in JSON and becomes a replacement character on its way to ServiceNow."""
    body = json.dumps({"context": caller.context(), "values": {"short_description": "half \ud800 a character"}})
    headers = {"Mattermost-App-Authorization": f"Bearer {caller.token()}", "Content-Type": "application/json"}
    url = f"{caller.world.config.app_url}/incident/create/submit"
    answer = requests.post(url, data=body, headers=headers, timeout=20).json()
    assert answer["type"] == "ok"
    assert caller.world.servicenow.rows("incident")[-1]["short_description"] == "half ? a character"


@pytest.fixture
def open_form(world: World) -> Json:
    """A form that the agent has open."""
    agent = world.connected("agent")
    form = agent.press("/channel_header", "ServiceNow")["form"]
    open_form: Json = agent.submit(form, {"action": "incident"})["form"]
    return open_form


def test_another_persons_form_is_rejected(world: World, open_form: Json) -> None:
    """A form's state is valid only for the person it was made for."""
    requester = world.connected("requester")
    answer = requester.submit(open_form, {"short_description": "not mine"})
    assert answer["type"] == "error"
    assert "could not be verified" in answer["text"]
    assert "not mine" not in [row["short_description"] for row in world.servicenow.rows("incident")]


def test_a_changed_or_old_form_is_rejected(world: World, open_form: Json) -> None:
    """A changed state is rejected; after twelve hours the answer says that the form was open for too long."""
    agent = world.person("agent")
    state = open_form["submit"]["state"]
    changed = open_form | {"submit": open_form["submit"] | {"state": state[:-3] + "AAA"}}
    assert agent.submit(changed, {"short_description": "x"})["type"] == "error"
    elsewhere = open_form | {"submit": open_form["submit"] | {"path": "/menu/open/submit"}}
    assert agent.submit(elsewhere, {"action": "me"})["type"] == "error"
    world.advance(13 * 3600)
    answer = agent.submit(open_form, {"short_description": "x"})
    assert "open for too long" in answer["text"]


@pytest.mark.parametrize("secret", ["", "another secret of the same length"])
def test_a_wrong_secret_at_installation_is_named_and_reinstalling_fixes_it(empty_world: World, secret: str) -> None:
    """The administrator learns which setting is wrong; nobody else learns anything about it."""
    admin = empty_world.person("admin")
    answer = admin.install(f"{empty_world.config.app_url}/manifest.json", secret)
    assert "despite on_install failure: The JWT secret that was entered is not the value of" in answer["text"]
    assert "`MATTERMOST_APP_JWT_SECRET`" in answer["text"]
    assert "Install it again" in answer["text"]
    refused = empty_world.person("agent").call({"path": "/help/show/submit", "expand": {"acting_user": "+summary"}})
    assert "could not be verified" in refused["text"]
    assert "SECRET" not in refused["text"]
    empty_world.install()
    assert list(empty_world.person("agent").entries("/channel_header")) == ["Connect to ServiceNow"]


def test_an_installation_needs_the_administrators_own_session_and_a_bots(caller: Caller) -> None:
    """An administrator's session in another person's name pins nothing, and a person's session isn't a bot's."""
    world, admin = caller.world, caller.world.person("admin")
    before = world.running.service.services.stores.installations.get()
    session = world.mattermost.registry.token(world.mattermost.registry.apps["servicenow"], admin.id)
    user = {"id": caller.agent.id, "username": "agent", "roles": "system_user system_admin"}
    context = caller.context(acting_user=user, acting_user_access_token=session, bot_access_token=caller.other_bot)
    answer = caller.post("/lifecycle/install", context, caller.token()).json()
    assert answer["text"].startswith("Only a Mattermost system administrator may do this.")
    user = {"id": admin.id, "username": "admin", "roles": "system_user system_admin"}
    context = caller.context(acting_user=user, acting_user_access_token=session, bot_access_token=caller.own_token)
    answer = caller.post("/lifecycle/install", context, caller.token(person=admin.id)).json()
    assert answer["text"].startswith("This request could not be verified")
    assert world.running.service.services.stores.installations.get() == before
