"""Administrators set up the ServiceNow side, each step checked against the instance."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import structlog

from sandbox.client import MattermostClient
from tests.scenarios.subscriptions.subscribing import install_component
from tests.world import World

Json = dict[str, Any]


def opened(world: World, **where: Any) -> Json:
    """The form that ``/servicenow setup`` shows an administrator."""
    answer = world.person("admin").command("setup", **where)
    assert answer["type"] == "form", answer
    form: Json = answer["form"]
    return form


def buttons(form: Json) -> list[str]:
    """Labels of the buttons."""
    [field] = form["fields"]
    return [option["label"] for option in field["options"]]


def press(world: World, form: Json, label: str, person: MattermostClient | None = None) -> Json:
    """Press a button; the whole answer."""
    [field] = form["fields"]
    option = next(one for one in field["options"] if one["label"] == label)
    answer: Json = (person or world.person("admin")).submit(form, {"action": option})
    return answer


def step(form: Json, title: str) -> str:
    """The line of one step, with its mark."""
    return str(next(line for line in form["header"].splitlines() if f"**{title}**" in line))


def test_each_step_says_what_comes_first(world: World) -> None:
    """Not configured, not connected, no component: one thing to do at a time, and the exact fix."""
    world.restart(servicenow_client_id="")
    form = opened(world)
    assert "`SERVICENOW_CLIENT_ID`" in step(form, "Instance and OAuth client")
    assert buttons(form) == ["Check again"]

    world.restart(servicenow_client_id=world.registry_row()["client_id"])
    form = opened(world)
    assert "connect your account" in step(form, "OAuth works")

    world.connected("admin")
    form = opened(world)
    assert step(form, "OAuth works").startswith("✓")
    assert "it is not installed" in step(form, "Component in ServiceNow")
    assert "Import Update Set from XML" in step(form, "Component in ServiceNow")
    for title in ("Role", "Webhook key", "Reports reach this service"):
        assert step(form, title).startswith("…")
    assert buttons(form) == ["Check again"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [({"kind": "hibernating"}, "asleep"), ({"kind": "500"}, "returned an error"), ({"kind": "429_bare"}, "busy")],
)
def test_an_instance_that_does_not_answer_well_is_said_so(world: World, fault: Json, words: str) -> None:
    """The form opens all the same, with what to do."""
    world.connected("admin")
    world.servicenow.fault(**fault, path="/api/", times=20)
    form = opened(world)
    assert words in step(form, "ServiceNow answers")


def test_ordinary_people_are_refused(world: World) -> None:
    """Not offered, and refused at every path; an administrator's form does nothing in another's hands."""
    agent = world.connected("agent")
    world.connected("admin")
    assert "servicenow setup" not in agent.entries("/command")
    form = opened(world)
    assert "could not be verified" in press(world, form, "Check again", agent)["text"]
    for path in ("/setup/steps/form", "/setup/steps/submit", "/setup/takeover/submit"):
        answer = agent.call({"path": path, "expand": form["submit"]["expand"]}, values={"action": "take_over"})
        assert answer["type"] == "error"
        assert "administrator" in answer["text"]


def link_in(form: Json) -> str:
    """The address of the update set."""
    return str(form["header"]).partition("[the update set](")[2].partition(")")[0]


def test_the_update_set_is_downloaded_by_a_link_of_ten_minutes(world: World) -> None:
    """No session is needed, the link is the proof; later, or changed, it is none."""
    world.connected("admin")
    link = link_in(opened(world))
    assert link.startswith(f"{world.config.app_url}/update-set?token=")

    answer = requests.get(link, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"<sys_remote_update_set" in answer.content

    for wrong in ("", "x", link.partition("token=")[2][:-1], link.partition("token=")[2] + "x", "é.é"):
        refused = requests.get(f"{world.config.app_url}/update-set", params={"token": wrong}, timeout=10)
        assert refused.status_code == 403
        assert "/servicenow setup" in refused.text
        assert b"<" not in refused.content
    world.advance(601)
    late = requests.get(link, timeout=10)
    assert (late.status_code, "/servicenow setup" in late.text) == (403, True)


def test_a_state_that_was_signed_for_something_else_downloads_nothing(world: World) -> None:
    """Forms' states are signed with the same key, and are no links."""
    world.connected("admin")
    state = opened(world)["submit"]["state"]
    answer = requests.get(f"{world.config.app_url}/update-set", params={"token": state}, timeout=10)
    assert (answer.status_code, "/servicenow setup" in answer.text) == (403, True)


