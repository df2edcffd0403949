"""The life of a connection: refreshed, suspended, retried, expired, revoked; and how connecting can fail."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox.client import PASSWORD, PLUGIN, MattermostClient
from tests.world import CLIENT_SECRET, World

DAY = 86_400.0


def me(person: MattermostClient) -> str:
    """The answer to `/servicenow me`, which needs no ServiceNow request."""
    return str(person.call({"path": "/account/me/submit", "expand": {"acting_user": "+summary"}})["text"])


def call_servicenow(person: MattermostClient, title: str = "work") -> dict[str, str]:
    """The raw answer to a call that needs ServiceNow, whatever the menus show."""
    expand = {"acting_user": "+summary", "channel": "summary", "acting_user_access_token": "all"}
    values = {"short_description": title}
    answer: dict[str, str] = person.call({"path": "/incident/create/submit", "expand": expand}, values=values)
    return answer


def token_requests(world: World) -> int:
    """How often ServiceNow was asked for tokens."""
    return len(world.asked(path="/oauth_token.do"))


def test_people_and_administrators_get_different_messages_without_a_configuration(world: World) -> None:
    """People learn whom to contact; administrators see every missing setting."""
    world.restart(servicenow_url="", servicenow_client_id="", servicenow_client_secret="")
    agent, admin = world.person("agent"), world.person("admin")
    assert list(agent.entries("/command")) == ["apps info", "servicenow help"]
    assert agent.entries("/channel_header") == {}
    assert "system administrator" in agent.command("help")["text"]
    assert "SERVICENOW" not in agent.command("help")["text"]
    text = admin.command("help")["text"]
    assert all(name in text for name in ("SERVICENOW_URL", "SERVICENOW_CLIENT_ID", "SERVICENOW_CLIENT_SECRET"))
    assert call_servicenow(agent)["type"] == "error"


def test_a_connect_link_works_once_and_only_for_its_owner(world: World) -> None:
    """The callback address from ServiceNow works for one person, once."""
    newcomer, agent = world.person("newcomer"), world.person("agent")
    start = newcomer.browser.get(
        f"{newcomer.url}{PLUGIN}/apps/servicenow/oauth2/remote/connect", allow_redirects=False
    ).headers["Location"]
    stranger = requests.Session()
    stranger.trust_env = False
    back = follow_to_callback(stranger, start, "newcomer")
    assert agent.browser.get(back).status_code == 403
    assert "Completed" in newcomer.browser.get(back).text
    assert newcomer.browser.get(back).status_code == 403
    assert "Nora Newcomer" in me(newcomer)


def follow_to_callback(browser: requests.Session, start: str, user_name: str) -> str:
    """Sign in and consent; returns the callback address without opening it."""
    page = browser.get(start)
    page = browser.post(page.url, data={"user_name": user_name, "user_password": PASSWORD})
    answer = browser.post(page.url, data={"allow": "1"}, allow_redirects=False)
    return answer.headers["Location"]


def test_declined_consent_is_reported(world: World) -> None:
    """A declined consent leads back to a page that says so, and nothing is connected."""
    newcomer = world.person("newcomer")
    page = newcomer.connect(decide="deny")
    assert "did not allow" in page.text
    assert "not connected" in me(newcomer)


def test_a_wrong_redirect_address_ends_at_servicenow(world: World) -> None:
    """ServiceNow rejects a redirect address that isn't registered, and the person sees its page."""
    sys_id = world.registry_row()["sys_id"]
    world.administer("PATCH", f"/api/now/table/oauth_entity/{sys_id}", {"redirect_url": "http://127.0.0.1/other"})
    newcomer = world.person("newcomer")
    assert "redirect address is not one of those" in newcomer.connect().text
    assert "not connected" in me(newcomer)


def test_the_account_that_signed_in_is_connected(world: World) -> None:
    """Whoever signs in at ServiceNow is linked, whatever their email, and the person is told which account it is."""
    newcomer = world.person("newcomer")
    newcomer.connect(as_user="abel.tuter")
    world.settle()
    assert "Abel Tuter" in me(newcomer)
    assert "Abel Tuter" in world.mattermost.direct_posts("newcomer")[0]["message"]


def test_a_welcome_that_cant_be_sent_breaks_nothing(world: World) -> None:
    """The account is connected although the direct message failed."""
    world.mattermost.fault("500", "/api/v4/channels/direct", times=3)
    assert "Completed" in world.person("newcomer").connect().text
    assert "Nora Newcomer" in me(world.person("newcomer"))


