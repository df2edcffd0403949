"""Dialogs of later servers and how both clients encode them. Follows the documentation, not a recording."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sandbox.client import MattermostClient
from sandbox.dialog import Client, OpenDialog
from sandbox.mattermost import MattermostDouble
from tests.integration import Integration

Json = dict[str, Any]

EVERY: list[Json] = [
    {"name": "text", "type": "text", "optional": True, "default": "as given"},
    {"name": "count", "type": "text", "subtype": "number", "optional": True},
    {"name": "on", "type": "bool", "optional": True},
    {"name": "many", "type": "select", "multiselect": True, "options": [{"text": "A", "value": "a"}]},
    {"name": "day", "type": "date", "optional": True, "min_date": "today"},
    {"name": "found", "type": "select", "data_source": "dynamic", "data_source_url": "URL", "refresh": True},
]


@pytest.fixture
def app(double: MattermostDouble) -> Iterator[Integration]:
    """An integration whose button opens a dialog."""
    with Integration(double.url) as integration:
        yield integration


def press(app: Integration, agent: MattermostClient, version: str, dialog: Json | None = None) -> OpenDialog:
    """Set the version, post a card, and press its button; returns the dialog."""
    requests.post(f"{app.mattermost}/_sandbox/version", json={"version": version}, timeout=10).raise_for_status()
    elements = json.loads(json.dumps(EVERY).replace("URL", f"{app.url}/lookup"))
    form = {"callback_id": "one", "title": "First", "state": "s1", "source_url": f"{app.url}/dialog"}
    app.answers["press"] = app.opens(dialog or form | {"elements": elements})
    desk = agent.channel("service-desk")
    post = agent.post("/api/v4/posts", {"channel_id": desk, "message": "", "props": app.card()})
    opened = agent.press_action(post["id"], "Go").dialog
    assert opened is not None
    return opened


def keys(opened: OpenDialog, name: str) -> set[str]:
    """Keys of an element that only later versions support."""
    later = {"multiselect", "data_source_url", "refresh", "min_date", "time_interval", "datetime_config"}
    return later & set(opened.element(name))


def test_a_version_drops_unsupported_elements(app: Integration, agent: MattermostClient) -> None:
    """9.11 doesn't support lookup, refresh and date; 11.0 adds lookups and multiselect, 11.1 the rest."""
    old, middle, new = (press(app, agent, version) for version in ("9.11.0", "11.0.2", "11.6.0"))
    assert [keys(one, "found") for one in (old, middle, new)] == [
        set(),
        {"multiselect", "data_source_url"},
        {"multiselect", "data_source_url", "refresh"},
    ]
    assert [keys(one, "day") for one in (old, middle, new)] == [set(), {"multiselect"}, {"multiselect", "min_date"}]
    assert ["source_url" in one.form for one in (old, middle, new)] == [False, False, True]


@pytest.mark.parametrize(
    ("client", "sent"),
    [
        ("web", {"text": "x", "count": 5, "on": True, "many": ["a", "b"], "day": "2026-11-24"}),
        ("mobile", {"text": "x", "count": 5, "on": True, "many": "a,b", "day": "2026-11-24", "found": ""}),
    ],
)
def test_each_client_has_its_encoding(app: Integration, agent: MattermostClient, client: Client, sent: Json) -> None:
    """The app joins lists; untouched values are missing from the web client and empty from the app."""
    opened = press(app, agent, "11.6.0")
    values = {"text": "x", "count": 5, "on": True, "many": ["a", "b"], "day": "2026-11-24"}
    assert agent.submit_dialog(opened, values, client=client) == {}
    got = app.last("dialog")
    assert got["submission"] == sent
    assert (got["type"], got["user_id"], got["state"]) == ("dialog_submission", agent.id, "s1")


def test_untouched_elements_send_their_defaults_or_nothing(app: Integration, agent: MattermostClient) -> None:
    """
    Since 11.0 the web client leaves out empty values; before, it sent everything. The app leaves out only numbers.
    """
    agent.submit_dialog(press(app, agent, "11.6.0"), {})
    assert app.last("dialog")["submission"] == {"text": "as given", "on": False}
    empty = {"text": "as given", "on": False, "day": "", "found": ""}
    agent.submit_dialog(press(app, agent, "9.11.0"), {})
    assert app.last("dialog")["submission"] == empty | {"count": "", "many": ""}
    agent.submit_dialog(press(app, agent, "11.6.0"), {}, client="mobile")
    assert app.last("dialog")["submission"] == empty | {"many": ""}


@pytest.mark.parametrize("client", ["web", "mobile"])
def test_a_next_form_carries_the_entered_values(app: Integration, agent: MattermostClient, client: Client) -> None:
    """
    Values of all steps are sent again; the web client keeps the first callback ID, the app turns values into texts.
    """
    opened = press(app, agent, "11.6.0")
    numbers = [{"name": "more", "type": "text", "subtype": "number"}, {"name": "yes", "type": "bool"}]
    form = {"callback_id": "two", "title": "Second", "state": "s2", "elements": numbers}
    app.answers["dialog"] = {"type": "form", "form": form}
    submission = opened.submission({"text": "x"}, client)
    answer = agent.submit_dialog(opened, {"text": "x"}, client=client)
    assert answer["form"]["title"] == "Second"
    app.answers["dialog"] = {"errors": {"more": "too many"}}
    second = opened.step(answer, submission)
    assert agent.submit_dialog(second, {"more": 7, "yes": True}, client=client) == {"errors": {"more": "too many"}}
    got = app.last("dialog")
    assert got["submission"]["text"] == "x"
    assert (got["callback_id"], got["state"]) == ("one" if client == "web" else "two", "s2")
    wanted = (7, True) if client == "web" else ("7", "true")
    assert (got["submission"]["more"], got["submission"]["yes"]) == wanted


