"""The bot posts long after the last call: with an access token, the newest session, or a wake-up (design §4)."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
import structlog

from sandbox.client import PLUGIN
from tests.reports import Component, grant, incident, notices, pass_time, stored
from tests.world import JWT_SECRET, World

Json = dict[str, Any]
WEBHOOK = f"{PLUGIN}/apps/servicenow/webhook/wake-up"


def wake_ups(world: World) -> int:
    """How often we asked the framework to call us back."""
    return len([one for one in world.mattermost.requests() if one["path"] == WEBHOOK])


def ready(world: World) -> Json:
    """The answer of `/readyz`."""
    answer: Json = requests.get(f"{world.config.app_url}/readyz", timeout=10).json()
    return answer


def app_of(world: World) -> Any:
    """The app as the framework stores it."""
    return world.mattermost.registry.apps["servicenow"]


def bot_token(world: World, name: str = "a lasting token") -> str:
    """A personal access token of the bot, created by an administrator."""
    made = world.person("admin").post(f"/api/v4/users/{app_of(world).bot_user_id}/tokens", {"description": name})
    return str(made["token"])


def test_nothing_is_ready_before_the_app_is_installed(empty_world: World) -> None:
    """`/readyz` names the part with 503, but the process answers, or nobody could install the app."""
    assert ready(empty_world) == {"ready": False, "failing": ["installation"]}
    assert requests.get(f"{empty_world.config.app_url}/readyz", timeout=10).status_code == 503
    assert requests.get(f"{empty_world.config.app_url}/healthz", timeout=10).ok
    empty_world.install()
    assert ready(empty_world) == {"ready": True, "failing": []}


@pytest.mark.parametrize("seconds", [3600, 540, 86_400 * 3])
def test_a_notice_long_after_the_last_call_arrives(world: World, component: Component, seconds: int) -> None:
    """The session of the last call is expired: one wake-up brings a new one, which also serves the next notices."""
    [one] = stored(world, grant(world))
    world.advance(seconds)
    for number in range(3):
        component.changed(incident(world, number), [one])
    pass_time(world, 2)
    assert len(notices(world)) == 3
    assert wake_ups(world) == 1
    assert ready(world) == {"ready": True, "failing": []}


def test_a_recent_session_needs_no_wake_up(world: World, component: Component) -> None:
    """People's calls keep it fresh."""
    [one] = stored(world, grant(world))
    world.advance(3600)
    world.person("agent").command("me")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert len(notices(world)) == 1
    assert wake_ups(world) == 0


def test_an_access_token_needs_no_wake_up(world: World, component: Component) -> None:
    """`MATTERMOST_BOT_TOKEN` is used first."""
    [one] = stored(world, grant(world))
    world.restart(mattermost_bot_token=bot_token(world))
    world.advance(86_400)
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert len(notices(world)) == 1
    assert wake_ups(world) == 0


def test_a_revoked_access_token_falls_back_to_sessions(world: World, component: Component) -> None:
    """The notice still arrives."""
    [one] = stored(world, grant(world))
    world.restart(mattermost_bot_token="z" * 26)
    world.advance(3600)
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert len(notices(world)) == 1
    assert wake_ups(world) == 1


def test_without_any_token_the_service_isnt_ready_and_recovers(world: World, component: Component) -> None:
    """While the app is disabled `/readyz` names the part; once enabled, what waited is posted once."""
    [one] = stored(world, grant(world))
    app_of(world).enabled = False
    world.advance(3600)
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert notices(world) == []
    assert ready(world) == {"ready": False, "failing": ["bot token"]}
    app_of(world).enabled = True
    for _ in range(10):
        pass_time(world, 2)
    assert len(notices(world)) == 1
    assert ready(world) == {"ready": True, "failing": []}


def test_a_new_installation_brings_its_own_secret(world: World, component: Component) -> None:
    """A reinstallation creates another webhook secret, which is used from then on."""
    [one] = stored(world, grant(world))
    before = app_of(world).webhook_secret
    world.install()
    assert app_of(world).webhook_secret != before
    world.advance(3600)
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert len(notices(world)) == 1


@pytest.mark.usefixtures("every_log_line")
def test_the_secret_is_sealed_and_never_logged(world: World, component: Component) -> None:
    """Neither files nor logs contain it or the bot's tokens."""
    [one] = stored(world, grant(world))
    world.advance(3600)
    with structlog.testing.capture_logs() as logs:
        component.changed(incident(world), [one])
        pass_time(world, 2)
    assert "mattermost answered" in {line["event"] for line in logs}
    app = app_of(world)
    secrets = [app.webhook_secret, world.mattermost.registry.token(app, app.bot_user_id)]
    with open(f"{world.config.storage_url.removeprefix('tinydb://')}/installation.json", encoding="utf-8") as file:
        text = file.read()
    text += str(logs)
    assert not [secret for secret in secrets if secret in text]


