"""One confirmed step migrates the plugin's subscriptions for their creators, and another one migrates them back."""

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


def insert_row(world: World, creator: str, **changes: str) -> str:
    """Insert a row as the plugin wrote it with *creator*'s account; its sys_id."""
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


def server_urls(world: World) -> dict[str, str]:
    """The address that each subscription is reported to, by sys_id."""
    return {row["sys_id"]: row["server_url"] for row in world.servicenow.rows(TABLE)}


@pytest.fixture
def installed(world: World) -> World:
    """
    The component is installed in ServiceNow, an administrator and an agent are connected, and the plugin is disabled.
    """
    install_component(world)
    world.connected("admin")
    world.connected("agent")
    world.mattermost.state.plugins[PLUGIN] = 0
    return world


def open_form(world: World) -> Json:
    """The form with the migration steps."""
    answer = world.person("admin").command("setup")
    assert answer["type"] == "form", answer
    form: Json = answer["form"]
    return form


def press(world: World, form: Json, value: str, person: MattermostClient | None = None) -> Json:
    """Press a button by its value; returns the answer."""
    option = next((one for one in form["fields"][0]["options"] if one["value"] == value), None)
    answer: Json = (person or world.person("admin")).submit(
        form, {"action": option or {"label": value, "value": value}}
    )
    return answer


def confirm(world: World, value: str) -> str:
    """Press and confirm; returns what was done."""
    question = press(world, open_form(world), value)
    assert question["type"] == "form", question
    answer = press(world, question["form"], value)
    assert answer["type"] == "form", answer
    return str(answer["form"]["header"])


def owners(world: World) -> dict[str, str]:
    """Owners by subscription."""
    file = Path(world.config.storage_url.removeprefix("tinydb://")) / "channel_grants.json"
    if not file.exists():
        return {}
    return {row["sys_id"]: row["owner_id"] for row in json.loads(file.read_text("utf-8"))["channel_grants"].values()}


def test_one_confirmed_step_shows_a_count_and_migrates(installed: World) -> None:
    """Only the address of each row changes. Connected creators own their rows, and the bot joins the channels."""
    operations = installed.person("admin").channel("operations")
    ours, theirs = insert_row(installed, "agent"), insert_row(installed, "agent2")
    insert_row(installed, "agent", channel_id=operations)
    before = {row["sys_id"]: row for row in installed.servicenow.rows(TABLE)}

    question = press(installed, open_form(installed), "take_over")
    assert "3 subscriptions are reported to the plugin" in question["form"]["header"]
    assert set(server_urls(installed).values()) == {installed.mattermost.url}
    answer = press(installed, question["form"], "take_over")

    header = answer["form"]["header"]
    assert "Taken over: 3" in header
    assert "1 go on as before" in header
    assert "1 wait: their creator agent2 has no connected account here" in header
    assert "1 wait: agent: the person may not post in the channel" in header
    assert set(server_urls(installed).values()) == {installed.config.app_url}
    for row in installed.servicenow.rows(TABLE):
        same = ("channel_id", "subscription_events", "record_type", "type", "sys_created_by", "user_id", "is_active")
        assert {name: row[name] for name in same} == {name: before[row["sys_id"]][name] for name in same}
    assert owners(installed) == {ours: installed.person("agent").id}
    assert theirs not in owners(installed)
    assert "3 were taken over from the plugin; 2 of them wait" in installed.person("admin").command("status")["text"]


def test_nothing_moves_before_it_is_confirmed(installed: World) -> None:
    """A canceled confirmation changes nothing."""
    insert_row(installed, "agent")
    question = press(installed, open_form(installed), "take_over")
    answer = press(installed, question["form"], "cancel")
    assert "Nothing was changed" in answer["form"]["header"]
    assert set(server_urls(installed).values()) == {installed.mattermost.url}
    assert not owners(installed)


def test_it_is_rejected_while_the_plugin_runs(installed: World) -> None:
    """It isn't offered; opening the confirmation and confirming an older one are both rejected."""
    insert_row(installed, "agent")
    question = press(installed, open_form(installed), "take_over")
    installed.mattermost.state.plugins[PLUGIN] = 2
    form = open_form(installed)
    assert "still runs" in form["header"]
    assert "take_over" not in [option["value"] for option in form["fields"][0]["options"]]
    for answer in (press(installed, form, "take_over"), press(installed, question["form"], "take_over")):
        assert answer["type"] == "error"
        assert "still runs" in answer["text"]
    assert set(server_urls(installed).values()) == {installed.mattermost.url}


def test_pending_subscriptions_activate_when_their_creator_has_connected(installed: World) -> None:
    """One press activates them, and nobody else's."""
    waiting = insert_row(installed, "agent2")
    confirm(installed, "take_over")
    assert not owners(installed)

    installed.connected("agent2")
    answer = press(installed, open_form(installed), "grant")

    assert "Granted: 1" in answer["form"]["header"]
    assert owners(installed) == {waiting: installed.person("agent2").id}


