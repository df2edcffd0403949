"""Malformed IDs are rejected wherever they are entered, and nothing is requested for them."""

from typing import Any

import pytest
import requests
import structlog

from core.upstream_errors import NoSuchId
from mattermost.paths import Id, Name, api
from sandbox.client import MattermostClient
from servicenow.changes import ChangesClient
from servicenow.table_api import meta_path, row_path, table_path
from tests.acts import opened, row
from tests.scenarios.plain.test_plain_cards import card_of, set_version
from tests.scenarios.subscriptions import subscribing
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"
HOSTILE = (
    "x/../../users/me",
    "{town}/members/{me}?",
    "{ops}/../{town}",
    "{town}%2F..%2Fx",
    "{TOWN}",
    "{town} ",
    "direct",
    "..",
    "{town}\n",
)


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent who can subscribe."""
    subscribing.install_component(world, "agent")
    return world.connected("agent")


def hostile(world: World, agent: MattermostClient) -> list[str]:
    """The malformed IDs, some with real IDs in them."""
    ids = {
        "town": agent.channel("town-square"),
        "TOWN": agent.channel("town-square").upper(),
        "ops": world.person("approver").channel("operations"),
        "me": agent.id,
    }
    return [text.format(**ids) for text in HOSTILE]


def requested(world: World) -> list[str]:
    """Requests to Mattermost's REST API, except those of the people's own clients."""
    theirs = ("/channels/name/", "/dialogs/submit", "/actions/", "/config/client")
    paths = [one["path"] for one in world.mattermost.requests()]
    return [path for path in paths if path.startswith("/api/") and not any(one in path for one in theirs)]


@pytest.mark.parametrize("name", ["channel", "person"])
def test_a_record_isnt_shared_to_a_malformed_id(world: World, agent: MattermostClient, name: str) -> None:
    """The error is at the field, and Mattermost got no request for it."""
    form = opened(agent.command("share", {"record": NUMBER}, channel="service-desk"))
    for text in hostile(world, agent):
        world.mattermost.clear_requests()
        chosen = {name: {"label": "Town Square", "value": text}} | ({"channel": None} if name == "person" else {})
        answer = agent.call(form["submit"], values=form_values(form) | chosen, channel="service-desk")
        assert answer["data"]["errors"] == {name: f"Choose a {name} from the list."}, text
        assert requested(world) == [], text
    assert not [post for post in world.mattermost.posts_in("town-square") if post["props"].get("attachments")]


def form_values(form: Json) -> Json:
    """What a client sends of an untouched form."""
    return {one["name"]: one.get("value") for one in form["fields"] if one["type"] != "markdown"}


def test_a_malformed_id_isnt_subscribed(world: World, agent: MattermostClient) -> None:
    """The same in the subscription form."""
    form = subscribing.opened(agent, channel="town-square")
    for text in hostile(world, agent):
        world.mattermost.clear_requests()
        chosen = {"channel": {"label": "Town Square", "value": text}}
        answer = subscribing.press(agent, form, "save", chosen, channel="town-square")
        assert set(answer["data"]["errors"]) == {"channel"}, text
        assert requested(world) == [], text
    assert subscribing.rows(world) == []


@pytest.mark.parametrize("version", ["9.11.0", "11.6.0"])
def test_a_dialog_rejects_a_malformed_channel_id(world: World, agent: MattermostClient, version: str) -> None:
    """The same on the plain host."""
    set_version(world, version)
    post, _ = card_of(world, agent)
    for text in hostile(world, agent):
        dialog = agent.press_action(post["id"], "More…", "subscribe").dialog
        assert dialog is not None
        world.mattermost.clear_requests()
        body = dialog.body(dialog.submission({}) | {"channel": text}) | {
            "channel_id": post["channel_id"],
            "team_id": agent.team_id,
        }
        answer = agent.post("/api/v4/actions/dialogs/submit", body)
        if answer.get("type") == "form":  # sent again, with the error at its element
            told = {one["name"].partition("__")[0]: one.get("help_text", "") for one in answer["form"]["elements"]}
            assert {name for name, text in told.items() if ":warning:" in text} == {"channel"}, text
        else:
            assert set(answer["errors"]) == {"channel"}, text
        of_the_card = f"/api/v4/channels/{post['channel_id']}/members/{agent.id}"
        others = [path for path in requested(world) if path != of_the_card]
        assert not [path for path in others if "members" in path or "users/me" in path], text
    assert subscribing.rows(world) == []


@pytest.mark.parametrize("name", ["channel_id", "post_id", "user_id"])
def test_a_press_with_a_malformed_id_is_rejected(world: World, agent: MattermostClient, name: str) -> None:
    """A press whose post, channel or person is malformed is rejected, whatever its button proves."""
    post, number = card_of(world, agent)
    stored = world.mattermost.state.posts[post["id"]]["props"]["attachments"][0]["actions"]
    mine = next(one for one in stored if one["name"] == "Assign to me")["integration"]["context"]
    for text in hostile(world, agent):
        body = {
            "user_id": agent.id,
            "channel_id": post["channel_id"],
            "post_id": post["id"],
            "trigger_id": world.mattermost.trigger_ids.create(agent.id)[1],
            "context": mine,
        } | {name: text}
        world.mattermost.clear_requests()
        answer = requests.post(f"{world.config.app_url}/plain/press", json=body, timeout=20).json()
        refused = "could not be verified" if name == "user_id" else "doesn't understand this request"
        assert refused in answer["ephemeral_text"], text
        assert requested(world) == [], text
    assert row(world, number)["assigned_to"] == ""


def test_a_path_takes_ids_and_quoted_names() -> None:
    """An ID has 26 lowercase letters and digits; a name is one segment, whatever it contains; logs show neither."""
    channel = "abcdefghijklmnopqrstuvwx12"
    path = api("channels", Id(channel), "members")
    assert (path.text, path.shape) == (f"/api/v4/channels/{channel}/members", "/api/v4/channels/{id}/members")
    path = api("users", "username", Name("a/../b?c=%2e#\u00e4"))
    assert path.text == "/api/v4/users/username/a%2F..%2Fb%3Fc%3D%252e%23%C3%A4"
    assert path.shape == "/api/v4/users/username/{name}"
    for text in ("", channel[1:], channel + "1", channel.upper(), channel[:-1] + "\n", "ü" * 26, "٣" * 26):
        with pytest.raises(NoSuchId):
            Id(text)
    for text in ("", ".", ".."):
        with pytest.raises(NoSuchId):
            Name(text)


def test_the_log_shows_no_mattermost_ids(world: World, agent: MattermostClient, every_log_line: None) -> None:
    """Requests to Mattermost are logged by the shape of their path, whatever people do."""
    with structlog.testing.capture_logs() as logs:
        card_of(world, agent)
        agent.command("subscriptions list", channel="service-desk")
        world.settle()
    paths = [str(one["path"]) for one in logs if one["event"] == "mattermost answered"]
    assert any("{id}" in path for path in paths)
    known = [*world.mattermost.state.users, *world.mattermost.state.channels, *world.mattermost.state.posts]
    assert [path for path in paths if any(one in path for one in known)] == []


def test_a_planted_row_makes_no_request(world: World, agent: MattermostClient) -> None:
    """A malformed channel ID written directly into a subscription's row is listed, and nothing is requested for it."""
    for text in hostile(world, agent):
        subscribing.foreign_row(world, channel_id=text, user_id=agent.id)
    world.mattermost.clear_requests()
    answer = agent.command("subscriptions list", channel="service-desk")
    assert answer["type"] in {"form", "ok"}, answer
    me = f"/api/v4/users/{agent.id}"
    own = {me, f"{me}/teams", f"{me}/teams/{agent.team_id}/channels", "/api/v4/users/ids", "/api/v4/roles/names"}
    assert set(requested(world)) <= own | {f"/api/v4/channels/{agent.channel('service-desk')}"}


def test_servicenow_paths_take_no_other_text() -> None:
    """A template, a row and a table must be well-formed, or nothing is sent."""
    tables: Any = None
    sys_id = "0" * 32
    for kind, template in (("normal", "x/../y"), ("normal", sys_id), ("standard", "x"), ("standard", ""), ("x", "")):
        with pytest.raises(ValueError, match="no kind of change"):
            ChangesClient(tables).create(kind, {}, template)
    for text in ("incident/../x", "Incident", "", "1x", "incident?x"):
        for path in (table_path, meta_path):
            with pytest.raises(ValueError, match="is no table name"):
                path(text)
    with pytest.raises(ValueError, match="no sys_id"):
        row_path("incident", f"{sys_id}/../x")