def _token(claims: Json, secret: str = JWT_SECRET) -> str:
    return jwt.encode({"exp": int(time.time()) + 900} | claims, secret, algorithm="HS256")


class Wake:
    """A call of the framework's webhook as it arrives, for tests to alter."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app = app_of(world)
        self.bot = self.app.bot_user_id
        self.claims: Json = {"acting_user_id": self.bot}
        self.secret = JWT_SECRET
        self.query = f"secret={self.app.webhook_secret}"
        self.session = world.mattermost.state.open_session(self.bot, "servicenow", 600)

    def send(self) -> Json:
        """Send it directly to the service."""
        body = {
            "path": "/webhook/wake-up",
            "values": {"rawQuery": self.query, "data": {}, "httpMethod": "POST", "headers": {}},
            "context": {"bot_user_id": self.bot, "bot_access_token": self.session},
        }
        headers = {"Mattermost-App-Authorization": f"Bearer {_token(self.claims, self.secret)}"}
        url = f"{self.world.config.app_url}/webhook/wake-up"
        answer: Json = requests.post(url, json=body, headers=headers, timeout=10).json()
        return answer


def as_another_person(wake: Wake) -> None:
    """A person's own session and name, with the right webhook secret."""
    agent = wake.world.person("agent")
    wake.claims.update(acting_user_id=agent.id)
    wake.session = wake.world.mattermost.registry.token(wake.app, agent.id)


FORGED: dict[str, Callable[[Wake], object]] = {
    "in another's name with that one's session": as_another_person,
    "another person's": lambda w: w.claims.update(acting_user_id=w.world.person("agent").id),
    "nobody's": lambda w: w.claims.clear(),
    "another JWT secret": lambda w: setattr(w, "secret", "another secret of the same length!!"),
    "another secret": lambda w: setattr(w, "query", "secret=wrong"),
    "no secret": lambda w: setattr(w, "query", ""),
    "a token of nobody": lambda w: setattr(w, "session", "y" * 26),
    "a person's session": lambda w: setattr(w, "session", w.world.person("agent").browser.cookies["MMAUTHTOKEN"]),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_wake_up_brings_no_token(world: World, component: Component, how: str) -> None:
    """It is rejected; its session is neither stored nor used."""
    wake = Wake(world)
    FORGED[how](wake)
    path = f"{world.config.storage_url.removeprefix('tinydb://')}/installation.json"
    with open(path, "rb") as file:
        before = file.read()
    assert "could not be verified" in wake.send()["text"]
    with open(path, "rb") as file:
        assert file.read() == before


def test_people_cant_wake_us_up_through_the_framework(world: World, component: Component) -> None:
    """Anyone can call paths below the webhook's (recorded), but not in the bot's name."""
    answer = world.person("agent").call({"path": "/webhook/wake-up", "expand": {"acting_user": "summary"}})
    assert answer["type"] == "error"
    assert "could not be verified" in answer["text"]


@pytest.mark.parametrize("username", ["agent", "admin"])
def test_only_administrators_calls_bring_the_webhook_secret(world: World, component: Component, username: str) -> None:
    """An ordinary person's call is ignored even with both proofs."""
    person, told = world.person(username), "f" * 26
    user = {"id": person.id, "username": username, "roles": "system_user" + " system_admin" * (username == "admin")}
    wake = Wake(world)
    context = {"acting_user": user, "bot_access_token": wake.session, "app": {"webhook_secret": told}}
    headers = {"Mattermost-App-Authorization": f"Bearer {_token({'acting_user_id': person.id})}"}
    body = {"path": "/account/me/submit", "context": context}
    answer = requests.post(f"{world.config.app_url}/account/me/submit", json=body, headers=headers, timeout=10).json()
    assert "could not be verified" not in answer["text"]
    honest = wake.send()
    wake.query = f"secret={told}"
    forged = wake.send()
    taken, refused = (forged, honest) if username == "admin" else (honest, forged)
    assert taken == {"type": "ok"}
    assert "could not be verified" in refused["text"]


def test_a_genuine_wake_up_is_accepted(world: World, component: Component) -> None:
    """The tests above alter this one."""
    assert Wake(world).send() == {"type": "ok"}
