"""Administrators set up the ServiceNow side; each step is checked against the instance."""

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


def open_form(world: World, **where: Any) -> Json:
    """The form that ``/servicenow setup`` shows an administrator."""
    answer = world.person("admin").command("setup", **where)
    assert answer["type"] == "form", answer
    form: Json = answer["form"]
    return form


def buttons(form: Json) -> list[str]:
    """The buttons' labels."""
    [field] = form["fields"]
    return [option["label"] for option in field["options"]]


def press(world: World, form: Json, label: str, person: MattermostClient | None = None) -> Json:
    """Press a button; returns the whole answer."""
    [field] = form["fields"]
    option = next(one for one in field["options"] if one["label"] == label)
    answer: Json = (person or world.person("admin")).submit(form, {"action": option})
    return answer


def step(form: Json, title: str) -> str:
    """The line of one step, with its mark."""
    return str(next(line for line in form["header"].splitlines() if f"**{title}**" in line))


def test_each_step_shows_what_to_do_first(world: World) -> None:
    """Not configured, not connected, no component: the form shows one thing to do at a time, with the exact fix."""
    world.restart(servicenow_client_id="")
    form = open_form(world)
    assert "`SERVICENOW_CLIENT_ID`" in step(form, "Instance and OAuth client")
    assert buttons(form) == ["Check again"]

    world.restart(servicenow_client_id=world.registry_row()["client_id"])
    form = open_form(world)
    assert "connect your account" in step(form, "OAuth works")

    world.connected("admin")
    form = open_form(world)
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
def test_an_instance_that_answers_wrongly_is_reported(world: World, fault: Json, words: str) -> None:
    """The form still opens and says what to do."""
    world.connected("admin")
    world.servicenow.fault(**fault, path="/api/", times=20)
    form = open_form(world)
    assert words in step(form, "ServiceNow answers")


def test_only_administrators_can_use_it(world: World) -> None:
    """For other people it isn't offered, every path is rejected, and an administrator's form doesn't work."""
    agent = world.connected("agent")
    world.connected("admin")
    assert "servicenow setup" not in agent.entries("/command")
    form = open_form(world)
    assert "could not be verified" in press(world, form, "Check again", agent)["text"]
    for path in ("/setup/steps/form", "/setup/steps/submit", "/setup/takeover/submit"):
        answer = agent.call({"path": path, "expand": form["submit"]["expand"]}, values={"action": "take_over"})
        assert answer["type"] == "error"
        assert "administrator" in answer["text"]


def download_link(form: Json) -> str:
    """The address of the update set."""
    return str(form["header"]).partition("[the update set](")[2].partition(")")[0]


def test_the_update_set_link_works_for_ten_minutes(world: World) -> None:
    """The link itself is the proof, and no session is needed. An expired or changed link doesn't work."""
    world.connected("admin")
    link = download_link(open_form(world))
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


def test_a_state_signed_for_something_else_downloads_nothing(world: World) -> None:
    """Form states are signed with the same key but aren't links."""
    world.connected("admin")
    state = open_form(world)["submit"]["state"]
    answer = requests.get(f"{world.config.app_url}/update-set", params={"token": state}, timeout=10)
    assert (answer.status_code, "/servicenow setup" in answer.text) == (403, True)


KEYS = "x_830655_mm_std_servicenow_for_mattermost_notifications_auth"


@pytest.fixture
def installed(world: World) -> World:
    """The component is installed in ServiceNow, and the administrator is connected."""
    install_component(world)
    world.connected("admin")
    return world


def key_row(world: World) -> Json:
    """Our row in the component's table of keys."""
    [row] = [row for row in world.servicenow.rows(KEYS) if row["server_url"] == world.config.app_url]
    return dict(row)


def accepted_keys(world: World) -> list[str]:
    """IDs of the accepted keys, as ``/servicenow status`` lists them, newest first."""
    return re.findall(r"Webhook key `([\w-]+)`", world.person("admin").command("status")["text"])


def press_fresh(world: World, label: str) -> str:
    """Open the form and press one button; returns what was done."""
    answer = press(world, open_form(world), label)
    assert answer["type"] == "form", answer
    return str(answer["form"]["header"]).partition("\n\n---")[0]


