"""While an administrator has disabled or uninstalled the app, nothing is written, shown or posted."""

import secrets
import time
from typing import Any

import jwt
import pytest
import requests

from sandbox.client import PLUGIN, MattermostClient
from tests.acts import opened, written
from tests.reports import Component, grant, incident, invite_bot, matching, notices, pass_time, stored
from tests.scenarios.account.test_connection import SPELLINGS, spell
from tests.scenarios.plain.test_plain_cards import card_of
from tests.scenarios.subscriptions.subscribing import foreign_row, install_component
from tests.world import JWT_SECRET, World

Json = dict[str, Any]
OFF = "ServiceNow is turned off on this server."
DISABLED = "app is disabled by the administrator: servicenow: forbidden"


def apps(world: World, command: str, person: str = "admin", **values: Any) -> Json:
    """`/apps disable`, `enable` or `uninstall`."""
    call = {"path": f"/{command}", "expand": {"acting_user": "+summary", "locale": "all"}}
    return world.person(person).call(call, app_id="apps", values={"app": "servicenow"} | values)


def press_result(person: MattermostClient, post: Json) -> str:
    """The answer to a press of the card, or the title of the dialog that it opens."""
    pressed = person.press_action(post["id"], "State")
    return str(pressed.dialog.form["title"]) if pressed.dialog else " ".join(pressed.texts)


@pytest.mark.parametrize("how", ["disable", "uninstall"])
def test_cards_and_dialogs_do_nothing_while_the_app_is_off(world: World, how: str) -> None:
    """Buttons and an open dialog say so, and its lookups are empty; enabled or installed again, everything works."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    comment = agent.press_action(post["id"], "Comment").dialog
    assert comment is not None
    assign = agent.press_action(post["id"], "Assign to me")
    assert assign.texts
    answer = apps(world, how)
    assert answer["type"] == "ok", answer
    world.servicenow.clear_requests()

    assert OFF in press_result(agent, post)
    assert OFF in agent.press_action(post["id"], "Assign to me").texts[0]
    assert OFF in agent.submit_dialog(comment, {"comments": "Too late"})["error"]
    assert world.asked() == []

    if how == "disable":
        assert apps(world, "enable")["type"] == "ok"
    else:
        world.install()
        world.connected("agent")
    assert OFF not in press_result(agent, post)
    assert not agent.submit_dialog(comment, {"comments": "In time"}).get("error")
    assert [entry["method"] for entry in written(world)]


def test_lookups_of_an_open_dialog_are_empty_while_off(world: World) -> None:
    """They answer with an empty list, as lookups always do, and send nothing."""
    requests.post(f"{world.mattermost.url}/_sandbox/version", json={"version": "11.6.0"}, timeout=10)
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    more = agent.press_action(post["id"], "State").dialog
    assert more is not None
    name = next((one for one in more.names if more.element(one).get("data_source_url")), "")
    apps(world, "disable")
    world.servicenow.clear_requests()
    if name:
        assert agent.look_up_dialog(more, name, "ab", {}) == []
    assert OFF in agent.submit_dialog(more, {})["error"]
    assert world.asked() == []


def test_a_disabled_app_can_be_uninstalled(world: World) -> None:
    """The uninstall call expands nothing, so the plugin makes it; an older manifest's expand prevented that."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    app = world.mattermost.registry.apps["servicenow"]
    before = app.manifest["on_uninstall"]
    app.manifest["on_uninstall"] = {"path": "/lifecycle/uninstall", "expand": {"acting_user": "+summary"}}
    apps(world, "disable")
    refused = apps(world, "uninstall")
    assert refused["text"] == f"app canceled uninstall request: failed to expand context: {DISABLED}"
    app.manifest["on_uninstall"] = before
    answer = apps(world, "uninstall")
    assert answer["type"] == "ok"
    assert answer["text"].startswith("Uninstalled ServiceNow, with message: People stay connected")
    assert OFF in press_result(agent, post)


def test_uninstalling_is_noticed_although_disabling_wasnt(world: World) -> None:
    """The service was down when the app was disabled: the framework then says that it is disabled."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    world.running.stop()
    assert apps(world, "disable")["text"] == "Disabled ServiceNow"
    world.start()
    assert apps(world, "uninstall")["type"] == "ok"
    assert OFF in press_result(agent, post)


def test_enabling_is_noticed_later_if_the_service_was_down(world: World) -> None:
    """A disabled app's bot has no session, so a call some minutes later shows that the app is enabled."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    apps(world, "disable")
    world.running.stop()
    assert apps(world, "enable")["text"] == "Enabled ServiceNow"
    world.start()
    agent.command("me")
    assert OFF in press_result(agent, post)
    world.advance(361)
    agent.command("me")
    assert OFF not in press_result(agent, post)


def test_an_installation_with_the_older_manifest_is_turned_off_too(world: World) -> None:
    """It still expands the administrator, and the framework keeps that until the app is installed again."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    manifest = world.mattermost.registry.apps["servicenow"].manifest
    for name in ("on_disable", "on_uninstall"):
        manifest[name] = manifest[name] | {"expand": {"acting_user": "+summary"}}
    assert "Nobody can use ServiceNow" in apps(world, "disable")["text"]
    assert OFF in press_result(agent, post)


@pytest.mark.parametrize("pattern", SPELLINGS)
def test_nobody_can_turn_the_app_off_through_the_plugin(world: World, pattern: str) -> None:
    """However a lifecycle path is spelled, with and without the person in the call."""
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    all_of_them = {"acting_user": "+summary", "acting_user_access_token": "all", "app": "all"}
    for person in (agent, world.person("admin")):
        for word in ("uninstall", "enable", "disable", "install"):
            path = spell(pattern.replace("oauth2", "lifecycle"), word)
            for expand in ({}, {"acting_user": "+summary"}, all_of_them):
                answer = person.call({"path": path, "expand": expand})
                assert answer["type"] == "error", (path, expand)
                words = ("could not be verified",) if not expand and word in {"enable", "install"} else ()
                assert any(one in answer["text"] for one in ("does not know that request", *words)), answer
    assert OFF not in press_result(agent, post)


def post_directly(world: World, path: str, person_id: str = "", **context: Any) -> str:
    """The answer to someone who knows the framework's secret and sends this."""
    claims: Json = {"exp": int(time.time()) + 900} | ({"acting_user_id": person_id} if person_id else {})
    headers = {"Mattermost-App-Authorization": f"Bearer {jwt.encode(claims, JWT_SECRET, algorithm='HS256')}"}
    body = {"path": path, "context": context}
    answer: Json = requests.post(world.config.app_url + path, json=body, headers=headers, timeout=20).json()
    return str(answer["text"])


