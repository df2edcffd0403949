"""Administrators configure the instance and its OAuth client while the service runs."""

from pathlib import Path
from typing import Any

import pytest
import structlog

from sandbox.client import MattermostClient
from tests.world import CLIENT_ID, CLIENT_SECRET, World

Json = dict[str, Any]

UNSET = {"servicenow_url": "", "servicenow_client_id": "", "servicenow_client_secret": ""}


@pytest.fixture
def unconfigured(world: World) -> World:
    """The app is installed, and the environment names no instance."""
    world.restart(**UNSET)
    return world


def open_form(world: World) -> tuple[MattermostClient, Json]:
    """An administrator with the form open."""
    admin = world.person("admin")
    answer = admin.command("configure")
    assert answer["type"] == "form", answer
    return admin, answer["form"]


def values(world: World, **changes: Any) -> Json:
    """Correct values, except for *changes*."""
    right = {"url": world.servicenow.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return right | changes


def field(form: Json, name: str) -> Json:
    """One field of a form."""
    found: Json = next(one for one in form["fields"] if one["name"] == name)
    return found


def test_people_and_administrators_see_different_messages_before_the_setup(unconfigured: World) -> None:
    """People learn whom to contact; administrators see every missing setting and how to set it."""
    agent, admin = unconfigured.person("agent"), unconfigured.person("admin")
    assert "Ask a Mattermost system administrator" in agent.command("help")["text"]
    told = admin.command("help")["text"]
    assert all(name in told for name in ("SERVICENOW_URL", "SERVICENOW_CLIENT_ID", "SERVICENOW_CLIENT_SECRET"))
    assert "/servicenow configure" in told
    assert "servicenow configure" in admin.entries("/command")
    assert [words for words in agent.entries("/command") if "servicenow" in words] == ["servicenow help"]


def test_saved_settings_apply_at_once_and_after_a_restart(unconfigured: World) -> None:
    """Menus change and people connect without a restart. The form shows the settings, except the secret."""
    admin, form = open_form(unconfigured)
    assert (
        f"{unconfigured.mattermost.url}/plugins/com.mattermost.apps/apps/servicenow/oauth2/remote/complete"
        in form["header"]
    )
    assert field(form, "client_secret")["subtype"] == "password"

    answer = admin.submit(form, values(unconfigured, url=f" {unconfigured.servicenow.url}/ "))

    assert answer["type"] == "ok", answer
    assert "ServiceNow refuses a good and a bad client in the same words" in answer["text"]
    assert "servicenow connect" in admin.entries("/command")
    unconfigured.connected("agent")
    unconfigured.restart()
    assert unconfigured.person("agent").command("me")["type"] == "ok"
    _, again = open_form(unconfigured)
    assert field(again, "url")["value"] == unconfigured.servicenow.url
    assert field(again, "client_id")["value"] == CLIENT_ID
    assert "value" not in field(again, "client_secret")
    assert not field(again, "client_secret").get("is_required")


def test_an_empty_secret_keeps_the_current_one(unconfigured: World) -> None:
    """
    If the form is saved without a secret, the client still works: the administrator's connection is refreshed with it.
    """
    admin, form = open_form(unconfigured)
    admin.submit(form, values(unconfigured))
    unconfigured.connected("admin")

    _, again = open_form(unconfigured)
    answer = admin.submit(again, {"client_secret": None})

    assert answer["type"] == "ok", answer
    assert "as before" in answer["text"]
    assert "renewed your own connection" in answer["text"]


def test_another_address_or_client_needs_the_secret_again(unconfigured: World) -> None:
    """A stored secret is never sent to another instance."""
    admin, form = open_form(unconfigured)
    admin.submit(form, values(unconfigured))
    unconfigured.servicenow.clear_requests()

    answer = admin.submit(open_form(unconfigured)[1], {"url": "https://other.service-now.com"})

    assert answer["type"] == "error"
    assert "anew" in answer["data"]["errors"]["client_secret"]
    assert not unconfigured.asked()


def test_a_wrong_secret_is_reported_if_it_can_be_detected(unconfigured: World) -> None:
    """A failing refresh suggests a wrong secret but doesn't prove it, so the form saves and warns."""
    admin, form = open_form(unconfigured)
    admin.submit(form, values(unconfigured))
    unconfigured.connected("admin")

    answer = admin.submit(open_form(unconfigured)[1], {"client_secret": "another secret"})

    assert answer["type"] == "ok"
    assert "did not renew your own connection" in answer["text"]


def test_suspended_accounts_are_retried_once_the_client_is_fixed(unconfigured: World) -> None:
    """No restart and no second sign-in is needed."""
    admin, form = open_form(unconfigured)
    admin.submit(form, values(unconfigured, client_secret="mistyped at first"))
    row = unconfigured.registry_row()
    unconfigured.administer(
        "PATCH", f"/api/now/table/oauth_entity/{row['sys_id']}", {"client_secret": "mistyped at first"}
    )
    agent = unconfigured.connected("agent")
    unconfigured.administer("PATCH", f"/api/now/table/oauth_entity/{row['sys_id']}", {"client_secret": CLIENT_SECRET})
    unconfigured.advance(3600)
    assert "Connect again" in agent.command("incident create", {"short_description": "Broken"})["text"]
    assert "no longer accepts" in agent.command("me")["text"]

    assert admin.submit(open_form(unconfigured)[1], {"client_secret": CLIENT_SECRET})["type"] == "ok"

    assert agent.command("incident create", {"short_description": "Works again"})["type"] == "ok"


def test_another_instance_asks_everyone_to_reconnect(unconfigured: World) -> None:
    """No token of the first instance is sent to the second."""
    admin, form = open_form(unconfigured)
    admin.submit(form, values(unconfigured))
    agent = unconfigured.connected("agent")
    other = unconfigured.servicenow.url.replace("127.0.0.1", "localhost")
    unconfigured.restart(servicenow_hosts=(unconfigured.servicenow.url, other))
    unconfigured.servicenow.clear_requests()

    answer = admin.submit(open_form(unconfigured)[1], values(unconfigured, url=other))

    assert answer["type"] == "ok", answer
    assert "everybody has to connect anew" in answer["text"]
    assert list(agent.entries("/channel_header")) == ["Connect to ServiceNow"]
    assert {entry["path"] for entry in unconfigured.asked()} == {"/api/now/v2/table/sys_user", "/oauth_token.do"}


HOSTS = [
    "",
    "example.service-now.com",
    "http://example.service-now.com",
    "http://169.254.169.254",
    "http://127.0.0.1:1",
    "https://localhost",
    "https://user@example.service-now.com",
    "https://user:word@example.service-now.com",
    "https://example.service-now.com/path",
    "https://example.service-now.com?query",
    "https://example.service-now.com#fragment",
    "https://example.service-now.com:8443",
    "https://evil.service-now.com.example",
    "https://evil-service-now.com",
    "https://.service-now.com",
    "https://evil.example\\@x.service-now.com",
    "https://evil.example/.service-now.com",
    "https://[::1]",
    "https://[bad",
    "javascript:alert(1)",
    "https://example.service-now.com\n.evil.example",
]


@pytest.mark.parametrize("address", HOSTS)
def test_an_invalid_address_is_rejected_without_a_request(unconfigured: World, address: str) -> None:
    """The field says why. Nothing is stored or sent."""
    admin, form = open_form(unconfigured)
    answer = admin.submit(form, values(unconfigured, url=address))
    assert answer["type"] == "error"
    assert answer["data"]["errors"]["url"]
    assert not unconfigured.asked()
    assert "servicenow connect" not in admin.entries("/command")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "hibernating"}, "asleep"),
        ({"kind": "html_login"}, "not as ServiceNow does"),
        pytest.param({"kind": "slow", "seconds": 30}, "did not answer in time", marks=pytest.mark.waits),
        ({"kind": "500"}, "returned an error"),
        ({"kind": "429_bare"}, "busy"),
    ],
)
def test_an_instance_that_answers_wrongly_isnt_saved(unconfigured: World, fault: Json, words: str) -> None:
    """The address field says what is wrong."""
    admin, form = open_form(unconfigured)
    unconfigured.servicenow.fault(**fault, path="/", times=5)
    answer = admin.submit(form, values(unconfigured))
    unconfigured.servicenow.clear_faults()
    assert answer["type"] == "error"
    assert words in answer["data"]["errors"]["url"]
    assert "servicenow connect" not in admin.entries("/command")


