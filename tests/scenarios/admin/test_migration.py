"""The plugin's subscriptions become ours: with one confirmed step, for their creators, and back again."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.instance import AUTH_TABLE
from core.subscriptions import ROLE, TABLE
from sandbox.client import MattermostClient
from tests.reports import notices, pass_time
from tests.scenarios.subscriptions.subscribing import give_role, install_component
from tests.world import World

Json = dict[str, Any]
PLUGIN = "mattermost-plugin-servicenow"


def row_of(world: World, creator: str, **changes: str) -> str:
    """A row as the plugin wrote it with *creator*'s account; its sys_id."""
    person = world.person(creator)
    columns = {
        "channel_id": person.channel("service-desk"),
        "is_active": "true",
        "record_type": "incident",
        "server_url": world.mattermost.url,
        "subscription_events": "state,priority",
        "type": "object",
        "user_id": person.id,
    }
    store = world.servicenow.store
    [user] = [user for user in world.servicenow.rows("sys_user") if user["user_name"] == creator]
    return str(store.insert(TABLE, columns | changes, creator, user["sys_id"])["sys_id"])


def rows(world: World) -> dict[str, str]:
    """The address that each subscription is reported to, by sys_id."""
    return {row["sys_id"]: row["server_url"] for row in world.servicenow.rows(TABLE)}


@pytest.fixture
def installed(world: World) -> World:
    """The component is in ServiceNow; an administrator and an agent are connected; the plugin is switched off."""
    install_component(world)
    world.connected("admin")
    world.connected("agent")
    world.mattermost.state.plugins[PLUGIN] = 0
    return world


def opened(world: World) -> Json:
    """The steps."""
    answer = world.person("admin").command("setup")
    assert answer["type"] == "form", answer
    form: Json = answer["form"]
    return form


def press(world: World, form: Json, value: str, person: MattermostClient | None = None) -> Json:
    """Press a button by its value; the answer."""
    option = next((one for one in form["fields"][0]["options"] if one["value"] == value), None)
    answer: Json = (person or world.person("admin")).submit(
        form, {"action": option or {"label": value, "value": value}}
    )
    return answer


def confirmed(world: World, value: str) -> str:
    """Press, and confirm; what was done."""
    question = press(world, opened(world), value)
    assert question["type"] == "form", question
    answer = press(world, question["form"], value)
    assert answer["type"] == "form", answer
    return str(answer["form"]["header"])


def grants(world: World) -> dict[str, str]:
    """Owners by subscription."""
    file = Path(world.config.storage_url.removeprefix("tinydb://")) / "channel_grants.json"
    if not file.exists():
        return {}
    return {row["sys_id"]: row["owner_id"] for row in json.loads(file.read_text("utf-8"))["channel_grants"].values()}


def test_one_confirmed_step_says_how_many_and_moves_them(installed: World) -> None:
    """Rows stay what they are but for the address; their connected creator owns them; the bot joins the channel."""
    operations = installed.person("admin").channel("operations")
    ours, theirs = row_of(installed, "agent"), row_of(installed, "agent2")
    row_of(installed, "agent", channel_id=operations)
    before = {row["sys_id"]: row for row in installed.servicenow.rows(TABLE)}

    question = press(installed, opened(installed), "take_over")
    assert "3 subscriptions are reported to the plugin" in question["form"]["header"]
    assert set(rows(installed).values()) == {installed.mattermost.url}
    answer = press(installed, question["form"], "take_over")

    header = answer["form"]["header"]
    assert "Taken over: 3" in header
    assert "1 go on as before" in header
    assert "1 wait: their creator agent2 has no connected account here" in header
    assert "1 wait: agent: the person may not post in the channel" in header
    assert set(rows(installed).values()) == {installed.config.app_url}
    for row in installed.servicenow.rows(TABLE):
        same = ("channel_id", "subscription_events", "record_type", "type", "sys_created_by", "user_id", "is_active")
        assert {name: row[name] for name in same} == {name: before[row["sys_id"]][name] for name in same}
    assert grants(installed) == {ours: installed.person("agent").id}
    assert theirs not in grants(installed)
    assert "3 were taken over from the plugin; 2 of them wait" in installed.person("admin").command("status")["text"]


def test_nothing_moves_before_it_is_confirmed(installed: World) -> None:
    """Cancelled, nothing has changed."""
    row_of(installed, "agent")
    question = press(installed, opened(installed), "take_over")
    answer = press(installed, question["form"], "cancel")
    assert "Nothing was changed" in answer["form"]["header"]
    assert set(rows(installed).values()) == {installed.mattermost.url}
    assert not grants(installed)


def test_it_is_refused_while_the_plugin_runs(installed: World) -> None:
    """Not offered; refused at the question, and at a confirmation that was asked for before."""
    row_of(installed, "agent")
    question = press(installed, opened(installed), "take_over")
    installed.mattermost.state.plugins[PLUGIN] = 2
    form = opened(installed)
    assert "still runs" in form["header"]
    assert "take_over" not in [option["value"] for option in form["fields"][0]["options"]]
    for answer in (press(installed, form, "take_over"), press(installed, question["form"], "take_over")):
        assert answer["type"] == "error"
        assert "still runs" in answer["text"]
    assert set(rows(installed).values()) == {installed.mattermost.url}


def test_those_that_wait_go_on_when_their_creator_has_connected(installed: World) -> None:
    """One press, and no other's are touched."""
    waiting = row_of(installed, "agent2")
    confirmed(installed, "take_over")
    assert not grants(installed)

    installed.connected("agent2")
    answer = press(installed, opened(installed), "grant")

    assert "Granted: 1" in answer["form"]["header"]
    assert grants(installed) == {waiting: installed.person("agent2").id}