def test_one_press_creates_and_writes_a_key(installed: World) -> None:
    """ServiceNow has it for our address, in the encrypted column, and nobody sees it."""
    form = open_form(installed)
    assert "there is none yet" in step(form, "Webhook key")
    assert buttons(form) == ["Check again", "New key"]

    answer = press(installed, form, "New key")

    [key_id] = accepted_keys(installed)
    assert key_row(installed)["key_id"] == key_id
    assert f"signs with `{key_id}`" in step(answer["form"], "Webhook key")
    assert buttons(answer["form"]) == ["Check again", "New key", "Send a test"]
    [written] = [entry for entry in installed.asked(method="POST") if entry["path"].endswith(KEYS)]
    assert "sysparm_input_display_value=true" in written["query"]
    assert len(key_row(installed)["signing_secret"]) >= 64
    assert not key_row(installed)["api_secret"]


def test_a_new_key_replaces_the_old_one_in_the_same_row(installed: World) -> None:
    """Our address has one row. The service accepts both keys until the old one is no longer needed."""
    press_fresh(installed, "New key")
    [first] = accepted_keys(installed)
    row = key_row(installed)

    assert "retired after a day" in press_fresh(installed, "New key")

    second = key_row(installed)
    assert second["sys_id"] == row["sys_id"]
    assert second["key_id"] != first
    assert accepted_keys(installed) == [second["key_id"], first]
    installed.restart()
    assert accepted_keys(installed) == [second["key_id"], first]


def test_two_administrators_cant_create_keys_at_the_same_time(installed: World) -> None:
    """The second is told to wait, so ServiceNow never signs with a key that the other press dropped."""
    form = open_form(installed)
    installed.servicenow.fault("slow", path=f"/api/now/v2/table/{KEYS}", times=1, seconds=1)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: press(installed, form, "New key"), range(2)))
    assert sorted(answer["type"] for answer in answers) == ["error", "form"]
    assert accepted_keys(installed) == [key_row(installed)["key_id"]]


@pytest.mark.parametrize("fault", ["500", "500_after_commit", "hibernating"])
def test_a_key_that_servicenow_didnt_save_does_no_harm(installed: World, fault: str) -> None:
    """Both keys are accepted, whichever one ServiceNow has. Writing it again resolves this."""
    press_fresh(installed, "New key")
    [first] = accepted_keys(installed)
    form = open_form(installed)
    installed.servicenow.fault(fault, path=f"/api/now/v2/table/{KEYS}", method="PATCH")

    answer = press(installed, form, "New key")

    newest = accepted_keys(installed)[0]
    assert accepted_keys(installed) == [newest, first]
    assert "nothing is lost" in answer["form"]["header"]
    if fault == "500_after_commit":
        assert key_row(installed)["key_id"] == newest
        return
    assert key_row(installed)["key_id"] == first
    assert "Write key" in buttons(answer["form"])
    assert newest in press_fresh(installed, "Write key")
    assert key_row(installed)["key_id"] == newest


def test_no_key_is_created_while_servicenows_key_is_unknown(installed: World) -> None:
    """Dropping the wrong one of two keys would cause an outage."""
    press_fresh(installed, "New key")
    before = accepted_keys(installed)
    form = open_form(installed)
    installed.servicenow.fault("500", path=f"/api/now/v2/table/{KEYS}", method="GET", times=5)
    answer = press(installed, form, "New key")
    installed.servicenow.clear_faults()
    assert (answer["type"], "ServiceNow returned an error" in answer["text"]) == ("error", True), answer
    assert accepted_keys(installed) == before


def test_a_lost_key_is_written_again(installed: World) -> None:
    """The form reports an unknown key in our row, or no row at all; one press fixes it."""
    press_fresh(installed, "New key")
    [key_id] = accepted_keys(installed)
    row = key_row(installed)
    installed.administer("PATCH", f"/api/now/table/{KEYS}/{row['sys_id']}", {"key_id": "somebody-elses"})
    assert "refused here" in step(open_form(installed), "Webhook key")
    press_fresh(installed, "Write key")
    assert key_row(installed)["key_id"] == key_id
    installed.servicenow.store.delete(KEYS, row["sys_id"])
    assert "ServiceNow has none" in step(open_form(installed), "Webhook key")
    press_fresh(installed, "Write key")
    assert key_row(installed)["key_id"] == key_id


def test_the_legacy_row_is_reused_and_keeps_its_secret(installed: World) -> None:
    """Each address still has one row."""
    old = {"server_url": installed.config.app_url, "api_secret": "of the plugin"}
    installed.administer("POST", f"/api/now/table/{KEYS}", old)
    press_fresh(installed, "New key")
    assert key_row(installed)["api_secret"] == "of the plugin"
    assert key_row(installed)["key_id"] == accepted_keys(installed)[0]


