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


def as_version(world: World, version: str) -> None:
    """Let the server be of that version from its next answer on; the service remembers none yet."""
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


def test_a_card_has_the_buttons_that_fit(world: World) -> None:
    """Comment, State, Assign to me and More…; nothing of what a button carries reaches a client."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    actions = attachment(post)["actions"]
    assert [action["name"] for action in actions] == ["Comment", "State", "Assign to me", "More…"]
    assert not any("integration" in action for action in actions)


def test_assign_to_me_is_done_at_once(world: World) -> None:
    """The record is the presser's, the card shows it, the thread says it, the presser is told."""
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
def test_a_comment_by_a_dialog(world: World, version: str, client: Any) -> None:
    """The dialog opens, its only button named by what it does; the comment lands in the record, the thread says so."""
    as_version(world, version)
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
def test_resolving_on_an_old_server_names_what_is_missing(world: World, client: Any) -> None:
    """One dialog holds everything, as optional; what was needed is said at its field and nothing is saved."""
    as_version(world, "9.11.0")
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


def test_one_dialog_for_all_states_fills_in_nothing_of_an_earlier_one(world: World) -> None:
    """Where every state's fields are shown at once, a record in none of them has them empty."""
    as_version(world, "9.11.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    old = {"hold_reason": "4", "close_code": "Duplicate", "close_notes": "As before"}
    world.administer("PATCH", f"/api/now/table/incident/{row(world, number)['sys_id']}", old)
    dialog = agent.press_action(post["id"], "State").dialog
    assert dialog is not None
    assert set(old) <= set(dialog.names)
    assert [dialog.element(name).get("default", "") for name in old] == ["", "", ""]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_new_server_asks_for_more_when_the_state_is_chosen(world: World, client: Any) -> None:
    """On Hold asks for its reason, as a required field, once it is chosen."""
    as_version(world, "11.6.0")
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
    """“More…” opens the dialog of what was chosen; a person is found by typing, as the server allows."""
    as_version(world, version)
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "More…", "assign").dialog
    assert dialog is not None
    if version == "9.11.0":
        chosen = "agent2"
    else:
        found = agent.look_up_dialog(dialog, "assigned_to", "agent2", {}, client=client)
        # The mobile app asks once, without what is typed, and searches in the answer.
        assert 1 <= len(found) <= 20
        assert len(found) == 1 or client == "mobile"
        chosen = next(one["value"] for one in found if "agent2" in one["text"])
    answer = agent.submit_dialog(dialog, {"assigned_to": chosen}, client=client)
    assert not answer.get("errors"), answer
    expected = next(one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent2")
    assert row(world, number)["assigned_to"] == expected


@pytest.mark.parametrize("button", ["Comment", "State", "Assign to me"])
def test_a_press_by_somebody_not_connected_is_answered_privately(world: World, button: str) -> None:
    """The way to connect, for the presser alone; nothing opens, nothing changes."""
    post, number = card_of(world, world.connected("agent"))
    before = row(world, number)
    pressed = world.person("newcomer").press_action(post["id"], button)
    assert pressed.dialog is None
    assert "/oauth2/remote/connect" in pressed.texts[0]
    assert row(world, number) == before


def test_a_press_without_the_right_is_answered_privately(world: World) -> None:
    """ServiceNow's refusal in words; the record stays."""
    post, number = card_of(world, world.connected("agent"))
    before = row(world, number)
    pressed = world.connected("requester").press_action(post["id"], "Assign to me")
    assert "may not" in pressed.texts[0]
    assert "Reference" in pressed.texts[0]
    assert row(world, number) == before


def test_a_record_that_is_gone_is_said(world: World) -> None:
    """The card outlives the record: a press says so."""
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    world.servicenow.store.delete("incident", row(world, number)["sys_id"])
    pressed = agent.press_action(post["id"], "Assign to me")
    assert "no such record" in pressed.texts[0]


def test_servicenows_silence_is_said(world: World) -> None:
    """A press that ServiceNow does not answer opens nothing, or what needs no answer, and says it."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    world.servicenow.fault("500", times=20)
    pressed = agent.press_action(post["id"], "Assign to me")
    assert "Reference" in pressed.texts[0]
    assert pressed.edited == []


@pytest.fixture
def genuine(world: World) -> tuple[Json, MattermostClient]:
    """A press as Mattermost forwards it, taken apart so that tests can change it."""
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
    """Post what Mattermost posts; the private answer."""
    answer = requests.post(f"{world.config.app_url}/plain/press", json=body, timeout=20)
    assert answer.status_code == 200
    return str(answer.json()["ephemeral_text"])


def assigned(world: World) -> str:
    """Whose the card's incident is."""
    return next(one["assigned_to"] for one in world.servicenow.rows("incident") if one["short_description"] == "Card")


def test_the_same_press_counts_once(world: World, genuine: tuple[Json, MattermostClient]) -> None:
    """Forwarded twice, done once; the second is told so."""
    body, _ = genuine
    assert "verified" not in forward(world, body)
    assert assigned(world)
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

# What is not as it was pressed, and the refusal that the log names.
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
def test_a_changed_press_is_refused(world: World, genuine: tuple[Json, MattermostClient], what: str) -> None:
    """Each part belongs to the others: person, trigger, channel and post."""
    body, agent = genuine
    changed, reason = CHANGES[what]
    changes = changed(world, agent)
    with capture_logs() as lines:
        assert "could not be verified" in forward(world, body | changes)
    told = [line["detail"] for line in lines if line["event"].startswith("refused")]
    assert [detail.startswith(reason) for detail in told] == [True], lines
    assert assigned(world) == ""


def test_an_old_press_is_refused(world: World, genuine: tuple[Json, MattermostClient]) -> None:
    """After a minute it says so."""
    body, _ = genuine
    world.offset += 61
    assert "too long" in forward(world, body)
    assert assigned(world) == ""


def test_a_dialog_of_another_person_is_refused(world: World) -> None:
    """The state was made for who pressed."""
    agent, other = world.connected("agent"), world.connected("agent2")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    assert other.submit_dialog(dialog, {"comments": "Not mine"})["error"]
    assert world.servicenow.store.journal(row(world, number)["sys_id"], "comments") == []


def test_a_dialog_that_is_sent_twice_adds_once(world: World) -> None:
    """A double submit of one dialog is one comment."""
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    for _ in range(2):
        agent.submit_dialog(dialog, {"comments": "Once"})
    assert len(world.servicenow.store.journal(row(world, number)["sys_id"], "comments")) == 1


def test_a_blank_comment_is_refused_at_its_field(world: World) -> None:
    """Blanks are no comment; the dialog stays open."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    answer = agent.submit_dialog(dialog, {"comments": "  \u200b "})
    assert "comments" in answer["errors"]


def test_guests_do_nothing_from_a_card(world: World) -> None:
    """The policy holds behind buttons and in dialogs that are open already, until the setting lets guests in."""
    agent, admin = world.connected("agent"), world.person("admin")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    role = {"roles": "system_guest"}
    admin.browser.put(f"{world.mattermost.url}/api/v4/users/{agent.id}/roles", json=role).raise_for_status()
    world.advance(301)  # who people are is remembered for five minutes
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
def test_a_trigger_that_mattermost_no_longer_takes_is_said(
    world: World, genuine: tuple[Json, MattermostClient], seconds: int
) -> None:
    """Mattermost opens dialogs for half a minute after a press: what came later is told to press again."""
    body, _ = genuine
    stored = world.mattermost.state.posts[body["post_id"]]
    [card] = stored["props"]["attachments"]
    context = next(action for action in card["actions"] if action["id"] == "comment")["integration"]["context"]
    world.mattermost.advance(seconds)
    assert "Press it again" in forward(world, body | {"context": context})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_channel_is_subscribed_from_a_card(world: World, version: str) -> None:
    """“More…” → Subscribe: the record and the channel stand in the dialog; one press saves it."""
    as_version(world, version)
    install_component(world, "agent")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = agent.press_action(post["id"], "More…", "subscribe").dialog
    assert dialog is not None
    assert dialog.element("channel")["default"] == post["channel_id"]
    assert dialog.element("channel")["help_text"] == "Now: Service Desk."  # clients know the id alone
    assert number in dialog.element("record")["default"]
    answer = agent.submit_dialog(dialog, {})
    assert not answer.get("error"), answer
    [stored] = world.servicenow.rows("x_830655_mm_std_servicenow_for_mattermost_subscriptions")
    assert (stored["record_id"], stored["channel_id"]) == (row(world, number)["sys_id"], post["channel_id"])


def test_a_private_channels_name_is_for_its_members(world: World) -> None:
    """A press that is forwarded for somebody outside the channel opens and does nothing, and asks nothing."""
    install_component(world, "admin", "agent")
    agent, admin = world.connected("agent"), world.connected("admin")
    form = opened(admin.command("incident create", channel="operations"))
    assert admin.submit(form, {"short_description": "Secret"}, channel="operations")["type"] == "ok"
    channel_id = admin.channel("operations")
    stored = next(one for one in world.mattermost.state.posts.values() if "Secret" in str(one["props"]))
    actions = {one["id"]: one["integration"]["context"] for one in stored["props"]["attachments"][0]["actions"]}
    world.servicenow.clear_requests()
    # A channel's name that looks like a direct or group message's opens nothing where the bot can tell who is in it.
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
    """Mattermost 11.6 lets anybody press a private channel's card who has a cookie of a channel that they read."""
    as_version(world, "11.6.0")
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


def test_whoever_left_the_channel_finishes_no_dialog(world: World) -> None:
    """The dialog was opened as a member; what is done in the channel is for its members."""
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
