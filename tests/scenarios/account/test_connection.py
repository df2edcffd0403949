"""Connect a ServiceNow account, show it, and disconnect it. Only the person who started a sign-in can finish it."""

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
# Spellings that the Apps framework doesn't recognize as its own path but resolves to it afterwards.
SPELLINGS = ("/oauth2/{0}%{1:x}", "/oauth2/{0}%25{1:x}", "/oauth2/{0}{2}#x", "/oauth2/{0}{2}?x=1", "/oauth2/{0}{2}?")


def test_connect_from_the_app_bar(world: World) -> None:
    """Sign-in and consent connect that account. The menus change, and a message lists the next steps."""
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


def authorize_request(person: MattermostClient) -> str:
    """The parameters of ServiceNow's authorize URL after a person starts to connect."""
    return str(person.browser.get(person.url + CONNECT, allow_redirects=False).headers["Location"])


def consent(address: str, user_name: str) -> dict[str, str]:
    """Sign in at ServiceNow in a new browser; returns the code and state that ServiceNow sends back."""
    with requests.Session() as browser:
        browser.trust_env = False
        page = browser.get(address)
        page = browser.post(page.url, data={"user_name": user_name, "user_password": PASSWORD})
        answer = browser.post(page.url, data={"allow": "1"}, allow_redirects=False)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def spell(pattern: str, word: str) -> str:
    """A path of the framework, spelled so that a comparison doesn't match it."""
    return pattern.format(word[:-1], ord(word[-1]), word[-1])


def plugin_call(world: World, person: MattermostClient, path: str, values: Json) -> tuple[Json, dict[str, str]]:
    """Body and headers of a call signed like the plugin's, with arbitrary values."""
    app = world.mattermost.registry.apps["servicenow"]
    claims = {"exp": int(world.now()) + 900, "acting_user_id": person.id}
    context = {
        "acting_user": {"id": person.id, "username": person.username, "roles": "system_user"},
        "acting_user_access_token": world.mattermost.registry.token(app, person.id),
        "bot_access_token": world.mattermost.registry.token(app, app.bot_user_id),
    }
    headers = {"Mattermost-App-Authorization": f"Bearer {jwt.encode(claims, JWT_SECRET, algorithm='HS256')}"}
    return {"path": path, "context": context, "values": values}, headers


def post_as_plugin(world: World, person: MattermostClient, path: str, values: Json) -> Json:
    """The service's answer to a signed call that skips the plugin's own checks of the values."""
    body, headers = plugin_call(world, person, path, values)
    answer: Json = requests.post(world.config.app_url + path, json=body, headers=headers, timeout=20).json()
    return answer


def me(person: MattermostClient) -> str:
    """The answer to `/servicenow me`."""
    return str(person.call({"path": "/account/me/submit", "expand": EXPAND})["text"])


@pytest.mark.parametrize("pattern", SPELLINGS)
def test_nobody_reaches_the_oauth_paths_through_the_plugin(world: World, pattern: str) -> None:
    """No spelling of the path lets a client start a sign-in with a chosen state or redeem another person's code."""
    requester, newcomer = world.person("requester"), world.person("newcomer")
    back = consent(authorize_request(newcomer), "newcomer")
    for word, values in (("connect", {"state": back["state"]}), ("complete", back)):
        answer = requester.call({"path": spell(pattern, word), "expand": EXPAND}, values=values)
        assert answer["type"] == "error", word
        assert "does not know that request" in answer["text"]
    assert world.asked(path="/oauth_token.do") == []
    assert "not connected" in me(requester)


def test_the_plugin_blocks_the_plain_spellings_itself(world: World) -> None:
    """The plugin resolves slashes and dots before it compares, so these requests never reach the service."""
    requester = world.person("requester")
    for path in ("/oauth2/complete", "/oauth2//complete", "/oauth2/./complete/", "/x/../oauth2/complete"):
        assert "forbidden call path" in requester.call({"path": path, "expand": EXPAND})["text"]


def test_a_code_works_only_for_the_person_who_started(world: World) -> None:
    """Another person's code and state are rejected even from the framework; the owner's still work."""
    requester, newcomer = world.person("requester"), world.person("newcomer")
    authorize_request(requester)
    back = consent(authorize_request(newcomer), "newcomer")
    answer = post_as_plugin(world, requester, "/oauth2/complete", back)
    assert "Start again" in answer["text"]
    assert world.asked(path="/oauth_token.do") == []
    assert post_as_plugin(world, newcomer, "/oauth2/complete", back)["type"] == "ok"
    assert "Nora Newcomer" in me(newcomer)