KEYS = "x_830655_mm_std_servicenow_for_mattermost_notifications_auth"


@pytest.fixture
def installed(world: World) -> World:
    """The component is in ServiceNow, and the administrator is connected."""
    install_component(world)
    world.connected("admin")
    return world


def key_row(world: World) -> Json:
    """Our row of the component's keys."""
    [row] = [row for row in world.servicenow.rows(KEYS) if row["server_url"] == world.config.app_url]
    return dict(row)


def accepted(world: World) -> list[str]:
    """Ids of the keys that count, as ``/servicenow status`` names them, newest first."""
    return re.findall(r"Webhook key `([\w-]+)`", world.person("admin").command("status")["text"])


def pressed(world: World, label: str) -> str:
    """Open, press one button; what it says it did."""
    answer = press(world, opened(world), label)
    assert answer["type"] == "form", answer
    return str(answer["form"]["header"]).partition("\n\n---")[0]


def test_a_key_is_made_and_written_with_one_press(installed: World) -> None:
    """ServiceNow has it for our address, in the column that is kept encrypted; nobody is shown it."""
    form = opened(installed)
    assert "there is none yet" in step(form, "Webhook key")
    assert buttons(form) == ["Check again", "New key"]

    answer = press(installed, form, "New key")

    [key_id] = accepted(installed)
    assert key_row(installed)["key_id"] == key_id
    assert f"signs with `{key_id}`" in step(answer["form"], "Webhook key")
    assert buttons(answer["form"]) == ["Check again", "New key", "Send a test"]
    [written] = [entry for entry in installed.asked(method="POST") if entry["path"].endswith(KEYS)]
    assert "sysparm_input_display_value=true" in written["query"]
    assert len(key_row(installed)["signing_secret"]) >= 64
    assert not key_row(installed)["api_secret"]


def test_a_new_key_replaces_the_old_one_in_the_same_row(installed: World) -> None:
    """One row for our address; both keys count here, until the old one is not needed."""
    pressed(installed, "New key")
    [first] = accepted(installed)
    row = key_row(installed)

    assert "retired after a day" in pressed(installed, "New key")

    second = key_row(installed)
    assert second["sys_id"] == row["sys_id"]
    assert second["key_id"] != first
    assert accepted(installed) == [second["key_id"], first]
    installed.restart()
    assert accepted(installed) == [second["key_id"], first]


def test_two_administrators_do_not_make_keys_beside_each_other(installed: World) -> None:
    """The second is told to wait, so ServiceNow never signs with a key that the other press dropped."""
    form = opened(installed)
    installed.servicenow.fault("slow", path=f"/api/now/v2/table/{KEYS}", times=1, seconds=1)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: press(installed, form, "New key"), range(2)))
    assert sorted(answer["type"] for answer in answers) == ["error", "form"]
    assert accepted(installed) == [key_row(installed)["key_id"]]


@pytest.mark.parametrize("fault", ["500", "500_after_commit", "hibernating"])
def test_a_key_that_servicenow_did_not_take_harms_nothing(installed: World, fault: str) -> None:
    """Both keys count, whichever ServiceNow has; writing it again brings order."""
    pressed(installed, "New key")
    [first] = accepted(installed)
    form = opened(installed)
    installed.servicenow.fault(fault, path=f"/api/now/v2/table/{KEYS}", method="PATCH")

    answer = press(installed, form, "New key")

    newest = accepted(installed)[0]
    assert accepted(installed) == [newest, first]
    assert "nothing is lost" in answer["form"]["header"]
    if fault == "500_after_commit":
        assert key_row(installed)["key_id"] == newest
        return
    assert key_row(installed)["key_id"] == first
    assert "Write key" in buttons(answer["form"])
    assert newest in pressed(installed, "Write key")
    assert key_row(installed)["key_id"] == newest


