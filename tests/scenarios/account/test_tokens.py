"""Connections over time: refreshed, suspended, told, tried again, revoked; and the ways to fail to connect."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox.client import PASSWORD, PLUGIN, MattermostClient
from tests.world import CLIENT_SECRET, World

DAY = 86_400.0


def me(person: MattermostClient) -> str:
    """What `/servicenow me` says; the call needs no ServiceNow."""
    return str(person.call({"path": "/account/me/submit", "expand": {"acting_user": "+summary"}})["text"])


def work(person: MattermostClient, title: str = "work") -> dict[str, str]:
    """A call that needs ServiceNow: create by command; the raw answer, whatever the menus show."""
    expand = {"acting_user": "+summary", "channel": "summary", "acting_user_access_token": "all"}
    values = {"short_description": title}
    answer: dict[str, str] = person.call({"path": "/incident/create/submit", "expand": expand}, values=values)
    return answer


def refreshes(world: World) -> int:
    """How often ServiceNow was asked for tokens."""
    return len(world.asked(path="/oauth_token.do"))


def test_not_configured_tells_people_and_administrators_different_things(world: World) -> None:
    """People are told whom to ask; administrators see all that is missing."""
    world.restart(servicenow_url="", servicenow_client_id="", servicenow_client_secret="")
    agent, admin = world.person("agent"), world.person("admin")
    assert list(agent.entries("/command")) == ["apps info", "servicenow help"]
    assert agent.entries("/channel_header") == {}
    assert "system administrator" in agent.command("help")["text"]
    assert "SERVICENOW" not in agent.command("help")["text"]
    text = admin.command("help")["text"]
    assert all(name in text for name in ("SERVICENOW_URL", "SERVICENOW_CLIENT_ID", "SERVICENOW_CLIENT_SECRET"))
    assert work(agent)["type"] == "error"


def test_a_connect_link_works_once_and_for_its_owner_only(world: World) -> None:
    """The address that comes back from ServiceNow is good for one person and one time."""
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
    """Sign in and allow, and stop at the address that leads back to Mattermost."""
    page = browser.get(start)
    page = browser.post(page.url, data={"user_name": user_name, "user_password": PASSWORD})
    answer = browser.post(page.url, data={"allow": "1"}, allow_redirects=False)
    return answer.headers["Location"]


def test_a_declined_consent_says_so(world: World) -> None:
    """Deny leads back with words, and nothing is connected."""
    newcomer = world.person("newcomer")
    page = newcomer.connect(decide="deny")
    assert "did not allow" in page.text
    assert "not connected" in me(newcomer)


def test_a_wrong_redirect_address_stays_at_servicenow(world: World) -> None:
    """ServiceNow refuses a redirect address that is not registered; the person sees its page."""
    sys_id = world.registry_row()["sys_id"]
    world.administer("PATCH", f"/api/now/table/oauth_entity/{sys_id}", {"redirect_url": "http://127.0.0.1/other"})
    newcomer = world.person("newcomer")
    assert "redirect address is not one of those" in newcomer.connect().text
    assert "not connected" in me(newcomer)


def test_the_account_is_the_one_that_signed_in(world: World) -> None:
    """Whoever signs in at ServiceNow is linked, e-mail or not, and the person is told which account it is."""
    newcomer = world.person("newcomer")
    newcomer.connect(as_user="abel.tuter")
    world.settle()
    assert "Abel Tuter" in me(newcomer)
    assert "Abel Tuter" in world.mattermost.direct_posts("newcomer")[0]["message"]


def test_a_welcome_that_cannot_be_sent_breaks_nothing(world: World) -> None:
    """No direct message, and connected all the same."""
    world.mattermost.fault("500", "/api/v4/channels/direct", times=3)
    assert "Completed" in world.person("newcomer").connect().text
    assert "Nora Newcomer" in me(world.person("newcomer"))


def test_ten_parallel_calls_after_expiry_refresh_once(world: World) -> None:
    """The access token has expired: one refresh for all, stored, and good after a restart."""
    agent = world.connected("agent")
    work(agent)
    world.servicenow.clear_requests()
    world.advance(1801)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: work(agent, f"n{n}"), range(10)))
    assert refreshes(world) == 1
    assert "ok" in {answer["type"] for answer in answers}
    assert all(answer["type"] == "ok" or "busy" in answer["text"] for answer in answers)
    world.restart()
    assert work(agent)["type"] == "ok"
    assert refreshes(world) == 1


def test_a_refused_refresh_suspends_and_asks_once_a_day(world: World) -> None:
    """Tokens are kept, the answer has a connect link, one direct message in 24 hours, and reconnecting works."""
    agent = world.connected("agent")
    before = len(world.mattermost.direct_posts("agent"))
    world.advance(1801)
    world.servicenow.fault("refresh_refused", "/oauth_token.do")
    for _ in range(3):
        answer = work(agent)
        assert answer["type"] == "error"
        assert f"({world.mattermost.url}{PLUGIN}/apps/servicenow/oauth2/remote/connect)" in answer["text"]
    world.settle()
    assert len(world.mattermost.direct_posts("agent")) == before + 1
    assert refreshes(world) <= 2  # connect and the one refusal; a suspended account asks no more
    assert list(agent.entries("/channel_header")) == ["Connect to ServiceNow"]
    assert "no longer accepts" in me(agent)
    world.advance(DAY + 60)
    work(agent)
    world.settle()
    assert len(world.mattermost.direct_posts("agent")) == before + 2
    world.connected("agent")
    assert work(agent)["type"] == "ok"


def test_an_unanswered_refresh_changes_nothing(world: World) -> None:
    """Silence is no refusal: the account stays, and the next call works."""
    agent = world.connected("agent")
    world.advance(1801)
    world.servicenow.fault("hibernating", "/oauth_token.do", times=100)
    assert "asleep" in work(agent)["text"]
    world.servicenow.clear_faults()
    assert work(agent)["type"] == "ok"


def test_passing_401s_leave_the_connection(world: World) -> None:
    """Two 401s with a good refresh between them are told as passing; the next call works, and nobody is suspended."""
    agent = world.connected("agent")
    work(agent)  # the choices are warm
    for method in ("GET", "POST"):
        world.servicenow.clear_requests()
        world.servicenow.fault("401", "/api/", times=2)
        if method == "POST":
            answer = work(agent)
        else:
            answer = agent.command("view", {"record": {"label": "INC0010001", "value": "INC0010001"}})
        assert answer["type"] == "error"
        assert "try again in a minute" in answer["text"]
        assert "onnect again" not in answer["text"]
        assert [one["status"] for one in world.asked(method=method, path="/api/")] == [401, 401]
        assert refreshes(world) == 1
        assert list(agent.entries("/channel_header")) == ["ServiceNow"]
        assert work(agent)["type"] == "ok"
        world.advance(200)  # an accepted call ends the run of 401s, so the next ones are the first of their own
    assert len(world.servicenow.rows("incident")) == 6


def test_401s_over_minutes_suspend(world: World) -> None:
    """A connection whose fresh tokens are refused again after minutes ends, and the person is asked to connect."""
    agent = world.connected("agent")
    world.servicenow.fault("401", "/api/", times=100)
    assert "try again in a minute" in work(agent)["text"]
    world.advance(100)
    assert "try again in a minute" in work(agent)["text"]
    world.advance(100)
    assert "Connect again" in work(agent)["text"]
    assert list(agent.entries("/channel_header")) == ["Connect to ServiceNow"]


def test_two_refused_people_point_at_the_client_and_are_tried_again(world: World) -> None:
    """Administrators are told once to check the OAuth client; with the right secret all work without connecting."""
    people = [world.connected(name) for name in ("agent", "requester", "approver")]
    world.advance(1801)
    sys_id = world.registry_row()["sys_id"]
    world.administer("PATCH", f"/api/now/table/oauth_entity/{sys_id}", {"client_secret": "a new one"})
    for person in people:
        assert work(person)["type"] == "error"
    world.settle()
    told = [post for post in world.mattermost.direct_posts("admin") if "OAuth client" in post["message"]]
    assert len(told) == 1
    assert CLIENT_SECRET not in told[0]["message"]
    world.restart(servicenow_client_secret="a new one")
    for person in people:
        assert work(person)["type"] == "ok"


def test_people_are_told_before_the_hundredth_day(world: World) -> None:
    """Seven days before the end, once; on the hundredth day the connection ends."""
    agent = world.connected("agent")
    before = len(world.mattermost.direct_posts("agent"))
    world.advance(92 * DAY)
    me(world.person("requester"))
    world.settle()
    assert len(world.mattermost.direct_posts("agent")) == before
    world.advance(1.5 * DAY)
    for _ in range(2):
        me(world.person("requester"))  # anybody's call will do
        world.settle()
        world.advance(7200)
    [told] = world.mattermost.direct_posts("agent")[before:]
    assert "Connect again" in told["message"]
    assert work(agent)["type"] == "ok"
    world.advance(7 * DAY)
    assert "Connect again" in work(agent)["text"]


def user_id(world: World, user_name: str) -> str:
    """The sys_id of a person in ServiceNow."""
    return next(row["sys_id"] for row in world.servicenow.rows("sys_user") if row["user_name"] == user_name)


def test_a_connection_that_does_not_come_about_leaves_no_grant(world: World) -> None:
    """The code was exchanged, but whose account it is can't be read: told so, and the grant is given back."""
    newcomer = world.person("newcomer")
    world.servicenow.fault("hibernating", "/api/now/v2/table/sys_user")
    assert "asleep" in newcomer.connect().text
    assert world.servicenow.oauth.grants() == []


