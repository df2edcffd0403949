"""Cards that work on every server: buttons, dialogs, the same forms and handlers (design §4, §8)."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from structlog.testing import capture_logs

from sandbox.client import MattermostClient
from tests.acts import attachment, opened, row
from tests.scenarios.subscriptions.subscribing import install_component
from tests.world import World

Json = dict[str, Any]


def set_version(world: World, version: str) -> None:
    """Change the server's version, which the service doesn't know yet."""
    answer = requests.post(f"{world.mattermost.url}/_sandbox/version", json={"version": version}, timeout=10)
    answer.raise_for_status()


def card_of(world: World, person: MattermostClient) -> tuple[Json, str]:
    """A new incident's card in the service desk's channel, and the incident's number."""
    form = opened(person.command("incident create", channel="service-desk"))
    answer = person.submit(form, {"short_description": "Card"}, channel="service-desk")
    assert answer["type"] == "ok", answer
    channel_id = person.channel("service-desk")
    posts = person.get(f"/api/v4/channels/{channel_id}/posts")
    post = next(posts["posts"][one] for one in posts["order"] if posts["posts"][one]["props"].get("attachments"))
    number = next(one["number"] for one in world.servicenow.rows("incident") if one["short_description"] == "Card")
    return post, number


def test_a_card_has_the_buttons_of_its_state(world: World) -> None:
    """Comment, State, Assign to me and More…; clients see nothing of what a button carries."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    actions = attachment(post)["actions"]
    assert [action["name"] for action in actions] == ["Comment", "State", "Assign to me", "More…"]
    assert not any("integration" in action for action in actions)


def test_assign_to_me_is_done_at_once(world: World) -> None:
    """The record is assigned to the presser, the card and the thread show it, and the presser is told."""
    world.connected("agent")
    post, number = card_of(world, world.person("agent"))
    other = world.connected("agent2")
    pressed = other.press_action(post["id"], "Assign to me")
    assert pressed.dialog is None
    incident = row(world, number)
    assert incident["assigned_to"] == next(
        one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent2"
    )
    assert number in pressed.texts[0]
    card = attachment(other.get(f"/api/v4/posts/{post['id']}"))
    assert "Assigned to" in str(card)
    thread = other.get(f"/api/v4/posts/{post['id']}/thread")["posts"].values()
    assert any(one["message"].startswith("Aiko Agent ") for one in thread)


@pytest.mark.parametrize("client", ["web", "mobile"])
@pytest.mark.parametrize("version", ["9.11.0", "11.6.0"])
def test_a_comment_is_added_with_a_dialog(world: World, version: str, client: Any) -> None:
    """The dialog's only button is named after what it does; the comment is saved, and the thread says so."""
    set_version(world, version)
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    assert dialog.form["submit_label"] == "Add"
    assert not [name for name in dialog.names if name.startswith("action")]
    answer = agent.submit_dialog(dialog, {"comments": "From a dialog"}, client=client)
    assert not answer.get("error"), answer
    assert not answer.get("errors"), answer
    texts = [entry["value"] for entry in world.servicenow.store.journal(row(world, number)["sys_id"], "comments")]
    assert texts == ["From a dialog"]
    thread = agent.get(f"/api/v4/posts/{post['id']}/thread")["posts"].values()
    assert any("added a comment" in one["message"] for one in thread)


VERSIONS = ["9.11.0", "11.6.0"]
CLIENTS: list[Any] = ["web", "mobile"]