def test_it_can_be_undone(installed: World) -> None:
    """All migrated subscriptions are reported to the plugin again, and no others."""
    moved = [insert_row(installed, "agent"), insert_row(installed, "agent2"), insert_row(installed, "agent")]
    confirm(installed, "take_over")
    own = insert_row(installed, "agent", server_url=installed.config.app_url)
    other = insert_row(installed, "agent", server_url="https://other.example.com")
    installed.servicenow.store.delete(TABLE, moved[2])

    question = press(installed, open_form(installed), "give_back")
    assert "3 subscriptions are reported to this service" in question["form"]["header"]
    answer = press(installed, question["form"], "give_back")

    assert "Given back: 2" in answer["form"]["header"]
    assert server_urls(installed) == {
        moved[0]: installed.mattermost.url,
        moved[1]: installed.mattermost.url,
        own: installed.config.app_url,
        other: "https://other.example.com",
    }
    assert not owners(installed)
    values = [option["value"] for option in answer["form"]["fields"][0]["options"]]
    assert "give_back" not in values
    assert "take_over" in values


def test_a_failure_in_the_middle_loses_nothing(installed: World) -> None:
    """
    Migrated rows are recorded and the remaining ones counted. The next press continues, and all can be moved back.
    """
    sys_ids = [insert_row(installed, "agent") for _ in range(3)]
    form = press(installed, open_form(installed), "take_over")["form"]
    installed.servicenow.fault("500_after_commit", path="/api/now/v2/table/x_830655_mm_std", method="PATCH")
    answer = press(installed, form, "take_over")
    header = answer["form"]["header"]
    assert "It stopped early" in header
    assert "3 are left" in header
    moved = [address for address in server_urls(installed).values() if address == installed.config.app_url]
    assert len(moved) == 1  # ServiceNow had saved it, but its answer was lost

    confirm(installed, "take_over")
    press(installed, open_form(installed), "grant")
    assert set(owners(installed)) == set(sys_ids)
    confirm(installed, "give_back")
    assert set(server_urls(installed).values()) == {installed.mattermost.url}


def test_unverified_columns_make_nobody_an_owner(installed: World) -> None:
    """A row with another person's Mattermost ID belongs to the person whose account wrote it."""
    forged = insert_row(installed, "agent2", user_id=installed.person("agent").id)
    confirm(installed, "take_over")
    assert forged not in owners(installed)


def test_forged_presses_migrate_nothing(installed: World) -> None:
    """A press without the form's own state, or by another person, migrates nothing."""
    insert_row(installed, "agent")
    question = press(installed, open_form(installed), "take_over")["form"]
    agent, admin = installed.person("agent"), installed.person("admin")
    assert "could not be verified" in press(installed, question, "take_over", agent)["text"]
    bare = admin.call({**question["submit"], "state": None}, values={"action": "take_over"})
    assert bare["type"] == "form"
    steps = open_form(installed)["submit"]
    crossed = admin.call({**question["submit"], "state": steps["state"]}, values={"action": "take_over"})
    assert "could not be verified" in crossed["text"]
    assert set(server_urls(installed).values()) == {installed.mattermost.url}


def test_large_migrations_run_in_batches(installed: World) -> None:
    """Each press migrates 200 rows and reports how many remain."""
    for _ in range(203):
        insert_row(installed, "agent")
    question = press(installed, open_form(installed), "take_over")
    assert "203 subscriptions are" in question["form"]["header"]
    answer = press(installed, question["form"], "take_over")
    assert "Press **Take over** again" in answer["form"]["header"]
    confirm(installed, "take_over")
    assert set(server_urls(installed).values()) == {installed.config.app_url}
    assert len(owners(installed)) == 203


def test_the_role_has_the_components_name(installed: World) -> None:
    """The role that administrators read about has the same name in ServiceNow."""
    assert ROLE in {row["name"] for row in installed.servicenow.rows("sys_user_role")}


@pytest.fixture
def migrated(installed: World) -> World:
    """One migrated subscription of the agent's to incidents; the component has a key."""
    give_role(installed, "agent")
    insert_row(installed, "agent")
    press(installed, open_form(installed), "new_key")
    return installed


def change(world: World, state: str) -> None:
    """Someone saves an incident in ServiceNow; the component's jobs run."""
    record = next(row for row in world.servicenow.rows("incident") if row["number"] == "INC0010001")
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"state": state})
    world.servicenow.settle()
    pass_time(world, 25)


def test_a_migrated_subscription_posts_here(migrated: World) -> None:
    """Before the migration nothing is posted, afterwards once, and after it was undone nothing more."""
    change(migrated, "2")
    assert not notices(migrated)
    confirm(migrated, "take_over")
    change(migrated, "1")
    assert ["New" in post["message"] for post in notices(migrated)] == [True]
    confirm(migrated, "give_back")
    change(migrated, "2")
    assert len(notices(migrated)) == 1


def test_a_notice_survives_a_rotation_in_the_wrong_order(migrated: World) -> None:
    """
    ServiceNow signs with an unknown key: the report is rejected, kept in ServiceNow, and posted once after the fix.
    """
    confirm(migrated, "take_over")
    [row] = migrated.servicenow.rows(AUTH_TABLE)
    migrated.administer("PATCH", f"/api/now/table/{AUTH_TABLE}/{row['sys_id']}", {"key_id": "too-early"})
    change(migrated, "2")
    assert not notices(migrated)
    press(migrated, open_form(migrated), "write_key")
    migrated.advance(120)
    migrated.servicenow.settle()
    pass_time(migrated, 5)
    assert ["In Progress" in post["message"] for post in notices(migrated)] == [True]
