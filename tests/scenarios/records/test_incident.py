"""One form creates one incident and one card, whatever is entered and however often it is submitted."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.accounts import FormResult
from sandbox.client import MattermostClient
from tests.scenarios.subscriptions.subscribing import install_component
from tests.world import World

Json = dict[str, Any]


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent; the choices are cached."""
    agent = world.connected("agent")
    open_form(agent)
    world.servicenow.clear_requests()
    return agent


def open_form(person: MattermostClient, channel: str = "service-desk") -> Json:
    """The form from the app bar."""
    menu = person.press("/channel_header", "ServiceNow", channel=channel)["form"]
    form: Json = person.submit(menu, {"action": "incident"}, channel=channel)["form"]
    return form


def from_message(person: MattermostClient, post: Json, channel: str = "service-desk") -> Json:
    """The answer of the post menu."""
    return person.press("/post_menu", "Create ServiceNow incident", channel=channel, post_id=post["id"])


def value(form: Json, name: str) -> Any:
    """A field's default."""
    found = next(field for field in form["fields"] if field["name"] == name).get("value")
    return found["value"] if isinstance(found, dict) else found


def created(world: World) -> list[dict[str, str]]:
    """Incidents, except the three of the seed."""
    return world.servicenow.rows("incident")[3:]


def test_another_persons_form_result_isnt_shown(world: World, agent: MattermostClient) -> None:
    """Someone else's stored result with the same form ID is neither answered nor used for this form."""
    form = open_form(agent)
    payload = form["submit"]["state"].partition(".")[0]
    content = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["c"]
    other = FormResult(
        form_id=content["form_id"],
        person_id=world.person("requester").id,
        table="incident",
        sys_id="1" * 32,
        number="INC0099999",
        text="Created the other one's INC0099999",
        stored_at=world.now(),
    )
    world.running.service.services.stores.form_results.put(other)
    answer = agent.submit(form, {"short_description": "My own"})
    assert answer["type"] == "ok"
    assert "INC0099999" not in answer["text"]
    assert [row["short_description"] for row in created(world)] == ["My own"]


@pytest.mark.parametrize("length", [1, 50, 75, 76, 120, 160, 161, 400])
def test_a_message_is_prefilled_completely(world: World, agent: MattermostClient, length: int) -> None:
    """The title is its first words, at most 160 characters; the description is the whole text with its permalink."""
    message = ("word and more " * 40)[:length].strip() or "x"
    post = agent.say("service-desk", message)
    form = from_message(agent, post)["form"]
    title, description = value(form, "short_description"), value(form, "description")
    assert 0 < len(title) <= 160
    assert message.startswith(title.removesuffix("…"))
    assert description.startswith(message + "\n\n")
    assert description.endswith(f"@agent: {world.mattermost.url}/sandbox/pl/{post['id']}")


def test_opening_a_form_sends_nothing_to_servicenow(world: World, agent: MattermostClient) -> None:
    """With cached choices a form opens without a round trip, and a submit takes one."""
    form = open_form(agent)
    assert world.asked() == []
    answer = agent.submit(form, {"short_description": "Disk full"}, channel="service-desk")
    assert answer["type"] == "ok"
    assert [(entry["method"], entry["path"]) for entry in world.asked()] == [("POST", "/api/now/v2/table/incident")]