def test_disconnecting_revokes_and_deletes(world: World) -> None:
    """The tokens are dead at ServiceNow, the menus change, and what comes next says to connect."""
    agent = world.connected("agent")
    [grant] = [one for one in world.servicenow.oauth.grants() if one.user_id == user_id(world, "agent")]
    assert world.servicenow.oauth.owner(grant.access_token) == grant.user_id
    answer = agent.command("disconnect")
    assert "revoked at ServiceNow" in answer["text"]
    assert len(world.asked(path="/oauth_revoke_token.do")) == 2
    assert world.servicenow.oauth.owner(grant.access_token) == ""
    assert grant not in world.servicenow.oauth.grants()
    assert list(agent.entries("/channel_header")) == ["Connect to ServiceNow"]
    assert "not connected" in work(agent)["text"]


def test_a_failed_revocation_is_said(world: World) -> None:
    """Deleted here in any case; that ServiceNow did not confirm is told."""
    agent = world.connected("agent")
    world.servicenow.fault("hibernating", "/oauth_revoke_token.do", times=4)
    assert "did not confirm" in agent.command("disconnect")["text"]
    assert "not connected" in me(agent)


def test_another_instance_suspends_everybody(world: World) -> None:
    """Tokens go to the instance that gave them, and nowhere else."""
    agent = world.connected("agent")
    world.restart(servicenow_url=world.servicenow.url.replace("127.0.0.1", "localhost"))
    world.servicenow.clear_requests()
    assert "Connect again" in work(agent)["text"]
    assert world.asked() == []


