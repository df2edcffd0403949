"""Administrators choose the instance and its OAuth client while the service runs."""

from pathlib import Path
from typing import Any

import pytest
import structlog

from sandbox.client import MattermostClient
from tests.world import CLIENT_ID, CLIENT_SECRET, World

Json = dict[str, Any]

UNSET = {"servicenow_url": "", "servicenow_client_id": "", "servicenow_client_secret": ""}


@pytest.fixture
def unset(world: World) -> World:
    """Installed, and the environment names no instance."""
    world.restart(**UNSET)
    return world


def opened(world: World) -> tuple[MattermostClient, Json]:
    """An administrator with the form open."""
    admin = world.person("admin")
    answer = admin.command("configure")
    assert answer["type"] == "form", answer
    return admin, answer["form"]


def entered(world: World, **changes: Any) -> Json:
    """The right values, but for *changes*."""
    right = {"url": world.servicenow.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return right | changes


def field(form: Json, name: str) -> Json:
    """One field of a form."""
    found: Json = next(one for one in form["fields"] if one["name"] == name)
    return found


def test_people_and_administrators_are_told_differently_that_nothing_is_set(unset: World) -> None:
    """People are told whom to ask; administrators everything that is missing, and how to set it."""
    agent, admin = unset.person("agent"), unset.person("admin")
    assert "Ask a Mattermost system administrator" in agent.command("help")["text"]
    told = admin.command("help")["text"]
    assert all(name in told for name in ("SERVICENOW_URL", "SERVICENOW_CLIENT_ID", "SERVICENOW_CLIENT_SECRET"))
    assert "/servicenow configure" in told
    assert "servicenow configure" in admin.entries("/command")
    assert [words for words in agent.entries("/command") if "servicenow" in words] == ["servicenow help"]


def test_what_is_entered_is_in_force_at_once_and_after_a_restart(unset: World) -> None:
    """Menus change, people connect, without a restart; the form shows what is set but for the secret."""
    admin, form = opened(unset)
    assert (
        f"{unset.mattermost.url}/plugins/com.mattermost.apps/apps/servicenow/oauth2/remote/complete" in form["header"]
    )
    assert field(form, "client_secret")["subtype"] == "password"

    answer = admin.submit(form, entered(unset, url=f" {unset.servicenow.url}/ "))

    assert answer["type"] == "ok", answer
    assert "ServiceNow refuses a good and a bad client in the same words" in answer["text"]
    assert "servicenow connect" in admin.entries("/command")
    unset.connected("agent")
    unset.restart()
    assert unset.person("agent").command("me")["type"] == "ok"
    _, again = opened(unset)
    assert field(again, "url")["value"] == unset.servicenow.url
    assert field(again, "client_id")["value"] == CLIENT_ID
    assert "value" not in field(again, "client_secret")
    assert not field(again, "client_secret").get("is_required")


def test_an_empty_secret_keeps_the_one_that_is_set(unset: World) -> None:
    """Saved again without it, the client still works: the administrator's own connection is renewed with it."""
    admin, form = opened(unset)
    admin.submit(form, entered(unset))
    unset.connected("admin")

    _, again = opened(unset)
    answer = admin.submit(again, {"client_secret": None})

    assert answer["type"] == "ok", answer
    assert "as before" in answer["text"]
    assert "renewed your own connection" in answer["text"]


def test_another_address_or_client_needs_the_secret_again(unset: World) -> None:
    """A secret that is kept goes to no other instance."""
    admin, form = opened(unset)
    admin.submit(form, entered(unset))
    unset.servicenow.clear_requests()

    answer = admin.submit(opened(unset)[1], {"url": "https://other.service-now.com"})

    assert answer["type"] == "error"
    assert "anew" in answer["data"]["errors"]["client_secret"]
    assert not unset.asked()


def test_a_wrong_secret_is_told_where_that_can_be_told(unset: World) -> None:
    """A connection that the client no longer renews is a sign, and no more, so it is saved and said."""
    admin, form = opened(unset)
    admin.submit(form, entered(unset))
    unset.connected("admin")

    answer = admin.submit(opened(unset)[1], {"client_secret": "another secret"})

    assert answer["type"] == "ok"
    assert "did not renew your own connection" in answer["text"]


def test_suspended_accounts_try_again_once_the_client_is_mended(unset: World) -> None:
    """No restart, no second sign-in."""
    admin, form = opened(unset)
    admin.submit(form, entered(unset, client_secret="mistyped at first"))
    row = unset.registry_row()
    unset.administer("PATCH", f"/api/now/table/oauth_entity/{row['sys_id']}", {"client_secret": "mistyped at first"})
    agent = unset.connected("agent")
    unset.administer("PATCH", f"/api/now/table/oauth_entity/{row['sys_id']}", {"client_secret": CLIENT_SECRET})
    unset.advance(3600)
    assert "Connect again" in agent.command("incident create", {"short_description": "Broken"})["text"]
    assert "no longer accepts" in agent.command("me")["text"]

    assert admin.submit(opened(unset)[1], {"client_secret": CLIENT_SECRET})["type"] == "ok"

    assert agent.command("incident create", {"short_description": "Works again"})["type"] == "ok"


def test_another_instance_asks_everybody_to_connect_anew(unset: World) -> None:
    """No token of the first goes to the second."""
    admin, form = opened(unset)
    admin.submit(form, entered(unset))
    agent = unset.connected("agent")
    other = unset.servicenow.url.replace("127.0.0.1", "localhost")
    unset.restart(servicenow_hosts=(unset.servicenow.url, other))
    unset.servicenow.clear_requests()

    answer = admin.submit(opened(unset)[1], entered(unset, url=other))

    assert answer["type"] == "ok", answer
    assert "everybody has to connect anew" in answer["text"]
    assert list(agent.entries("/channel_header")) == ["Connect to ServiceNow"]
    assert {entry["path"] for entry in unset.asked()} == {"/api/now/v2/table/sys_user", "/oauth_token.do"}


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
def test_an_address_that_is_no_instance_is_refused_unasked(unset: World, address: str) -> None:
    """The field says why; nothing is stored, and nothing is sent anywhere."""
    admin, form = opened(unset)
    answer = admin.submit(form, entered(unset, url=address))
    assert answer["type"] == "error"
    assert answer["data"]["errors"]["url"]
    assert not unset.asked()
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
def test_an_instance_that_does_not_answer_well_is_not_saved(unset: World, fault: Json, words: str) -> None:
    """The address field says what is wrong with it."""
    admin, form = opened(unset)
    unset.servicenow.fault(**fault, path="/", times=5)
    answer = admin.submit(form, entered(unset))
    unset.servicenow.clear_faults()
    assert answer["type"] == "error"
    assert words in answer["data"]["errors"]["url"]
    assert "servicenow connect" not in admin.entries("/command")


def test_an_address_where_nobody_listens_is_said_to_be_unreachable(unset: World) -> None:
    """A refused connection is no riddle."""
    nobody = "http://127.0.0.1:9"
    unset.restart(servicenow_hosts=(nobody,))
    admin, form = opened(unset)
    answer = admin.submit(form, entered(unset, url=nobody))
    assert "can't be reached" in answer["data"]["errors"]["url"]


def test_another_web_server_is_no_instance(unset: World) -> None:
    """Mattermost answers with JSON and 404s; it is not taken for ServiceNow."""
    unset.restart(servicenow_hosts=(unset.mattermost.url,))
    admin, form = opened(unset)
    answer = admin.submit(form, entered(unset, url=unset.mattermost.url))
    assert "not as ServiceNow does" in answer["data"]["errors"]["url"]


def test_what_the_environment_sets_wins_and_says_so(world: World) -> None:
    """Shown as text; values for it, sent all the same, change nothing."""
    admin, form = opened(world)
    assert [one["name"] for one in form["fields"] if one["type"] == "text"] == []
    assert "SERVICENOW_URL" in field(form, "url")["description"]
    assert world.config.servicenow_url in field(form, "url")["description"]
    assert CLIENT_SECRET not in str(form)

    forged = {"url": "https://other.service-now.com", "client_id": "other", "client_secret": "other"}
    answer = admin.submit(form, forged)

    assert answer["type"] == "ok", answer
    assert "as before" in answer["text"]
    world.connected("agent")


def test_ordinary_people_neither_see_nor_do_it(unset: World) -> None:
    """Not offered; refused at the form and at the submit, an administrator's signed state included."""
    agent = unset.person("agent")
    assert "servicenow configure" not in agent.entries("/command")
    admin, form = opened(unset)
    borrowed = agent.call(form["submit"], values=entered(unset))
    assert "could not be verified" in borrowed["text"]
    for kind in ("form", "submit"):
        call = {"path": f"/configure/settings/{kind}", "expand": form["submit"]["expand"]}
        answer = agent.call(call, values=entered(unset))
        assert answer["type"] == "error"
        assert "administrator" in answer["text"]
    assert not unset.asked()
    assert "servicenow connect" not in admin.entries("/command")


def test_two_submits_of_one_form_do_not_run_beside_each_other(unset: World) -> None:
    """The second is told to wait; later it may be sent again."""
    from concurrent.futures import ThreadPoolExecutor

    admin, form = opened(unset)
    unset.servicenow.fault(kind="slow", path="/api/now/v2/table/sys_user", times=1, seconds=1)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: admin.submit(form, entered(unset)), range(2)))
    assert sorted(answer["type"] for answer in answers) == ["error", "ok"]
    assert "being saved already" in next(a["text"] for a in answers if a["type"] == "error")
    assert admin.submit(form, entered(unset))["type"] == "ok"