def test_a_known_state_doesnt_redeem_another_persons_code(world: World) -> None:
    """If two people have the same state, the PKCE verifier still differs, and nobody else can derive it."""
    requester, newcomer = world.person("requester"), world.person("newcomer")
    back = consent(authorize_request(newcomer), "newcomer")
    started = post_as_plugin(world, requester, "/oauth2/connect", {"state": back["state"]})
    assert started["type"] == "ok"
    answer = post_as_plugin(world, requester, "/oauth2/complete", back)
    assert "refused the sign-in" in answer["text"]
    assert "not connected" in me(requester)


def test_a_sign_in_is_finished_once(world: World) -> None:
    """A second completion sends nothing to ServiceNow, even after consent was declined."""
    newcomer = world.person("newcomer")
    back = consent(authorize_request(newcomer), "newcomer")
    assert post_as_plugin(world, newcomer, "/oauth2/complete", back)["type"] == "ok"
    state = parse_qs(urlsplit(authorize_request(newcomer)).query)["state"][0]
    declined = {"state": state, "error": "access_denied"}
    assert "did not allow" in post_as_plugin(world, newcomer, "/oauth2/complete", declined)["text"]
    world.servicenow.clear_requests()
    for values in (back, declined, {"state": state, "code": "x"}, {"code": "x"}, {}):
        assert "Start again" in post_as_plugin(world, newcomer, "/oauth2/complete", values)["text"]
    assert world.asked() == []


def test_a_sign_in_survives_a_restart_and_expires_after_fifteen_minutes(world: World) -> None:
    """It is stored sealed. A callback that comes too late, or after the instance was changed, has to start again."""
    newcomer = world.person("newcomer")
    back = consent(authorize_request(newcomer), "newcomer")
    with open(f"{world.config.storage_url.removeprefix('tinydb://')}/sign_ins.json", encoding="utf-8") as file:
        assert back["state"] not in file.read()
    world.restart()
    assert post_as_plugin(world, newcomer, "/oauth2/complete", back)["type"] == "ok"

    late = consent(authorize_request(newcomer), "newcomer")
    world.advance(15 * 60 + 1)
    assert "Start again" in post_as_plugin(world, newcomer, "/oauth2/complete", late)["text"]

    before = consent(authorize_request(newcomer), "newcomer")
    world.restart(servicenow_url="https://other.service-now.com")
    assert "Start again" in post_as_plugin(world, newcomer, "/oauth2/complete", before)["text"]


def test_five_open_tabs_each_work(world: World) -> None:
    """Someone who pressed Connect several times can finish any of the newest five sign-ins."""
    newcomer = world.person("newcomer")
    tabs = [consent(authorize_request(newcomer), "newcomer") for _ in range(6)]
    for back in tabs[1:]:
        assert post_as_plugin(world, newcomer, "/oauth2/complete", back)["type"] == "ok"
    assert "Start again" in post_as_plugin(world, newcomer, "/oauth2/complete", tabs[0])["text"]


@pytest.mark.parametrize("state", ["", "x" * 201, "with space", "\N{SNOWMAN}", "half \ud800"])
def test_a_malformed_state_starts_nothing(world: World, state: str) -> None:
    """The framework's states are short and plain. Anything else is answered with a request to start again."""
    answer = post_as_plugin(world, world.person("newcomer"), "/oauth2/connect", {"state": state})
    assert answer["type"] == "error"
    assert "sign-in link is incomplete" in answer["text"]


def test_connecting_without_a_configuration_says_so(world: World) -> None:
    """There is no redirect to Mattermost's own address, and the status doesn't offer to connect."""
    world.restart(servicenow_url="", servicenow_client_id="", servicenow_client_secret="")
    page = world.person("newcomer").browser.get(world.mattermost.url + CONNECT, allow_redirects=False)
    assert page.status_code == 500
    assert "Location" not in page.headers
    assert "not set up here yet" in page.text
    status = world.person("admin").command("status")["text"]
    assert "`/servicenow configure`" in status
    assert "oauth2/remote/connect" not in status


@pytest.mark.parametrize("raw", ["/oauth2/connec%74", "/oauth2/connect?x=1", "http://host/oauth2/connect", None])
def test_the_raw_request_target_is_compared_too(world: World, raw: str | None) -> None:
    """A request that a proxy decoded is rejected, and so is one without its raw target."""
    person = world.person("newcomer")
    body, headers = plugin_call(world, person, "/oauth2/connect", {"state": "abc"})
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
def test_a_full_disk_revokes_the_new_grant(world: World, again: bool) -> None:
    """If the connection can't be stored, its grant is revoked at ServiceNow; the stored one remains."""
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