def test_cookies_of_two_people_never_come_back(world: World) -> None:
    """ServiceNow sets session cookies for each; a client that returned one would get another set."""
    agent, requester = world.connected("agent"), world.connected("requester")
    work(agent)
    work(requester)
    work(agent)
    assert {entry["cookies"] for entry in world.asked(path="/api/")} == {False}


def test_a_netrc_in_the_way_is_not_used(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Credentials of a `.netrc` replace nobody's token."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login admin password sandbox-1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETRC", str(netrc))
        requester = world.connected("requester")
        work(requester, "as myself")
    row = world.servicenow.rows("incident")[-1]
    assert world.servicenow.store.display("sys_user", row["opened_by"]) == "Rosa Requester"


def test_an_unknown_word_is_answered_with_the_nearest(world: World) -> None:
    """`help` with a misspelt word names the command that was meant; a forged path does, too."""
    agent = world.connected("agent")
    assert "incident create" in agent.command("help", {"command": "incidnet creat"})["text"]
    forged = agent.call({"path": "/incident/crate/submit", "expand": {"acting_user": "+summary"}})
    assert "Did you mean `/servicenow incident create`" in forged["text"]


def test_one_person_s_flood_is_stopped_and_nobody_else_s_work(world: World) -> None:
    """Sixty submits a minute a person; the next is told to wait, and others go on."""
    world.restart(rate_limits=True)
    agent, requester = world.connected("agent"), world.connected("requester")
    texts = [me(agent) for _ in range(62)]
    assert "Amir Agent" in texts[58]
    assert "a lot at once" in texts[61]
    assert "Rosa Requester" in me(requester)