@pytest.mark.usefixtures("every_log_line")
def test_no_secret_is_shown_logged_or_stored_in_clear(unset: World) -> None:
    """Answers, logs and files hold neither the OAuth client's secret nor anything that opens it."""
    with structlog.testing.capture_logs() as logs:
        admin, form = opened(unset)
        answers = [admin.submit(form, entered(unset)), admin.submit(opened(unset)[1], {"url": "https://[bad"})]
        unset.connected("admin")
        answers += [opened(unset)[1], admin.submit(opened(unset)[1], {})]
    folder = Path(unset.config.storage_url.removeprefix("tinydb://"))
    files = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.is_file()}
    assert "configured" in {line["event"] for line in logs}
    assert "settings.json" in files
    for text in (str(answers), str(logs), *files.values()):
        assert CLIENT_SECRET not in text
        assert unset.config.app_secrets[0] not in text
    assert (folder / "settings.json").stat().st_mode & 0o077 == 0


def test_the_old_component_is_heard_for_thirty_days(world: World) -> None:
    """Switched on with an end that is said, renewed by saving, off by itself."""
    admin, form = opened(world)
    answer = admin.submit(form, {"old_dialect": True})
    assert "update set v2.1 are taken until" in answer["text"]
    assert field(opened(world)[1], "old_dialect")["value"] is True
    world.advance(29 * 86_400)
    assert "On until" in field(opened(world)[1], "old_dialect")["description"]
    world.advance(2 * 86_400)
    assert "value" not in field(opened(world)[1], "old_dialect")


def test_the_old_component_is_not_heard_beside_a_running_plugin(world: World) -> None:
    """Every notice would be posted twice; a plugin that is switched off is no hindrance."""
    world.mattermost.state.plugins["mattermost-plugin-servicenow"] = 2
    admin, form = opened(world)
    answer = admin.submit(form, {"old_dialect": True})
    assert "still runs" in answer["data"]["errors"]["old_dialect"]
    world.mattermost.state.plugins["mattermost-plugin-servicenow"] = 0
    assert admin.submit(form, {"old_dialect": True})["type"] == "ok"
