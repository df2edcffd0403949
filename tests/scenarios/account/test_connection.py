"""People connect their ServiceNow account, see it, and disconnect it; nobody finishes what another person started."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from werkzeug.test import EnvironBuilder, run_wsgi_app

from sandbox.client import PASSWORD, PLUGIN, MattermostClient
from tests.world import JWT_SECRET, World

Json = dict[str, Any]
EXPAND = {"acting_user": "+summary", "acting_user_access_token": "all"}
CONNECT = f"{PLUGIN}/apps/servicenow/oauth2/remote/connect"
# What the framework does not recognize as its own path and then turns into it.
SPELLINGS = ("/oauth2/{0}%{1:x}", "/oauth2/{0}%25{1:x}", "/oauth2/{0}{2}#x", "/oauth2/{0}{2}?x=1", "/oauth2/{0}{2}?")


def test_a_person_connects_from_the_app_bar(world: World) -> None:
    """One press, sign-in, consent: connected as that account, the menus change, a message says what next."""
    newcomer = world.person("newcomer")
    assert list(newcomer.entries("/channel_header")) == ["Connect to ServiceNow"]

    answer = newcomer.press("/channel_header", "Connect to ServiceNow")
    assert answer["type"] == "navigate"
    page = newcomer.connect()
    world.settle()

    assert "Completed connecting" in page.text
    assert list(newcomer.entries("/channel_header")) == ["ServiceNow"]
    [welcome] = world.mattermost.direct_posts("newcomer")
    assert "Nora Newcomer" in welcome["message"]
    assert "Create ServiceNow incident" in welcome["message"]
    assert "/servicenow disconnect" in welcome["message"]


def begun(person: MattermostClient) -> str:
    """Where ServiceNow is asked, once a person has started to connect."""
    return str(person.browser.get(person.url + CONNECT, allow_redirects=False).headers["Location"])


def consented(address: str, user_name: str) -> dict[str, str]:
    """Somebody signs in at ServiceNow in a browser of their own; what ServiceNow sends back: code and state."""
    with requests.Session() as browser:
        browser.trust_env = False
        page = browser.get(address)
        page = browser.post(page.url, data={"user_name": user_name, "user_password": PASSWORD})
        answer = browser.post(page.url, data={"allow": "1"}, allow_redirects=False)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def spelled(pattern: str, word: str) -> str:
    """A path of the framework, written so that comparing does not find it."""
    return pattern.format(word[:-1], ord(word[-1]), word[-1])


def genuine(world: World, person: MattermostClient, path: str, values: Json) -> tuple[Json, dict[str, str]]:
    """Body and headers of a call of the plugin, with whatever values."""
    app = world.mattermost.registry.apps["servicenow"]
    claims = {"exp": int(world.now()) + 900, "acting_user_id": person.id}
    context = {
        "acting_user": {"id": person.id, "username": person.username, "roles": "system_user"},
        "acting_user_access_token": world.mattermost.registry.token(app, person.id),
        "bot_access_token": world.mattermost.registry.token(app, app.bot_user_id),
    }
    headers = {"Mattermost-App-Authorization": f"Bearer {jwt.encode(claims, JWT_SECRET, algorithm='HS256')}"}
    return {"path": path, "context": context, "values": values}, headers


def from_the_plugin(world: World, person: MattermostClient, path: str, values: Json) -> Json:
    """What the service answers to a genuine call of the plugin, without the plugin's own checks of the values."""
    body, headers = genuine(world, person, path, values)
    answer: Json = requests.post(world.config.app_url + path, json=body, headers=headers, timeout=20).json()
    return answer


def me(person: MattermostClient) -> str:
    """What `/servicenow me` says."""
    return str(person.call({"path": "/account/me/submit", "expand": EXPAND})["text"])


@pytest.mark.parametrize("pattern", SPELLINGS)
def test_nobody_reaches_the_oauth_paths_through_the_plugin(world: World, pattern: str) -> None:
    """Nobody starts a sign-in with a chosen state or redeems another person's code, however the path is spelled."""
    requester, newcomer = world.person("requester"), world.person("newcomer")
    back = consented(begun(newcomer), "newcomer")
    for word, values in (("connect", {"state": back["state"]}), ("complete", back)):
        answer = requester.call({"path": spelled(pattern, word), "expand": EXPAND}, values=values)
        assert answer["type"] == "error", word
        assert "does not know that request" in answer["text"]
    assert world.asked(path="/oauth_token.do") == []
    assert "not connected" in me(requester)


def test_the_plugin_itself_keeps_people_from_the_plain_spellings(world: World) -> None:
    """Slashes and dots are resolved before the plugin compares, so these never reach the service."""
    requester = world.person("requester")
    for path in ("/oauth2/complete", "/oauth2//complete", "/oauth2/./complete/", "/x/../oauth2/complete"):
        assert "forbidden call path" in requester.call({"path": path, "expand": EXPAND})["text"]


def test_a_code_is_good_for_the_person_who_started(world: World) -> None:
    """Another person's code and state are refused even from the framework; the owner's still work."""
    requester, newcomer = world.person("requester"), world.person("newcomer")
    begun(requester)
    back = consented(begun(newcomer), "newcomer")
    answer = from_the_plugin(world, requester, "/oauth2/complete", back)
    assert "Start again" in answer["text"]
    assert world.asked(path="/oauth_token.do") == []
    assert from_the_plugin(world, newcomer, "/oauth2/complete", back)["type"] == "ok"
    assert "Nora Newcomer" in me(newcomer)