def test_an_unreachable_address_is_reported(unconfigured: World) -> None:
    """A refused connection is reported as unreachable."""
    nobody = "http://127.0.0.1:9"
    unconfigured.restart(servicenow_hosts=(nobody,))
    admin, form = open_form(unconfigured)
    answer = admin.submit(form, values(unconfigured, url=nobody))
    assert "can't be reached" in answer["data"]["errors"]["url"]


def test_another_web_server_isnt_taken_for_servicenow(unconfigured: World) -> None:
    """Mattermost also answers with JSON and 404s."""
    unconfigured.restart(servicenow_hosts=(unconfigured.mattermost.url,))
    admin, form = open_form(unconfigured)
    answer = admin.submit(form, values(unconfigured, url=unconfigured.mattermost.url))
    assert "not as ServiceNow does" in answer["data"]["errors"]["url"]


def test_environment_settings_win_and_are_shown_as_text(world: World) -> None:
    """Submitted values for them change nothing."""
    admin, form = open_form(world)
    assert [one["name"] for one in form["fields"] if one["type"] == "text"] == []
    assert "SERVICENOW_URL" in field(form, "url")["description"]
    assert world.config.servicenow_url in field(form, "url")["description"]
    assert CLIENT_SECRET not in str(form)

    forged = {"url": "https://other.service-now.com", "client_id": "other", "client_secret": "other"}
    answer = admin.submit(form, forged)

    assert answer["type"] == "ok", answer
    assert "as before" in answer["text"]
    world.connected("agent")