def test_the_record_has_the_entered_values(world: World, agent: MattermostClient) -> None:
    """Values arrive, not labels; the answer has number and link; the card is in the thread."""
    post = agent.say("service-desk", "**Printer** on fire\nplease hurry")
    form = from_message(agent, post)["form"]
    [group] = agent.look_up(form, "assignment_group", "netw")["data"]["items"]
    [item] = agent.look_up(form, "cmdb_ci", "lobby")["data"]["items"]
    entered = {"urgency": {"label": "1 - High", "value": "1"}, "assignment_group": group, "cmdb_ci": item}
    answer = agent.submit(form, entered, channel="service-desk", post_id=post["id"])

    [row] = created(world)
    assert row["short_description"] == "Printer on fire"
    assert row["description"].startswith("**Printer** on fire\nplease hurry\n\n")
    assert (row["urgency"], row["impact"], row["priority"]) == ("1", "3", "3")
    assert (row["assignment_group"], row["cmdb_ci"]) == (group["value"], item["value"])
    assert world.servicenow.store.display("sys_user", row["caller_id"]) == "Amir Agent"
    assert row["opened_by"] == row["caller_id"]
    assert row["number"] in answer["text"]
    assert f"{world.servicenow.url}/nav_to.do?uri=incident.do%3Fsys_id%3D{row['sys_id']}" in answer["text"]
    card = world.mattermost.posts_in("service-desk")[-1]
    assert card["root_id"] == post["id"]
    assert world.mattermost.state.users[card["user_id"]]["username"] == "servicenow"
    [attachment] = card["props"]["attachments"]
    assert attachment["title"] == f"{row['number']}: Printer on fire"
    assert {field["title"]: field["value"] for field in attachment["fields"]} == {
        "State": "New",
        "Priority": "3 \\- Moderate",
        "Assigned to": "N/A",
        "Assignment group": "Network",
    }


def test_a_replys_card_is_posted_in_the_same_thread(world: World, agent: MattermostClient) -> None:
    """A card made from a reply is a reply to the thread's root."""
    root = agent.say("service-desk", "Anything broken?")
    reply = agent.say("service-desk", "Yes: the lift", root_id=root["id"])
    agent.submit(from_message(agent, reply)["form"], {}, channel="service-desk", post_id=reply["id"])
    assert world.mattermost.posts_in("service-desk")[-1]["root_id"] == root["id"]


def test_one_form_creates_one_record_however_often_it_is_sent(world: World, agent: MattermostClient) -> None:
    """Ten parallel submits and one later: one record, one card, the same answer."""
    form = open_form(agent)
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda _: agent.submit(form, {"short_description": "Once"}, channel="service-desk"), range(10))
        )
    again = agent.submit(form, {"short_description": "Once"}, channel="service-desk")
    assert len(created(world)) == 1
    assert len([post for post in world.mattermost.posts_in("service-desk") if "attachments" in post["props"]]) == 1
    texts = {answer["text"] for answer in answers if answer["type"] == "ok"}
    assert texts == {again["text"]}
    assert all("being saved already" in answer["text"] for answer in answers if answer["type"] == "error")


@pytest.mark.parametrize("title", ["   ", "\u200b", "\u200b \u2060\ufeff"])
def test_an_empty_title_is_rejected_at_its_field(world: World, agent: MattermostClient, title: str) -> None:
    """Spaces and invisible characters aren't a title; the form comes back with the error at the field."""
    answer = agent.submit(open_form(agent), {"short_description": title, "description": "typed"})
    assert answer["type"] == "error"
    assert "short_description" in answer["data"]["errors"]
    assert created(world) == []


def test_a_title_over_160_characters_is_rejected(world: World, agent: MattermostClient) -> None:
    """The field accepts 160, and a client that sends more is rejected."""
    form = open_form(agent)
    field = next(field for field in form["fields"] if field["name"] == "short_description")
    assert field["max_length"] == 160
    answer = agent.submit(form, {"short_description": "x" * 161})
    assert "160" in answer["data"]["errors"]["short_description"]
    assert created(world) == []


def test_the_caller_is_me_or_someone_i_find(world: World, agent: MattermostClient) -> None:
    """The default is the connected person. Two letters find others; one letter sends nothing to ServiceNow."""
    form = open_form(agent)
    amir = next(row for row in world.servicenow.rows("sys_user") if row["user_name"] == "agent")
    assert value(form, "caller_id") == amir["sys_id"]
    world.servicenow.clear_requests()
    assert agent.look_up(form, "caller_id", "a")["data"]["items"] == []
    assert agent.look_up(form, "caller_id", "")["data"]["items"] == []
    assert world.asked() == []
    found = agent.look_up(form, "caller_id", "lu")["data"]["items"]
    assert "Luke Wilson (luke.wilson)" in [item["label"] for item in found]
    luke = next(item for item in found if item["label"].startswith("Luke"))
    agent.submit(form, {"short_description": "For Luke", "caller_id": luke})
    [row] = created(world)
    assert row["caller_id"] == luke["value"]