def test_ten_parallel_calls_after_expiry_refresh_once(world: World) -> None:
    """One refresh serves all calls, is stored, and is still valid after a restart."""
    agent = world.connected("agent")
    call_servicenow(agent)
    world.servicenow.clear_requests()
    world.advance(1801)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: call_servicenow(agent, f"n{n}"), range(10)))
    assert token_requests(world) == 1
    assert "ok" in {answer["type"] for answer in answers}
    assert all(answer["type"] == "ok" or "busy" in answer["text"] for answer in answers)
    world.restart()
    assert call_servicenow(agent)["type"] == "ok"
    assert token_requests(world) == 1


def test_a_rejected_refresh_suspends_and_asks_once_a_day(world: World) -> None:
    """
    Tokens are kept, the answer has a connect link, one direct message is sent per 24 hours, and reconnecting works.
    """
    agent = world.connected("agent")
    before = len(world.mattermost.direct_posts("agent"))
    world.advance(1801)
    world.servicenow.fault("refresh_refused", "/oauth_token.do")
    for _ in range(3):
        answer = call_servicenow(agent)
        assert answer["type"] == "error"
        assert f"({world.mattermost.url}{PLUGIN}/apps/servicenow/oauth2/remote/connect)" in answer["text"]
    world.settle()
    assert len(world.mattermost.direct_posts("agent")) == before + 1
    assert token_requests(world) <= 2  # connect, and the one rejected refresh: a suspended account sends no more
    assert list(agent.entries("/channel_header")) == ["Connect to ServiceNow"]
    assert "no longer accepts" in me(agent)
    world.advance(DAY + 60)
    call_servicenow(agent)
    world.settle()
    assert len(world.mattermost.direct_posts("agent")) == before + 2
    world.connected("agent")
    assert call_servicenow(agent)["type"] == "ok"


def test_an_unanswered_refresh_changes_nothing(world: World) -> None:
    """A timeout isn't a rejection: the account remains, and the next call works."""
    agent = world.connected("agent")
    world.advance(1801)
    world.servicenow.fault("hibernating", "/oauth_token.do", times=100)
    assert "asleep" in call_servicenow(agent)["text"]
    world.servicenow.clear_faults()
    assert call_servicenow(agent)["type"] == "ok"


def test_two_401s_keep_the_connection(world: World) -> None:
    """
    Two 401s with a successful refresh between them are reported as temporary. The next call works, and nobody is
    suspended.
    """
    agent = world.connected("agent")
    call_servicenow(agent)  # the choices are cached
    for method in ("GET", "POST"):
        world.servicenow.clear_requests()
        world.servicenow.fault("401", "/api/", times=2)
        if method == "POST":
            answer = call_servicenow(agent)
        else:
            answer = agent.command("view", {"record": {"label": "INC0010001", "value": "INC0010001"}})
        assert answer["type"] == "error"
        assert "try again in a minute" in answer["text"]
        assert "onnect again" not in answer["text"]
        assert [one["status"] for one in world.asked(method=method, path="/api/")] == [401, 401]
        assert token_requests(world) == 1
        assert list(agent.entries("/channel_header")) == ["ServiceNow"]
        assert call_servicenow(agent)["type"] == "ok"
        world.advance(200)  # an accepted call ends the series of 401s, so the next ones start a new series
    assert len(world.servicenow.rows("incident")) == 6


def test_401s_over_minutes_suspend(world: World) -> None:
    """If fresh tokens are still rejected minutes later, the connection ends and the person is asked to connect."""
    agent = world.connected("agent")
    world.servicenow.fault("401", "/api/", times=100)
    assert "try again in a minute" in call_servicenow(agent)["text"]
    world.advance(100)
    assert "try again in a minute" in call_servicenow(agent)["text"]
    world.advance(100)
    assert "Connect again" in call_servicenow(agent)["text"]
    assert list(agent.entries("/channel_header")) == ["Connect to ServiceNow"]


def test_two_rejected_people_point_at_the_client_and_are_retried(world: World) -> None:
    """Administrators are told once to check the OAuth client. With the right secret, all connections work again."""
    people = [world.connected(name) for name in ("agent", "requester", "approver")]
    world.advance(1801)
    sys_id = world.registry_row()["sys_id"]
    world.administer("PATCH", f"/api/now/table/oauth_entity/{sys_id}", {"client_secret": "a new one"})
    for person in people:
        assert call_servicenow(person)["type"] == "error"
    world.settle()
    told = [post for post in world.mattermost.direct_posts("admin") if "OAuth client" in post["message"]]
    assert len(told) == 1
    assert CLIENT_SECRET not in told[0]["message"]
    world.restart(servicenow_client_secret="a new one")
    for person in people:
        assert call_servicenow(person)["type"] == "ok"