def test_the_frameworks_secret_alone_turns_nothing_off(world: World) -> None:
    """
    Without a live session of the bot these calls are rejected, whoever they name; they don't turn anything on either.
    """
    agent, admin = world.connected("agent"), world.person("admin")
    post, _ = card_of(world, agent)
    registry = world.mattermost.registry
    app = registry.apps["servicenow"]
    bot, made_up = registry.token(app, app.bot_user_id), secrets.token_hex(13)
    for path in ("/lifecycle/disable", "/lifecycle/uninstall"):
        for token in ("", made_up, registry.token(app, agent.id)):
            assert "could not be verified" in post_directly(world, path, bot_access_token=token)
        user = {"id": agent.id, "roles": "system_user"}
        text = post_directly(world, path, agent.id, bot_access_token=bot, acting_user=user)
        assert "Only a Mattermost system administrator" in text
        user = {"id": admin.id, "roles": "system_admin system_user"}
        assert "could not be verified" in post_directly(world, path, agent.id, bot_access_token=bot, acting_user=user)
        assert "could not be verified" in post_directly(world, path, admin.id, bot_access_token=bot)
        assert "could not be verified" in post_directly(world, path, bot_access_token=bot, acting_user=user)
    assert OFF not in press_result(agent, post)
    apps(world, "disable")
    for path in ("/lifecycle/enable", "/lifecycle/install", "/account/me/submit"):
        user = {"id": admin.id, "roles": "system_admin system_user"}
        assert post_directly(world, path, admin.id, bot_access_token=bot, acting_user=user).startswith(
            ("This request could not be verified", "Only a Mattermost system administrator")
        )
    assert OFF in press_result(agent, post)


def test_only_administrators_turn_it_on(world: World) -> None:
    """
    An ordinary person's call is rejected, even with both proofs and the exact path, which only the framework sends.
    """
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    apps(world, "disable")
    app = world.mattermost.registry.apps["servicenow"]
    app.enabled, world.mattermost.state.users[app.bot_user_id]["delete_at"] = True, 0
    user = {"id": agent.id, "roles": "system_user"}
    bot = world.mattermost.registry.token(app, app.bot_user_id)
    text = post_directly(world, "/lifecycle/enable", agent.id, bot_access_token=bot, acting_user=user)
    assert "Only a Mattermost system administrator" in text
    assert OFF in press_result(agent, post)


def test_notices_wait_while_the_app_is_off(world: World, component: Component) -> None:
    """Nothing is posted or read; enabled again within a day, what waited is posted once."""
    [one] = stored(world, grant(world))
    apps(world, "disable")
    world.servicenow.clear_requests()
    component.changed(incident(world), [one])
    pass_time(world, 3)
    assert notices(world) == []
    assert [entry for entry in world.asked(method="GET") if entry["path"].startswith("/api/now")] == []
    apps(world, "enable")
    for _ in range(8):
        pass_time(world, 3)
    assert len(notices(world)) == 1


def test_owners_rows_wait_for_verification_while_the_app_is_off(world: World, component: Component) -> None:
    """No person's token is used for it either; enabled within a day the rows are verified, later they are dropped."""
    install_component(world, "agent")
    agent = world.connected("agent")
    invite_bot(world, "service-desk")
    where = {"channel_id": agent.channel("service-desk"), "user_id": agent.id}
    claim, other = (matching(grant(world, sys_id=foreign_row(world, "agent", **where))) for _ in range(2))
    apps(world, "disable")
    world.servicenow.clear_requests()
    component.changed(incident(world), [], subscriptions=[claim])
    pass_time(world, 3)
    assert world.asked(path="/api/now") == []
    apps(world, "enable")
    pass_time(world, 3)
    pass_time(world, 3)
    assert len(notices(world)) == 1

    apps(world, "disable")
    component.changed(incident(world, 1), [], subscriptions=[other])
    pass_time(world, 86_401)
    assert world.running.service.services.deliveries.health().waiting == 0
    assert world.running.service.services.deliveries.health().given_up == 1


def test_the_plugin_rejects_connecting_while_disabled(world: World) -> None:
    """Mattermost answers itself, with a page that says why."""
    apps(world, "disable")
    for leg in ("connect", "complete?state=x"):
        page = world.person("agent").browser.get(f"{world.mattermost.url}{PLUGIN}/apps/servicenow/oauth2/remote/{leg}")
        assert (page.status_code, page.text) == (403, f"{DISABLED}\n")


def test_the_plugin_rejects_open_forms_while_disabled(world: World) -> None:
    """An open modal doesn't reach the service."""
    agent = world.connected("agent")
    form = opened(agent.command("incident create", channel="service-desk"))
    apps(world, "disable")
    assert DISABLED in agent.submit(form, {"short_description": "Too late"})["text"]