def test_a_cleared_caller_is_rejected_unless_allowed(world: World, agent: MattermostClient) -> None:
    """A caller is required by default; the setting makes it optional."""
    answer = agent.submit(open_form(agent), {"short_description": "x", "caller_id": None})
    assert "caller_id" in answer["data"]["errors"]
    world.restart(caller_optional=True)
    answer = agent.submit(open_form(agent), {"short_description": "x", "caller_id": None})
    assert answer["type"] == "ok"
    assert created(world)[0]["caller_id"] == ""


def subcategories(form: Json) -> list[str]:
    """The choices in the form."""
    return [
        option["value"] for field in form["fields"] if field["name"] == "subcategory" for option in field["options"]
    ]


def carried(form: Json) -> Any:
    """The contents of the form's state, except its expiry."""
    text = form["submit"]["state"].partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["c"]


# Where dependencies between choices come from: the component's role, `sys_choice`, or neither, with the base system's
# list.
@pytest.mark.parametrize("order", [("admin", "agent", "requester"), ("requester", "agent", "admin")])
def test_subcategories_depend_on_the_category(world: World, order: tuple[str, ...]) -> None:
    """Choosing a category shows its subcategories, whoever asked first, and removes one that no longer fits."""
    install_component(world, "agent")
    for name in order:
        person = world.connected(name)
        form = open_form(person)
        entered: Json = {
            "short_description": "typed",
            "urgency": {"label": "2 - Medium", "value": "2"},
            "category": {"label": "Network", "value": "network"},
        }
        network = person.refresh(form, "category", entered)["form"]
        assert value(network, "short_description") == "typed"
        assert value(network, "urgency") == "2"
        assert subcategories(network) == ["dhcp", "dns", "vpn", "wireless"], name
        database = {"label": "Database", "value": "database"}
        entered |= {"subcategory": {"label": "VPN", "value": "vpn"}, "category": database}
        changed = person.refresh(network, "category", entered)["form"]
        assert value(changed, "subcategory") is None
        assert subcategories(changed) == ["db2", "oracle", "sql server"], name
        assert carried(network) == carried(form)


@pytest.mark.parametrize("order", [("admin", "agent", "requester"), ("requester", "agent", "admin")])
def test_a_custom_subcategory_is_found(world: World, order: tuple[str, ...]) -> None:
    """
    The component returns it to people with its role, and `sys_choice` to people who can read it. Others can't see where
    it belongs, so all subcategories are offered.
    """
    install_component(world, "agent")
    own = {"name": "incident", "element": "subcategory", "value": "drone", "label": "Drone", "language": "en"}
    world.administer("POST", "/api/now/table/sys_choice", own | {"dependent_value": "network", "sequence": "9"})
    for name in order:
        person = world.connected(name)
        entered = {"category": {"label": "Network", "value": "network"}}
        offered = subcategories(person.refresh(open_form(person), "category", entered)["form"])
        if name == "requester":
            assert {"drone", "vpn", "cpu", "oracle"} <= set(offered)
        else:
            assert offered == ["dhcp", "dns", "vpn", "wireless", "drone"], name


def test_a_form_that_was_open_for_long_is_checked_against_the_instances_choices(world: World) -> None:
    """Expired choices are read again, so a custom value isn't rejected."""
    own = {"name": "incident", "element": "urgency", "value": "9", "label": "9 - Whenever", "language": "en"}
    world.administer("POST", "/api/now/table/sys_choice", own | {"sequence": "9"})
    agent = world.connected("agent")
    form = open_form(agent)
    world.advance(1000)
    answer = agent.submit(form, {"short_description": "x", "urgency": {"label": "9 - Whenever", "value": "9"}})
    assert answer["type"] == "ok", answer
    assert created(world)[0]["urgency"] == "9"


def test_choices_are_in_the_persons_language(world: World) -> None:
    """Labels come from ServiceNow in the person's language; values are the same."""
    german = world.connected("agent2")
    form = open_form(german)
    urgency = next(field for field in form["fields"] if field["name"] == "urgency")
    assert {"label": "1 - Hoch", "value": "1"} in urgency["options"]