def test_people_are_warned_before_a_connection_expires(world: World) -> None:
    """One warning comes seven days before the end. On the hundredth day the connection ends."""
    agent = world.connected("agent")
    before = len(world.mattermost.direct_posts("agent"))
    world.advance(92 * DAY)
    me(world.person("requester"))
    world.settle()
    assert len(world.mattermost.direct_posts("agent")) == before
    world.advance(1.5 * DAY)
    for _ in range(2):
        me(world.person("requester"))  # any person's call will do
        world.settle()
        world.advance(7200)
    [told] = world.mattermost.direct_posts("agent")[before:]
    assert "Connect again" in told["message"]
    assert call_servicenow(agent)["type"] == "ok"
    world.advance(7 * DAY)
    assert "Connect again" in call_servicenow(agent)["text"]


def user_id(world: World, user_name: str) -> str:
    """A person's sys_id in ServiceNow."""
    return next(row["sys_id"] for row in world.servicenow.rows("sys_user") if row["user_name"] == user_name)


def test_a_failed_connection_leaves_no_grant(world: World) -> None:
    """The code was exchanged, but the account can't be read: the person is told, and the grant is revoked."""
    newcomer = world.person("newcomer")
    world.servicenow.fault("hibernating", "/api/now/v2/table/sys_user")
    assert "asleep" in newcomer.connect().text
    assert world.servicenow.oauth.grants() == []


def test_disconnecting_revokes_and_deletes(world: World) -> None:
    """ServiceNow rejects the tokens, the menus change, and the next call asks to connect."""
    agent = world.connected("agent")
    [grant] = [one for one in world.servicenow.oauth.grants() if one.user_id == user_id(world, "agent")]
    assert world.servicenow.oauth.owner(grant.access_token) == grant.user_id
    answer = agent.command("disconnect")
    assert "revoked at ServiceNow" in answer["text"]
    assert len(world.asked(path="/oauth_revoke_token.do")) == 2
    assert world.servicenow.oauth.owner(grant.access_token) == ""
    assert grant not in world.servicenow.oauth.grants()
    assert list(agent.entries("/channel_header")) == ["Connect to ServiceNow"]
    assert "not connected" in call_servicenow(agent)["text"]


def test_a_failed_revocation_is_reported(world: World) -> None:
    """The tokens are deleted here in any case; the person is told that ServiceNow didn't confirm the revocation."""
    agent = world.connected("agent")
    world.servicenow.fault("hibernating", "/oauth_revoke_token.do", times=4)
    assert "did not confirm" in agent.command("disconnect")["text"]
    assert "not connected" in me(agent)


def test_another_instance_suspends_everyone(world: World) -> None:
    """Tokens are sent only to the instance that issued them."""
    agent = world.connected("agent")
    world.restart(servicenow_url=world.servicenow.url.replace("127.0.0.1", "localhost"))
    world.servicenow.clear_requests()
    assert "Connect again" in call_servicenow(agent)["text"]
    assert world.asked() == []


def test_session_cookies_are_never_sent_back(world: World) -> None:
    """ServiceNow sets session cookies for each person; a client that returned them would act in the wrong session."""
    agent, requester = world.connected("agent"), world.connected("requester")
    call_servicenow(agent)
    call_servicenow(requester)
    call_servicenow(agent)
    assert {entry["cookies"] for entry in world.asked(path="/api/")} == {False}


def test_a_netrc_file_is_ignored(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Credentials in a `.netrc` replace nobody's token."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login admin password sandbox-1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETRC", str(netrc))
        requester = world.connected("requester")
        call_servicenow(requester, "as myself")
    row = world.servicenow.rows("incident")[-1]
    assert world.servicenow.store.display("sys_user", row["opened_by"]) == "Rosa Requester"


def test_an_unknown_word_is_answered_with_the_nearest_command(world: World) -> None:
    """`help` with a misspelled word suggests the closest command, and so does a forged path."""
    agent = world.connected("agent")
    assert "incident create" in agent.command("help", {"command": "incidnet creat"})["text"]
    forged = agent.call({"path": "/incident/crate/submit", "expand": {"acting_user": "+summary"}})
    assert "Did you mean `/servicenow incident create`" in forged["text"]


def test_the_rate_limit_is_per_person(world: World) -> None:
    """A person can submit sixty forms per minute. The next is rejected, and other people's still work."""
    world.restart(rate_limits=True)
    agent, requester = world.connected("agent"), world.connected("requester")
    texts = [me(agent) for _ in range(62)]
    assert "Amir Agent" in texts[58]
    assert "a lot at once" in texts[61]
    assert "Rosa Requester" in me(requester)