def test_a_sign_in_started_with_a_known_state_does_not_redeem_another_code(world: World) -> None:
    """Two people with the same state: PKCE's verifier follows from nothing that anybody else knows."""
    requester, newcomer = world.person("requester"), world.person("newcomer")
    back = consented(begun(newcomer), "newcomer")
    started = from_the_plugin(world, requester, "/oauth2/connect", {"state": back["state"]})
    assert started["type"] == "ok"
    answer = from_the_plugin(world, requester, "/oauth2/complete", back)
    assert "refused the sign-in" in answer["text"]
    assert "not connected" in me(requester)


def test_a_sign_in_is_finished_once(world: World) -> None:
    """A second completion asks ServiceNow nothing, also after a declined consent."""
    newcomer = world.person("newcomer")
    back = consented(begun(newcomer), "newcomer")
    assert from_the_plugin(world, newcomer, "/oauth2/complete", back)["type"] == "ok"
    state = parse_qs(urlsplit(begun(newcomer)).query)["state"][0]
    declined = {"state": state, "error": "access_denied"}
    assert "did not allow" in from_the_plugin(world, newcomer, "/oauth2/complete", declined)["text"]
    world.servicenow.clear_requests()
    for values in (back, declined, {"state": state, "code": "x"}, {"code": "x"}, {}):
        assert "Start again" in from_the_plugin(world, newcomer, "/oauth2/complete", values)["text"]
    assert world.asked() == []


def test_a_sign_in_outlives_a_restart_and_ends_after_fifteen_minutes(world: World) -> None:
    """It is on disk, sealed; what comes back too late, or after the instance was changed, starts again."""
    newcomer = world.person("newcomer")
    back = consented(begun(newcomer), "newcomer")
    with open(f"{world.config.storage_url.removeprefix('tinydb://')}/sign_ins.json", encoding="utf-8") as file:
        assert back["state"] not in file.read()
    world.restart()
    assert from_the_plugin(world, newcomer, "/oauth2/complete", back)["type"] == "ok"

    late = consented(begun(newcomer), "newcomer")
    world.advance(15 * 60 + 1)
    assert "Start again" in from_the_plugin(world, newcomer, "/oauth2/complete", late)["text"]

    before = consented(begun(newcomer), "newcomer")
    world.restart(servicenow_url="https://other.service-now.com")
    assert "Start again" in from_the_plugin(world, newcomer, "/oauth2/complete", before)["text"]


def test_a_few_tabs_at_once_each_work(world: World) -> None:
    """Whoever pressed several times may finish any of the newest five."""
    newcomer = world.person("newcomer")
    tabs = [consented(begun(newcomer), "newcomer") for _ in range(6)]
    for back in tabs[1:]:
        assert from_the_plugin(world, newcomer, "/oauth2/complete", back)["type"] == "ok"
    assert "Start again" in from_the_plugin(world, newcomer, "/oauth2/complete", tabs[0])["text"]


@pytest.mark.parametrize("state", ["", "x" * 201, "with space", "\N{SNOWMAN}", "half \ud800"])
def test_a_state_of_no_shape_starts_nothing(world: World, state: str) -> None:
    """The framework's states are short and plain; anything else is told to start again."""
    answer = from_the_plugin(world, world.person("newcomer"), "/oauth2/connect", {"state": state})
    assert answer["type"] == "error"
    assert "sign-in link is incomplete" in answer["text"]


def test_connecting_before_anything_is_configured_says_so(world: World) -> None:
    """No redirect to an address of Mattermost itself, and status offers none."""
    world.restart(servicenow_url="", servicenow_client_id="", servicenow_client_secret="")
    page = world.person("newcomer").browser.get(world.mattermost.url + CONNECT, allow_redirects=False)
    assert page.status_code == 500
    assert "Location" not in page.headers
    assert "not set up here yet" in page.text
    status = world.person("admin").command("status")["text"]
    assert "`/servicenow configure`" in status
    assert "oauth2/remote/connect" not in status


@pytest.mark.parametrize("raw", ["/oauth2/connec%74", "/oauth2/connect?x=1", "http://host/oauth2/connect", None])
def test_the_raw_target_of_a_request_is_compared_too(world: World, raw: str | None) -> None:
    """What a server in front of the service decoded is refused, and so is a request that doesn't show its target."""
    person = world.person("newcomer")
    body, headers = genuine(world, person, "/oauth2/connect", {"state": "abc"})
    app = world.running.service.app
    for names in (("RAW_URI",), ("REQUEST_URI",), ("RAW_URI", "REQUEST_URI")):
        for target, expected in ((raw, "error"), ("/oauth2/connect", "ok")):
            environ = EnvironBuilder(
                "/oauth2/connect", method="POST", json=body, headers=list(headers.items())
            ).get_environ()
            del environ["RAW_URI"], environ["REQUEST_URI"]
            environ |= dict.fromkeys(names, target) if target is not None else {}
            answer = json.loads(b"".join(run_wsgi_app(app, environ)[0]))
            assert answer["type"] == expected, (names, target)
            assert expected == "ok" or "does not know that request" in answer["text"]


@pytest.mark.parametrize("again", [False, True])
def test_a_full_disk_gives_the_grant_back(world: World, again: bool) -> None:
    """Nothing could be stored, so nothing stays granted at ServiceNow but what was stored before."""
    newcomer = world.connected("newcomer") if again else world.person("newcomer")
    before = [grant.refresh_token for grant in world.servicenow.oauth.grants()]
    folder = Path(world.config.storage_url.removeprefix("tinydb://"))
    (folder / "accounts.new").mkdir()
    page = newcomer.connect()
    (folder / "accounts.new").rmdir()
    assert "could not be stored" in page.text
    assert [grant.refresh_token for grant in world.servicenow.oauth.grants()] == before
    assert ("Nora Newcomer" in me(newcomer)) is again
    assert "Completed connecting" in newcomer.connect().text