def test_it_can_be_undone(installed: World) -> None:
    """Everything that was taken over is reported to the plugin again; nothing else is."""
    moved = [row_of(installed, "agent"), row_of(installed, "agent2"), row_of(installed, "agent")]
    confirmed(installed, "take_over")
    own = row_of(installed, "agent", server_url=installed.config.app_url)
    other = row_of(installed, "agent", server_url="https://other.example.com")
    installed.servicenow.store.delete(TABLE, moved[2])

    question = press(installed, opened(installed), "give_back")
    assert "3 subscriptions are reported to this service" in question["form"]["header"]
    answer = press(installed, question["form"], "give_back")

    assert "Given back: 2" in answer["form"]["header"]
    assert rows(installed) == {
        moved[0]: installed.mattermost.url,
        moved[1]: installed.mattermost.url,
        own: installed.config.app_url,
        other: "https://other.example.com",
    }
    assert not grants(installed)
    values = [option["value"] for option in answer["form"]["fields"][0]["options"]]
    assert "give_back" not in values
    assert "take_over" in values


def test_a_fault_in_the_middle_loses_nothing(installed: World) -> None:
    """What was moved is known, the rest is left and said; the next press goes on, and all can be given back."""
    sys_ids = [row_of(installed, "agent") for _ in range(3)]
    form = press(installed, opened(installed), "take_over")["form"]
    installed.servicenow.fault("500_after_commit", path="/api/now/v2/table/x_830655_mm_std", method="PATCH")
    answer = press(installed, form, "take_over")
    header = answer["form"]["header"]
    assert "It stopped early" in header
    assert "3 are left" in header
    moved = [address for address in rows(installed).values() if address == installed.config.app_url]
    assert len(moved) == 1  # ServiceNow had done it, and not said so

    confirmed(installed, "take_over")
    press(installed, opened(installed), "grant")
    assert set(grants(installed)) == set(sys_ids)
    confirmed(installed, "give_back")
    assert set(rows(installed).values()) == {installed.mattermost.url}


def test_the_columns_that_prove_nothing_make_nobody_an_owner(installed: World) -> None:
    """A row that names another's Mattermost id belongs to whose account wrote it."""
    forged = row_of(installed, "agent2", user_id=installed.person("agent").id)
    confirmed(installed, "take_over")
    assert forged not in grants(installed)


def test_forged_presses_move_nothing(installed: World) -> None:
    """Without the form's own state, or by somebody else, nothing is taken over."""
    row_of(installed, "agent")
    question = press(installed, opened(installed), "take_over")["form"]
    agent, admin = installed.person("agent"), installed.person("admin")
    assert "could not be verified" in press(installed, question, "take_over", agent)["text"]
    bare = admin.call({**question["submit"], "state": None}, values={"action": "take_over"})
    assert bare["type"] == "form"
    steps = opened(installed)["submit"]
    crossed = admin.call({**question["submit"], "state": steps["state"]}, values={"action": "take_over"})
    assert "could not be verified" in crossed["text"]
    assert set(rows(installed).values()) == {installed.mattermost.url}


def test_many_are_taken_over_in_portions(installed: World) -> None:
    """200 a press; the rest is said."""
    for _ in range(203):
        row_of(installed, "agent")
    question = press(installed, opened(installed), "take_over")
    assert "203 subscriptions are" in question["form"]["header"]
    answer = press(installed, question["form"], "take_over")
    assert "Press **Take over** again" in answer["form"]["header"]
    confirmed(installed, "take_over")
    assert set(rows(installed).values()) == {installed.config.app_url}
    assert len(grants(installed)) == 203


def test_the_role_is_the_one_that_the_component_brings(installed: World) -> None:
    """The name that administrators are told is the name in ServiceNow."""
    assert ROLE in {row["name"] for row in installed.servicenow.rows("sys_user_role")}


@pytest.fixture
def taken(installed: World) -> World:
    """One subscription of the agent's for incidents, taken over; the component has a key."""
    give_role(installed, "agent")
    row_of(installed, "agent")
    press(installed, opened(installed), "new_key")
    return installed


def change(world: World, state: str) -> None:
    """Somebody saves an incident in ServiceNow; what follows happens."""
    record = next(row for row in world.servicenow.rows("incident") if row["number"] == "INC0010001")
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"state": state})
    world.servicenow.settle()
    pass_time(world, 25)


def test_what_was_taken_over_is_posted_here(taken: World) -> None:
    """Before: nothing, for it is the plugin's. After: once. Given back: nothing more."""
    change(taken, "2")
    assert not notices(taken)
    confirmed(taken, "take_over")
    change(taken, "1")
    assert ["New" in post["message"] for post in notices(taken)] == [True]
    confirmed(taken, "give_back")
    change(taken, "2")
    assert len(notices(taken)) == 1


def test_a_notice_outlives_a_rotation_in_the_wrong_order(taken: World) -> None:
    """ServiceNow signs with a key that nobody here knows: refused, kept there, and posted once when that is mended."""
    confirmed(taken, "take_over")
    [row] = taken.servicenow.rows(AUTH_TABLE)
    taken.administer("PATCH", f"/api/now/table/{AUTH_TABLE}/{row['sys_id']}", {"key_id": "too-early"})
    change(taken, "2")
    assert not notices(taken)
    press(taken, opened(taken), "write_key")
    taken.advance(120)
    taken.servicenow.settle()
    pass_time(taken, 5)
    assert ["In Progress" in post["message"] for post in notices(taken)] == [True]