def test_an_administrator_without_rights_in_servicenow_sees_whats_missing(installed: World) -> None:
    """The form names the role and how to grant it, and who can change keys."""
    admin = installed.person("admin")
    admin.browser.get(f"{installed.servicenow.url}/logout.do")
    assert "Completed connecting" in admin.connect(as_user="requester").text
    form = open_form(installed)
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
    """Answers, logs and files contain no secret; only ServiceNow has it."""
    with structlog.testing.capture_logs() as logs:
        answers = [press(installed, open_form(installed), "New key"), installed.person("admin").command("status")]
    secret = key_row(installed)["signing_secret"][-64:]
    assert re.fullmatch("[0-9a-f]{64}", secret)
    folder = Path(installed.config.storage_url.removeprefix("tinydb://"))
    files = [file.read_text("utf-8") for file in folder.iterdir() if file.is_file()]
    assert "webhook key made" in {line["event"] for line in logs}
    for text in (str(answers), str(logs), *files):
        assert secret not in text


def rotate(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `cli.py rotate-secret` with the environment of the world's service."""
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
    """
    It uses the account of the person who installed the app, or a named one, and refuses to run beside a running
    service.
    """
    press_fresh(installed, "New key")
    [first] = accepted_keys(installed)
    running = rotate(installed)
    assert running.returncode == 1
    assert "press New key" in running.stderr
    assert key_row(installed)["key_id"] == first

    installed.running.stop()
    unknown = rotate(installed, "--account", "nobody")
    assert unknown.returncode == 1
    assert "--account" in unknown.stderr
    done = rotate(installed, "--account", "admin")
    again = rotate(installed)
    installed.start()

    assert (done.returncode, again.returncode) == (0, 0), done.stderr + again.stderr
    newest = key_row(installed)["key_id"]
    assert newest in again.stdout
    assert accepted_keys(installed)[0] == newest
    assert len(accepted_keys(installed)) == 2
    secret = key_row(installed)["signing_secret"][-64:]
    assert secret not in done.stdout + done.stderr + again.stdout + again.stderr


def test_the_legacy_secret_is_written_once_legacy_reports_are_on(installed: World) -> None:
    """After it is switched on and written with one press, reports of component version 2.1 are accepted."""
    admin = installed.person("admin")
    form = admin.command("configure")["form"]
    assert admin.submit(form, {"old_dialect": True})["type"] == "ok"
    assert "Press **Write key**" in step(open_form(installed), "Reports of version 2.1")

    press_fresh(installed, "Write key")

    secret = key_row(installed)["api_secret"]
    assert "version 2.1**" not in open_form(installed)["header"]
    door = f"{installed.config.app_url}/plugins/mattermost-plugin-servicenow/api/v1/notification"
    hint = {"sys_id": "a" * 32, "record_id": "b" * 32}
    statuses = [
        requests.post(door, params={"secret": one}, json=hint, timeout=10).status_code for one in (secret, "wrong")
    ]
    assert statuses[0] != 403
    assert statuses[1] == 403
    installed.advance(31 * 86_400)
    assert requests.post(door, params={"secret": secret}, json=hint, timeout=10).status_code == 403


def plugin_component(world: World) -> None:
    """Leave the component as version 2.1 has it: of its resources only GetStates answers."""
    for row in world.servicenow.rows("sys_ws_operation"):
        if "getstates" not in row["operation_uri"].lower():
            world.servicenow.store.update("sys_ws_operation", row["sys_id"], {"active": "false"}, "admin", "")


def test_the_plugins_component_is_recognized(installed: World) -> None:
    """It doesn't report a version. Missing features wait for the upgrade, which keeps every row."""
    plugin_component(installed)
    form = open_form(installed)
    told = step(form, "Component in ServiceNow")
    assert told.startswith("✗")
    assert "version 2.1" in told
    assert "keeps every row" in told
    assert download_link(form)
    assert step(form, "Role").startswith("✓")
    assert step(form, "Webhook key").startswith("…")
    assert buttons(form) == ["Check again"]


def test_the_plugins_component_gets_a_secret_once_legacy_reports_are_on(installed: World) -> None:
    """It has no key and needs none: one press writes the legacy secret into one row for our address."""
    plugin_component(installed)
    admin = installed.person("admin")
    admin.submit(admin.command("configure")["form"], {"old_dialect": True})
    form = open_form(installed)
    assert buttons(form) == ["Check again", "Write key"]
    assert "secret is written" in press_fresh(installed, "Write key")
    assert len(key_row(installed)["api_secret"]) == 64
    assert not key_row(installed)["key_id"]
    assert buttons(open_form(installed)) == ["Check again"]