def test_a_command_creates_at_once_or_asks_for_whats_missing(world: World, agent: MattermostClient) -> None:
    """With a title it creates; without one the form opens with what was typed. Nothing is required in the line."""
    leaf = agent.entries("/command")["servicenow incident create"]
    assert not any(field.get("is_required") for field in leaf["form"]["fields"])
    assert leaf["form"]["fields"][0]["label"] == "short_description"
    answer = agent.command("incident create", {"short_description": "By command"})
    assert answer["type"] == "ok"
    [row] = created(world)
    assert world.servicenow.store.display("sys_user", row["caller_id"]) == "Amir Agent"

    asked = agent.command("incident create", {"description": "Only this", "urgency": {"label": "", "value": "1"}})
    assert asked["type"] == "form"
    assert value(asked["form"], "description") == "Only this"
    assert value(asked["form"], "urgency") == "1"
    assert len(created(world)) == 1


def test_a_name_in_a_command_must_match_exactly_one(world: World, agent: MattermostClient) -> None:
    """A lookup flag's text must match exactly one item; otherwise the answer lists the matches."""
    group = {"label": "Netw", "value": "Netw"}
    answer = agent.command("incident create", {"short_description": "x", "assignment_group": group})
    assert answer["type"] == "ok"
    assert created(world)[0]["assignment_group"] != ""
    printer = {"label": "Printer", "value": "Printer"}
    answer = agent.command("incident create", {"short_description": "x", "cmdb_ci": printer})
    assert answer["type"] == "error"
    assert "Printer lobby" in answer["text"]
    nobody = {"label": "Nobody^ORnameLIKEa", "value": "Nobody^ORnameLIKEa"}
    answer = agent.command("incident create", {"short_description": "x", "caller_id": nobody})
    assert "Nothing in ServiceNow matches" in answer["text"]
    assert len(created(world)) == 1


def test_servicenows_requirement_is_shown_at_its_field(world: World, agent: MattermostClient) -> None:
    """A mandatory column of the form is marked there, and one without a field is named; both keep the form open."""
    form = open_form(agent)
    demand = {"name": "incident", "element": "category", "column_label": "Category", "mandatory": "true"}
    row = world.administer("POST", "/api/now/table/sys_dictionary", demand | {"internal_type": "string"})
    assert row.ok
    answer = agent.submit(form, {"short_description": "x"})
    assert "Category" in answer["data"]["errors"]["category"]
    custom = {"name": "incident", "element": "u_cost_centre", "column_label": "Cost centre", "mandatory": "true"}
    world.administer("POST", "/api/now/table/sys_dictionary", custom)
    answer = agent.submit(form, {"short_description": "x", "category": {"label": "Network", "value": "network"}})
    assert answer["type"] == "error"
    assert "Cost centre" in answer["text"]
    assert created(world) == []


def test_a_direct_message_gets_the_card_as_the_persons_own_post(world: World, agent: MattermostClient) -> None:
    """The bot can't join the direct channel of two people."""
    requester = world.person("requester")
    channel = agent.post("/api/v4/channels/direct", [agent.id, requester.id])["id"]
    menu = agent.call(agent.entries("/channel_header")["ServiceNow"]["submit"], channel_id=channel, channel=None)[
        "form"
    ]
    form = agent.submit(menu, {"action": "incident"}, channel_id=channel, channel=None)["form"]
    answer = agent.submit(form, {"short_description": "Between us"}, channel_id=channel, channel=None)
    assert answer["type"] == "ok"
    assert "not posted" not in answer["text"]
    [card] = [post for post in world.mattermost.state.posts.values() if post["channel_id"] == channel]
    assert card["user_id"] == agent.id


def test_the_bot_joins_a_private_channel_with_the_persons_rights(world: World) -> None:
    """A member's card appears in a private channel that the bot wasn't in."""
    approver = world.connected("approver")
    form = open_form(approver, "operations")
    answer = approver.submit(form, {"short_description": "Quietly"}, channel="operations")
    assert "not posted" not in answer["text"]
    assert world.mattermost.posts_in("operations")[-1]["props"]["attachments"][0]["title"].endswith("Quietly")