@pytest.mark.parametrize("client", CLIENTS)
def test_resolving_on_an_old_server_names_missing_fields(world: World, client: Any) -> None:
    """One dialog has all fields as optional; a missing one is reported at its field, and nothing is saved."""
    set_version(world, "9.11.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "State").dialog
    assert dialog is not None
    assert "source_url" not in dialog.form
    assert {"state", "close_code", "close_notes", "hold_reason"} <= set(dialog.names)
    refused = agent.submit_dialog(dialog, {"state": "6"}, client=client)
    assert set(refused["errors"]) <= set(dialog.names)
    assert "close_notes" in refused["errors"]
    assert row(world, number)["state"] == "1"
    done = {"state": "6", "close_code": "Duplicate", "close_notes": "Same as before"}
    assert not agent.submit_dialog(dialog, done, client=client).get("errors")
    assert row(world, number)["state"] == "6"
    card = attachment(agent.get(f"/api/v4/posts/{post['id']}"))
    assert "Resolved" in str(card["fields"])
    assert [action["name"] for action in card["actions"]][:3] == ["Comment", "Close", "Reopen"]


def test_a_dialog_for_all_states_has_no_values_of_an_earlier_state(world: World) -> None:
    """If the fields of all states are shown at once, those of other states are empty."""
    set_version(world, "9.11.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    old = {"hold_reason": "4", "close_code": "Duplicate", "close_notes": "As before"}
    world.administer("PATCH", f"/api/now/table/incident/{row(world, number)['sys_id']}", old)
    dialog = agent.press_action(post["id"], "State").dialog
    assert dialog is not None
    assert set(old) <= set(dialog.names)
    assert [dialog.element(name).get("default", "") for name in old] == ["", "", ""]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_new_server_adds_fields_when_a_state_is_chosen(world: World, client: Any) -> None:
    """Choosing On Hold adds its reason as a required field."""
    set_version(world, "11.6.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "State").dialog
    assert dialog is not None
    assert "hold_reason" not in dialog.names
    dialog = agent.refresh_dialog(dialog, "state", {"state": "3"}, client=client)
    assert dialog.element("hold_reason")["optional"] is False
    values = {"state": "3", "hold_reason": "4"}
    assert not agent.submit_dialog(dialog, values, client=client).get("errors")
    assert (row(world, number)["state"], row(world, number)["hold_reason"]) == ("3", "4")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_assigning_from_the_select(world: World, version: str, client: Any) -> None:
    """“More…” opens the dialog of the chosen action; a person is found by typing, as far as the server allows."""
    set_version(world, version)
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "More…", "assign").dialog
    assert dialog is not None
    if version == "9.11.0":
        chosen = "agent2"
    else:
        found = agent.look_up_dialog(dialog, "assigned_to", "agent2", {}, client=client)
        # The mobile app asks once, without the typed text, and searches in the answer.
        assert 1 <= len(found) <= 20
        assert len(found) == 1 or client == "mobile"
        chosen = next(one["value"] for one in found if "agent2" in one["text"])
    answer = agent.submit_dialog(dialog, {"assigned_to": chosen}, client=client)
    assert not answer.get("errors"), answer
    expected = next(one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent2")
    assert row(world, number)["assigned_to"] == expected


@pytest.mark.parametrize("button", ["Comment", "State", "Assign to me"])
def test_a_press_without_a_connection_is_answered_privately(world: World, button: str) -> None:
    """Only the presser gets a link to connect; nothing opens or changes."""
    post, number = card_of(world, world.connected("agent"))
    before = row(world, number)
    pressed = world.person("newcomer").press_action(post["id"], button)
    assert pressed.dialog is None
    assert "/oauth2/remote/connect" in pressed.texts[0]
    assert row(world, number) == before


def test_a_press_without_rights_is_answered_privately(world: World) -> None:
    """The answer gives ServiceNow's reason; the record doesn't change."""
    post, number = card_of(world, world.connected("agent"))
    before = row(world, number)
    pressed = world.connected("requester").press_action(post["id"], "Assign to me")
    assert "may not" in pressed.texts[0]
    assert "Reference" in pressed.texts[0]
    assert row(world, number) == before


def test_a_deleted_record_is_reported(world: World) -> None:
    """The card remains after the record was deleted: a press says so."""
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    world.servicenow.store.delete("incident", row(world, number)["sys_id"])
    pressed = agent.press_action(post["id"], "Assign to me")
    assert "no such record" in pressed.texts[0]


def test_servicenows_timeout_is_reported(world: World) -> None:
    """A press that ServiceNow doesn't answer says so, and opens nothing that depends on the answer."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    world.servicenow.fault("500", times=20)
    pressed = agent.press_action(post["id"], "Assign to me")
    assert "Reference" in pressed.texts[0]
    assert pressed.edited == []


@pytest.fixture
def genuine_press(world: World) -> tuple[Json, MattermostClient]:
    """A press as Mattermost forwards it, in parts that tests can change."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    stored = world.mattermost.state.posts[post["id"]]
    [card] = stored["props"]["attachments"]
    context = next(action for action in card["actions"] if action["id"] == "mine")["integration"]["context"]
    _, trigger_id = world.mattermost.trigger_ids.create(agent.id)
    body = {
        "user_id": agent.id,
        "user_name": "agent",
        "channel_id": post["channel_id"],
        "post_id": post["id"],
        "trigger_id": trigger_id,
        "type": "button",
        "context": context,
    }
    return body, agent


def forward(world: World, body: Json) -> str:
    """Post what Mattermost posts; returns the private answer."""
    answer = requests.post(f"{world.config.app_url}/plain/press", json=body, timeout=20)
    assert answer.status_code == 200
    return str(answer.json()["ephemeral_text"])


def assignee(world: World) -> str:
    """The assignee of the card's incident."""
    return next(one["assigned_to"] for one in world.servicenow.rows("incident") if one["short_description"] == "Card")


def test_the_same_press_counts_once(world: World, genuine_press: tuple[Json, MattermostClient]) -> None:
    """Forwarded twice, it is done once; the second answer says so."""
    body, _ = genuine_press
    assert "verified" not in forward(world, body)
    assert assignee(world)
    asked = len(world.asked())
    assert "pressed already" in forward(world, body)
    assert len(world.asked()) == asked


def other_card(world: World, person: MattermostClient) -> str:
    """The post of another record's card in the same channel."""
    form = opened(person.command("incident create", channel="service-desk"))
    assert person.submit(form, {"short_description": "Other card"}, channel="service-desk")["type"] == "ok"
    channel_id = person.channel("service-desk")
    posts = person.get(f"/api/v4/channels/{channel_id}/posts")
    return next(str(one) for one in posts["order"] if "Other card" in str(posts["posts"][one]["props"]))


Changed = Callable[[World, MattermostClient], Json]

# What was changed in the press, and the rejection that the log names.
CHANGES: dict[str, tuple[Changed, str]] = {
    "another person's trigger": (
        lambda world, _: {"trigger_id": world.mattermost.trigger_ids.create(world.person("admin").id)[1]},
        "trigger: of another person",
    ),
    "another person": (lambda world, _: {"user_id": world.person("admin").id}, "trigger: of another person"),
    "a client id": (
        lambda world, agent: {"trigger_id": world.mattermost.trigger_ids.create(agent.id)[0]},
        "trigger: of another shape",
    ),
    "another channel": (
        lambda _, agent: {"channel_id": agent.channel("town-square")},
        "button: pressed in another channel than its card's",
    ),
    "another card": (
        lambda world, agent: {"post_id": other_card(world, agent)},
        "button: its card is another record's",
    ),
    "no card": (
        lambda _, agent: {"post_id": agent.say("service-desk", "Just words")["id"]},
        "button: its card is another record's",
    ),
    "no post": (lambda *_: {"post_id": "p" * 26}, "button: its post can't be read"),
    "the card, shared elsewhere": (
        lambda world, agent: {"post_id": copied_card(world, agent)},
        "button: its post is in another channel",
    ),
}


def copied_card(world: World, person: MattermostClient) -> str:
    """The post of the same record's card in another channel."""
    number = next(one["number"] for one in world.servicenow.rows("incident") if one["short_description"] == "Card")
    form = opened(person.command("share", {"record": number}, channel="town-square"))
    assert person.submit(form, {}, channel="town-square")["type"] == "ok"
    return str(world.mattermost.posts_in("town-square")[-1]["id"])


@pytest.mark.usefixtures("every_log_line")
@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_press_is_rejected(world: World, genuine_press: tuple[Json, MattermostClient], what: str) -> None:
    """Person, trigger, channel and post are bound to each other."""
    body, agent = genuine_press
    changed, reason = CHANGES[what]
    changes = changed(world, agent)
    with capture_logs() as lines:
        assert "could not be verified" in forward(world, body | changes)
    told = [line["detail"] for line in lines if line["event"].startswith("refused")]
    assert [detail.startswith(reason) for detail in told] == [True], lines
    assert assignee(world) == ""


def test_an_old_press_is_rejected(world: World, genuine_press: tuple[Json, MattermostClient]) -> None:
    """After a minute the answer says so."""
    body, _ = genuine_press
    world.offset += 61
    assert "too long" in forward(world, body)
    assert assignee(world) == ""


def test_another_persons_dialog_is_rejected(world: World) -> None:
    """The state is bound to the person who pressed."""
    agent, other = world.connected("agent"), world.connected("agent2")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    assert other.submit_dialog(dialog, {"comments": "Not mine"})["error"]
    assert world.servicenow.store.journal(row(world, number)["sys_id"], "comments") == []


def test_a_dialog_submitted_twice_adds_once(world: World) -> None:
    """A double submit of one dialog adds one comment."""
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    for _ in range(2):
        agent.submit_dialog(dialog, {"comments": "Once"})
    assert len(world.servicenow.store.journal(row(world, number)["sys_id"], "comments")) == 1


def test_a_blank_comment_is_rejected_at_its_field(world: World) -> None:
    """Spaces aren't a comment; the dialog remains open."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    answer = agent.submit_dialog(dialog, {"comments": "  \u200b "})
    assert "comments" in answer["errors"]


def test_guests_can_do_nothing_from_a_card(world: World) -> None:
    """The policy applies to buttons and to dialogs that are already open, until the setting allows guests."""
    agent, admin = world.connected("agent"), world.person("admin")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    role = {"roles": "system_guest"}
    admin.browser.put(f"{world.mattermost.url}/api/v4/users/{agent.id}/roles", json=role).raise_for_status()
    world.advance(301)  # accounts are cached for five minutes
    world.servicenow.clear_requests()
    for action in (("Comment",), ("Assign to me",), ("More…", "subscribe"), ("More…", "refresh")):
        pressed = agent.press_action(post["id"], *action)
        assert pressed.dialog is None
        assert "Guests can't use ServiceNow here" in pressed.texts[0]
    assert "Guests can't use ServiceNow here" in agent.submit_dialog(dialog, {"comments": "As a guest"})["error"]
    assert world.asked() == []
    assert world.servicenow.store.journal(row(world, number)["sys_id"], "comments") == []
    world.restart(guests=True)
    assert agent.press_action(post["id"], "More…", "subscribe").dialog is not None


@pytest.mark.parametrize("seconds", [31, 45])
def test_an_expired_trigger_is_reported(
    world: World, genuine_press: tuple[Json, MattermostClient], seconds: int
) -> None:
    """
    Mattermost opens dialogs for thirty seconds after a press: a later one is answered with a request to press again.
    """
    body, _ = genuine_press
    stored = world.mattermost.state.posts[body["post_id"]]
    [card] = stored["props"]["attachments"]
    context = next(action for action in card["actions"] if action["id"] == "comment")["integration"]["context"]
    world.mattermost.advance(seconds)
    assert "Press it again" in forward(world, body | {"context": context})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_channel_is_subscribed_from_a_card(world: World, version: str) -> None:
    """“More…” → Subscribe: the dialog shows record and channel, and one press saves it."""
    set_version(world, version)
    install_component(world, "agent")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "More…", "subscribe").dialog
    assert dialog is not None
    assert dialog.element("channel")["default"] == post["channel_id"]
    assert dialog.element("channel")["help_text"] == "Now: Service Desk."  # clients see only the ID
    assert number in dialog.element("record")["default"]
    answer = agent.submit_dialog(dialog, {})
    assert not answer.get("error"), answer
    [stored] = world.servicenow.rows("x_830655_mm_std_servicenow_for_mattermost_subscriptions")
    assert (stored["record_id"], stored["channel_id"]) == (row(world, number)["sys_id"], post["channel_id"])


def test_a_private_channels_name_is_only_for_its_members(world: World) -> None:
    """A press forwarded for someone outside the channel opens nothing, does nothing and sends nothing."""
    install_component(world, "admin", "agent")
    agent, admin = world.connected("agent"), world.connected("admin")
    form = opened(admin.command("incident create", channel="operations"))
    assert admin.submit(form, {"short_description": "Secret"}, channel="operations")["type"] == "ok"
    channel_id = admin.channel("operations")
    stored = next(one for one in world.mattermost.state.posts.values() if "Secret" in str(one["props"]))
    actions = {one["id"]: one["integration"]["context"] for one in stored["props"]["attachments"][0]["actions"]}
    world.servicenow.clear_requests()
    # A channel name that looks like a direct or group message's opens nothing if the bot can see the members.
    names = ("operations", f"{admin.id}__{agent.id}", "0123456789abcdef" * 2 + "01234567")
    presses = ({**actions["more"], "selected_option": "subscribe"}, actions["comment"], actions["mine"])
    for name, context in zip(names, presses, strict=True):
        body = {
            "user_id": agent.id,
            "channel_id": channel_id,
            "channel_name": name,
            "post_id": stored["id"],
            "trigger_id": world.mattermost.trigger_ids.create(agent.id)[1],
            "context": context,
        }
        with agent.listening() as listening:
            told = forward(world, body)
            heard = listening.events()
        assert "You aren't a member of this channel" in told
        assert "Operations" not in told
        assert not [event for event in heard if event["event"] == "open_dialog"]
    assert world.asked() == []


def test_a_cookie_of_another_channel_opens_no_private_card(world: World) -> None:
    """Mattermost 11.6 lets people with a cookie of a channel they can read press a private channel's card."""
    set_version(world, "11.6.0")
    agent, admin = world.connected("agent"), world.connected("admin")
    form = opened(admin.command("incident create", channel="operations"))
    assert admin.submit(form, {"short_description": "Secret"}, channel="operations")["type"] == "ok"
    card = next(one for one in world.mattermost.state.posts.values() if "Secret" in str(one["props"]))
    action = {"id": "go", "type": "button", "name": "Go", "integration": {"url": world.config.app_url, "context": {}}}
    private = {
        "channel_id": agent.channel("town-square"),
        "message": "",
        "props": {"attachments": [{"actions": [action]}]},
    }
    with agent.listening() as listening:
        admin.post("/api/v4/posts/ephemeral", {"user_id": agent.id, "post": private})
        [told] = [one["data"]["post"] for one in listening.events() if one["event"] == "ephemeral_message"]
    cookie = told["props"]["attachments"][0]["actions"][0]["cookie"]
    world.servicenow.clear_requests()
    for button in ("comment", "mine"):
        pressed = agent.press_action(card["id"], button, cookie=cookie)
        assert pressed.dialog is None
        assert "You aren't a member of this channel" in pressed.texts[0]
    assert world.asked() == []


def test_someone_who_left_the_channel_cant_submit_a_dialog(world: World) -> None:
    """It was opened as a member; only members can act in the channel."""
    admin = world.connected("admin")
    form = opened(admin.command("incident create", channel="operations"))
    assert admin.submit(form, {"short_description": "Card"}, channel="operations")["type"] == "ok"
    channel_id = admin.channel("operations")
    post = next(one for one in world.mattermost.posts_in("operations") if "Card" in str(one["props"]))
    dialog = admin.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    admin.browser.delete(f"{admin.url}/api/v4/channels/{channel_id}/members/{admin.id}").raise_for_status()
    world.servicenow.clear_requests()
    told = admin.submit_dialog(dialog, {"comments": "From outside"})["error"]
    assert "You aren't a member of this channel" in told
    assert world.asked() == []