def test_a_key_is_not_made_while_servicenow_does_not_say_which_it_has(installed: World) -> None:
    """Dropping the wrong one of two would be an outage."""
    pressed(installed, "New key")
    before = accepted(installed)
    form = opened(installed)
    installed.servicenow.fault("500", path=f"/api/now/v2/table/{KEYS}", method="GET", times=5)
    answer = press(installed, form, "New key")
    installed.servicenow.clear_faults()
    assert (answer["type"], "ServiceNow returned an error" in answer["text"]) == ("error", True), answer
    assert accepted(installed) == before


def test_a_key_that_servicenow_lost_is_written_again(installed: World) -> None:
    """A foreign key in our row, or no row at all: said so, and one press mends it."""
    pressed(installed, "New key")
    [key_id] = accepted(installed)
    row = key_row(installed)
    installed.administer("PATCH", f"/api/now/table/{KEYS}/{row['sys_id']}", {"key_id": "somebody-elses"})
    assert "refused here" in step(opened(installed), "Webhook key")
    pressed(installed, "Write key")
    assert key_row(installed)["key_id"] == key_id
    installed.servicenow.store.delete(KEYS, row["sys_id"])
    assert "ServiceNow has none" in step(opened(installed), "Webhook key")
    pressed(installed, "Write key")
    assert key_row(installed)["key_id"] == key_id


def test_the_row_of_the_old_component_is_used_and_keeps_its_secret(installed: World) -> None:
    """One row per address, as before."""
    old = {"server_url": installed.config.app_url, "api_secret": "of the plugin"}
    installed.administer("POST", f"/api/now/table/{KEYS}", old)
    pressed(installed, "New key")
    assert key_row(installed)["api_secret"] == "of the plugin"
    assert key_row(installed)["key_id"] == accepted(installed)[0]


def test_an_administrator_without_rights_in_servicenow_is_told_what_lacks(installed: World) -> None:
    """The role, with the way to give it; the keys, with who can change them."""
    admin = installed.person("admin")
    admin.browser.get(f"{installed.servicenow.url}/logout.do")
    assert "Completed connecting" in admin.connect(as_user="requester").text
    form = opened(installed)
    assert "your account lacks `x_830655_mm_std.user`" in step(form, "Role")
    assert "**Roles**" in step(form, "Role")
    assert "administrator in both" in step(form, "Webhook key")
    assert buttons(form) == ["Check again"]
    forged = admin.submit(form, {"action": {"label": "New key", "value": "new_key"}})
    assert forged["type"] == "error"
    assert "may not change the component's keys" in forged["text"]
    assert not installed.servicenow.rows(KEYS)


@pytest.mark.usefixtures("every_log_line")
def test_no_key_is_shown_logged_or_stored_in_clear(installed: World) -> None:
    """Answers, logs and files hold no secret; ServiceNow alone has it."""
    with structlog.testing.capture_logs() as logs:
        answers = [press(installed, opened(installed), "New key"), installed.person("admin").command("status")]
    secret = key_row(installed)["signing_secret"][-64:]
    assert re.fullmatch("[0-9a-f]{64}", secret)
    folder = Path(installed.config.storage_url.removeprefix("tinydb://"))
    files = [file.read_text("utf-8") for file in folder.iterdir() if file.is_file()]
    assert "webhook key made" in {line["event"] for line in logs}
    for text in (str(answers), str(logs), *files):
        assert secret not in text