def test_without_the_right_to_post_the_incident_has_no_card(world: World, agent: MattermostClient) -> None:
    """
    In an archived channel, or without the channel permission, it is created, and the answer says that no card was
    posted.
    """
    answer = agent.submit(open_form(agent, "archive"), {"short_description": "In the archive"}, channel="archive")
    assert "archived" in answer["text"]
    channel = agent.channel("service-desk")
    admin = world.person("admin")
    roles = f"/api/v4/channels/{channel}/members/{agent.id}/roles"
    admin.browser.put(world.mattermost.url + roles, json={"roles": "channel_reader"}).raise_for_status()
    answer = agent.submit(open_form(agent), {"short_description": "Read only"}, channel="service-desk")
    assert "may not post" in answer["text"]
    assert [row["short_description"] for row in created(world)] == ["In the archive", "Read only"]
    cards = [post for name in ("archive", "service-desk") for post in world.mattermost.posts_in(name)]
    assert not [post for post in cards if "attachments" in post["props"]]


def test_guests_can_create_nothing_unless_allowed(world: World, agent: MattermostClient) -> None:
    """The setting applies everywhere: a form that is already open creates nothing either."""
    admin, form = world.person("admin"), open_form(agent)
    role = {"roles": "system_guest"}
    admin.browser.put(f"{world.mattermost.url}/api/v4/users/{agent.id}/roles", json=role).raise_for_status()
    world.servicenow.clear_requests()
    for answer in (
        agent.submit(form, {"short_description": "Guest"}, channel="service-desk"),
        agent.command("incident create", channel="service-desk"),
        agent.command("view", {"record": "INC0010001"}, channel="service-desk"),
        agent.command("connect", channel="service-desk"),
    ):
        assert (answer["type"], answer["text"][:17]) == ("error", "Guests can't use "), answer
    assert world.asked() == []
    world.restart(guests=True)
    answer = agent.submit(open_form(agent), {"short_description": "Guest again"}, channel="service-desk")
    assert "not posted" not in answer["text"]
    world.restart(guests=False)
    assert agent.command("disconnect")["type"] == "ok"


HOSTILE = "**b** @all @channel ~town-square [x](javascript:alert(1)) <b> `c` | \u202eevil 🎫 http://evil.example"


def test_hostile_text_is_escaped(world: World, agent: MattermostClient) -> None:
    """Whatever a message contains, nobody is mentioned, nothing is formatted, and the record has the whole text."""
    form = open_form(agent)
    answer = agent.submit(form, {"short_description": HOSTILE}, channel="service-desk")
    assert created(world)[0]["short_description"] == HOSTILE
    attachment = world.mattermost.posts_in("service-desk")[-1]["props"]["attachments"][0]
    for text in (attachment["title"], attachment["fallback"], answer["text"]):
        assert "@all" not in text
        assert "~town" not in text
        assert "\u202e" not in text
    assert "\\*\\*b" in answer["text"]
    assert "](javascript" not in answer["text"]
    assert "http://evil" not in answer["text"]


def test_a_system_message_is_rejected_politely(world: World, agent: MattermostClient) -> None:
    """It can't become an incident, and the answer suggests what works instead."""
    post = agent.say("service-desk", "gone")
    world.mattermost.state.posts[post["id"]]["message"] = ""
    answer = from_message(agent, post)
    assert answer["type"] == "ok"
    assert "no text" in answer["text"]


def test_a_mobile_clients_encodings_mean_the_same(world: World, agent: MattermostClient) -> None:
    """It sends untouched fields as empty text; the record is the same as from the web client."""
    form = open_form(agent)
    entered: Json = {field["name"]: field.get("value", "") for field in form["fields"]}
    entered |= {"short_description": "From a phone", "urgency": {"label": "1 - High", "value": "1"}}
    answer = agent.call(form["submit"], values=entered)
    assert answer["type"] == "ok"
    [row] = created(world)
    assert (row["urgency"], row["category"], row["assignment_group"]) == ("1", "inquiry", "")


def test_a_very_long_message_is_cut_and_keeps_its_permalink(world: World, agent: MattermostClient) -> None:
    """
    A message can have 16,383 characters, a description 4,000: the permalink to the whole message is always included.
    """
    post = agent.say("service-desk", "long words " * 1480)
    description = value(from_message(agent, post)["form"], "description")
    assert len(description) <= 4000
    assert description.endswith(f"/pl/{post['id']}")
    assert "…\n\n" in description