def test_only_administrators_see_and_use_it(unconfigured: World) -> None:
    """
    For other people it isn't offered, and both form and submit are rejected, even with an administrator's signed state.
    """
    agent = unconfigured.person("agent")
    assert "servicenow configure" not in agent.entries("/command")
    admin, form = open_form(unconfigured)
    borrowed = agent.call(form["submit"], values=values(unconfigured))
    assert "could not be verified" in borrowed["text"]
    for kind in ("form", "submit"):
        call = {"path": f"/configure/settings/{kind}", "expand": form["submit"]["expand"]}
        answer = agent.call(call, values=values(unconfigured))
        assert answer["type"] == "error"
        assert "administrator" in answer["text"]
    assert not unconfigured.asked()
    assert "servicenow connect" not in admin.entries("/command")


def test_two_submits_of_one_form_dont_run_in_parallel(unconfigured: World) -> None:
    """The second is told to wait and can be sent again later."""
    from concurrent.futures import ThreadPoolExecutor

    admin, form = open_form(unconfigured)
    unconfigured.servicenow.fault(kind="slow", path="/api/now/v2/table/sys_user", times=1, seconds=1)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: admin.submit(form, values(unconfigured)), range(2)))
    assert sorted(answer["type"] for answer in answers) == ["error", "ok"]
    assert "being saved already" in next(a["text"] for a in answers if a["type"] == "error")
    assert admin.submit(form, values(unconfigured))["type"] == "ok"


@pytest.mark.usefixtures("every_log_line")
def test_no_secret_is_shown_logged_or_stored_in_clear(unconfigured: World) -> None:
    """Answers, logs and files contain neither the OAuth client's secret nor anything that decrypts it."""
    with structlog.testing.capture_logs() as logs:
        admin, form = open_form(unconfigured)
        answers = [
            admin.submit(form, values(unconfigured)),
            admin.submit(open_form(unconfigured)[1], {"url": "https://[bad"}),
        ]
        unconfigured.connected("admin")
        answers += [open_form(unconfigured)[1], admin.submit(open_form(unconfigured)[1], {})]
    folder = Path(unconfigured.config.storage_url.removeprefix("tinydb://"))
    files = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.is_file()}
    assert "configured" in {line["event"] for line in logs}
    assert "settings.json" in files
    for text in (str(answers), str(logs), *files.values()):
        assert CLIENT_SECRET not in text
        assert unconfigured.config.app_secrets[0] not in text
    assert (folder / "settings.json").stat().st_mode & 0o077 == 0


def test_legacy_reports_are_accepted_for_thirty_days(world: World) -> None:
    """The switch shows its end date, is renewed by saving, and turns itself off."""
    admin, form = open_form(world)
    answer = admin.submit(form, {"old_dialect": True})
    assert "update set v2.1 are taken until" in answer["text"]
    assert field(open_form(world)[1], "old_dialect")["value"] is True
    world.advance(29 * 86_400)
    assert "On until" in field(open_form(world)[1], "old_dialect")["description"]
    world.advance(2 * 86_400)
    assert "value" not in field(open_form(world)[1], "old_dialect")


def test_legacy_reports_arent_accepted_while_the_plugin_runs(world: World) -> None:
    """Otherwise each notification would be posted twice. A disabled plugin doesn't matter."""
    world.mattermost.state.plugins["mattermost-plugin-servicenow"] = 2
    admin, form = open_form(world)
    answer = admin.submit(form, {"old_dialect": True})
    assert "still runs" in answer["data"]["errors"]["old_dialect"]
    world.mattermost.state.plugins["mattermost-plugin-servicenow"] = 0
    assert admin.submit(form, {"old_dialect": True})["type"] == "ok"