def rotated(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`cli.py rotate-secret`, with the environment of the world's service."""
    config = world.config
    environment = {
        "APP_URL": config.app_url,
        "MATTERMOST_URL": config.mattermost_url,
        "APP_SECRET": ",".join(config.app_secrets),
        "MATTERMOST_APP_JWT_SECRET": config.mattermost_app_jwt_secret,
        "SERVICENOW_URL": config.servicenow_url,
        "SERVICENOW_HOSTS": ",".join(config.servicenow_hosts),
        "SERVICENOW_CLIENT_ID": config.servicenow_client_id,
        "SERVICENOW_CLIENT_SECRET": config.servicenow_client_secret,
        "STORAGE_URL": config.storage_url,
    }
    command = [sys.executable, str(Path(__file__).parents[3] / "cli.py"), "rotate-secret", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line_rotates_while_the_service_is_stopped(installed: World) -> None:
    """With the account of who installed the app, or a named one; a running service is left alone."""
    pressed(installed, "New key")
    [first] = accepted(installed)
    running = rotated(installed)
    assert running.returncode == 1
    assert "press New key" in running.stderr
    assert key_row(installed)["key_id"] == first

    installed.running.stop()
    unknown = rotated(installed, "--account", "nobody")
    assert unknown.returncode == 1
    assert "--account" in unknown.stderr
    done = rotated(installed, "--account", "admin")
    again = rotated(installed)
    installed.start()

    assert (done.returncode, again.returncode) == (0, 0), done.stderr + again.stderr
    newest = key_row(installed)["key_id"]
    assert newest in again.stdout
    assert accepted(installed)[0] == newest
    assert len(accepted(installed)) == 2
    secret = key_row(installed)["signing_secret"][-64:]
    assert secret not in done.stdout + done.stderr + again.stdout + again.stderr


def test_the_old_components_secret_is_written_where_it_is_to_be_heard(installed: World) -> None:
    """Switched on, then written with one press: what the component of version 2.1 sends is let in then."""
    admin = installed.person("admin")
    form = admin.command("configure")["form"]
    assert admin.submit(form, {"old_dialect": True})["type"] == "ok"
    assert "Press **Write key**" in step(opened(installed), "Reports of version 2.1")

    pressed(installed, "Write key")

    secret = key_row(installed)["api_secret"]
    assert "version 2.1**" not in opened(installed)["header"]
    door = f"{installed.config.app_url}/plugins/mattermost-plugin-servicenow/api/v1/notification"
    hint = {"sys_id": "a" * 32, "record_id": "b" * 32}
    statuses = [
        requests.post(door, params={"secret": one}, json=hint, timeout=10).status_code for one in (secret, "wrong")
    ]
    assert statuses[0] != 403
    assert statuses[1] == 403
    installed.advance(31 * 86_400)
    assert requests.post(door, params={"secret": secret}, json=hint, timeout=10).status_code == 403


def as_the_plugin_left_it(world: World) -> None:
    """The component as version 2.1 has it: of its resources, GetStates alone answers."""
    for row in world.servicenow.rows("sys_ws_operation"):
        if "getstates" not in row["operation_uri"].lower():
            world.servicenow.store.update("sys_ws_operation", row["sys_id"], {"active": "false"}, "admin", "")


def test_the_component_of_the_plugin_is_told_from_ours(installed: World) -> None:
    """It tells no version itself; what it lacks waits for the upgrade, which keeps every row."""
    as_the_plugin_left_it(installed)
    form = opened(installed)
    told = step(form, "Component in ServiceNow")
    assert told.startswith("✗")
    assert "version 2.1" in told
    assert "keeps every row" in told
    assert link_in(form)
    assert step(form, "Role").startswith("✓")
    assert step(form, "Webhook key").startswith("…")
    assert buttons(form) == ["Check again"]


def test_the_component_of_the_plugin_is_given_a_secret_where_it_is_to_be_heard(installed: World) -> None:
    """It has no key, and needs none: one press writes what it sends, into one row for our address."""
    as_the_plugin_left_it(installed)
    admin = installed.person("admin")
    admin.submit(admin.command("configure")["form"], {"old_dialect": True})
    form = opened(installed)
    assert buttons(form) == ["Check again", "Write key"]
    assert "secret is written" in pressed(installed, "Write key")
    assert len(key_row(installed)["api_secret"]) == 64
    assert not key_row(installed)["key_id"]
    assert buttons(opened(installed)) == ["Check again"]