@pytest.mark.parametrize("client", ["web", "mobile"])
def test_a_refresh_sends_the_chosen_values(app: Integration, agent: MattermostClient, client: Client) -> None:
    """The answer replaces the form; the app says which element changed, the web client doesn't."""
    opened = press(app, agent, "11.6.0")
    app.answers["dialog"] = {"type": "form", "form": {"title": "Refreshed", "elements": []}}
    assert agent.refresh_dialog(opened, "found", {"found": "9"}, client=client).form["title"] == "Refreshed"
    got = app.last("dialog")
    assert (got["type"], got["submission"]["found"]) == ("refresh", "9")
    assert got["submission"].get("selected_field") == ("found" if client == "mobile" else None)


def test_a_lookup_is_sent_per_key_by_the_web_client_and_once_by_the_app(
    app: Integration, agent: MattermostClient
) -> None:
    """The web client sends the query and all values, the app only the element's name."""
    opened = press(app, agent, "11.6.0")
    app.answers["lookup"] = {"items": [{"text": "One", "value": "1"}], "other": 1}
    assert agent.look_up_dialog(opened, "found", "on", {"text": "x"}) == [{"text": "One", "value": "1"}]
    got = app.last("lookup")
    assert (got["type"], got["submission"]["query"], got["submission"]["text"]) == ("dialog_lookup", "on", "x")
    agent.look_up_dialog(opened, "found", "on", {}, client="mobile")
    assert app.last("lookup")["submission"] == {"selected_field": "found"}


@pytest.mark.parametrize("answer", [{"type": "form"}, {"type": "odd"}, {"form": {"title": "T"}}])
def test_a_malformed_answer_is_rejected_by_later_servers(
    app: Integration, agent: MattermostClient, answer: Json
) -> None:
    """400 if a form lacks its type or a type its form; 9.11 ignores it."""
    opened = press(app, agent, "11.6.0")
    app.answers["dialog"] = answer
    with pytest.raises(requests.HTTPError, match="400"):
        agent.submit_dialog(opened, {})
    requests.post(f"{app.mattermost}/_sandbox/version", json={"version": "9.11.0"}, timeout=10)
    assert agent.submit_dialog(opened, {}) == {}


def test_canceling_notifies_the_integration(app: Integration, agent: MattermostClient) -> None:
    """It gets a canceled, empty submission."""
    opened = press(app, agent, "9.11.0")
    agent.submit_dialog(opened, {}, cancelled=True)
    assert (app.last("dialog")["cancelled"], app.last("dialog")["submission"]) == (True, {})


def test_the_trigger_is_signed_with_the_public_configurations_key(app: Integration, agent: MattermostClient) -> None:
    """P-256 over the text up to the third colon; another server's key doesn't match."""
    press(app, agent, "9.11.0")
    text = base64.b64decode(app.last("press")["trigger_id"]).decode()
    signed, _, signature = text.rpartition(":")
    client_id, user_id, _ = signed.split(":")
    assert (len(client_id), user_id) == (26, agent.id)
    config = requests.get(f"{app.mattermost}/api/v4/config/client?format=old", timeout=10).json()
    key = load_der_public_key(base64.b64decode(config["AsymmetricSigningPublicKey"]))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    key.verify(base64.b64decode(signature), f"{signed}:".encode(), ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(signature), f"{signed};".encode(), ec.ECDSA(SHA256()))


def test_an_update_in_an_archived_channel_is_rejected(
    app: Integration, agent: MattermostClient, admin: MattermostClient
) -> None:
    """The press reaches the integration, the card isn't changed, and the person only sees the error."""
    app.answers["press"] = {"update": {"message": "changed"}, "ephemeral_text": "done"}
    desk = agent.channel("service-desk")
    post = agent.post("/api/v4/posts", {"channel_id": desk, "message": "as it was", "props": app.card()})
    admin.browser.delete(f"{admin.url}/api/v4/channels/{desk}").raise_for_status()
    with pytest.raises(requests.HTTPError, match="400"):
        agent.press_action(post["id"], "Go")
    assert app.last("press")["post_id"] == post["id"]
    assert agent.get(f"/api/v4/posts/{post['id']}")["message"] == "as it was"


def test_a_private_posts_button_is_pressed_with_its_cookie(
    app: Integration, agent: MattermostClient, admin: MattermostClient
) -> None:
    """The context comes from the cookie; another post's cookie, or a changed one, is rejected."""
    app.answers["press"] = {"ephemeral_text": "done"}
    post = {"channel_id": agent.channel("service-desk"), "message": "", "props": app.card()}
    with agent.listening() as listening:
        for _ in range(2):
            admin.post("/api/v4/posts/ephemeral", {"user_id": agent.id, "post": post})
        first, second = (one["data"]["post"] for one in listening.events())
    [action] = first["props"]["attachments"][0]["actions"]
    assert agent.press_action(first["id"], action["id"], cookie=action["cookie"]).texts == ["done"]
    assert app.last("press")["context"] == {"mac": "secret"}
    for post_id, cookie in ((second["id"], action["cookie"]), (first["id"], action["cookie"][:-6] + "AAAA==")):
        with pytest.raises(requests.HTTPError, match="400"):
            agent.press_action(post_id, action["id"], cookie=cookie)
