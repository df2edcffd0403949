"""The double's own switches, and the URLs of its chat page."""

import threading

import pytest
import requests

from sandbox.client import MattermostClient
from sandbox.mattermost import MattermostDouble

PING = "/api/v4/system/ping"


def get(double: MattermostDouble, path: str) -> requests.Response:
    """A request without a session."""
    return requests.get(double.url + path, timeout=10)


def test_ready_is_set_by_the_setup(double: MattermostDouble) -> None:
    """503 until then, 200 after, 503 again after a reset."""
    assert get(double, "/_sandbox/ready").status_code == 503
    assert requests.post(f"{double.url}/_sandbox/ready", timeout=10).status_code == 200
    assert get(double, "/_sandbox/ready").status_code == 200
    requests.post(f"{double.url}/_sandbox/reset", timeout=10)
    assert get(double, "/_sandbox/ready").status_code == 503


@pytest.mark.parametrize(
    ("kind", "status"), [("down", 502), ("429", 429), ("500", 500), ("500_after_commit", 500), ("slow", 200)]
)
def test_a_fault_affects_its_path_as_often_as_requested(double: MattermostDouble, kind: str, status: int) -> None:
    """Only requests with the prefix fail, as often as set; 429 says in seconds when to retry."""
    fault = {"kind": kind, "path": PING, "times": 2, "seconds": 0.01 if kind == "slow" else 3}
    assert requests.post(f"{double.url}/_sandbox/faults", json=fault, timeout=10).status_code == 200
    assert get(double, "/login").status_code == 200
    struck = [get(double, PING) for _ in range(3)]
    assert [answer.status_code for answer in struck] == [status, status, 200]
    if kind == "429":
        assert struck[0].headers["Retry-After"] == "3"
        assert struck[0].text == "limit exceeded\n"


def test_an_unknown_fault_is_rejected_and_faults_can_be_removed(double: MattermostDouble) -> None:
    """400 for an unknown kind; after DELETE nothing fails."""
    assert requests.post(f"{double.url}/_sandbox/faults", json={"kind": "odd"}, timeout=10).status_code == 400
    double.fault("down", PING, times=5)
    assert get(double, PING).status_code == 502
    requests.delete(f"{double.url}/_sandbox/faults", timeout=10)
    assert get(double, PING).status_code == 200


def test_requests_are_listed_except_those_to_switches(double: MattermostDouble) -> None:
    """The path without query, and the query beside it; DELETE empties the list."""
    get(double, f"{PING}?a=1")
    [entry] = get(double, "/_sandbox/requests").json()
    assert (entry["method"], entry["path"], entry["query"], entry["status"]) == ("GET", PING, "a=1", 200)
    assert {"seconds", "connection"} <= set(entry)
    requests.delete(f"{double.url}/_sandbox/requests", timeout=10)
    assert get(double, "/_sandbox/requests").json() == []


def test_rounds_show_which_requests_are_sent_at_the_same_time(double: MattermostDouble) -> None:
    """Two of three wait for each other; the third waits in vain for a fourth. Browsers, with cookies, aren't held."""
    url, wanted = f"{double.url}/_sandbox/rounds", {"sizes": [2, 2], "seconds": 0.1}
    requests.post(url, json=wanted, timeout=10).raise_for_status()
    assert requests.get(double.url + PING, cookies={"a": "b"}, timeout=10).status_code == 200
    both = [threading.Thread(target=get, args=(double, f"{PING}?{number}")) for number in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(10)
    for _ in range(2):
        get(double, PING)
    assert requests.delete(url, timeout=10).json() == [[f"GET {PING}"] * 2, [f"GET {PING}"], [f"GET {PING}"]]
    assert requests.delete(url, timeout=10).json() == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/login",
        "/sandbox/channels/town-square",
        "/sandbox/messages/@agent",
        "/sandbox/pl/abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_every_chat_url_shows_the_page(double: MattermostDouble, path: str) -> None:
    """Links to messages and channels open the same page, which routes itself."""
    page = get(double, path)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/static/" in page.text


def test_a_reset_creates_the_same_ids(double: MattermostDouble) -> None:
    """People, team and channels have the same names; sessions and posts are gone."""

    def ids() -> set[str]:
        return {*double.state.users, *double.state.teams, *double.state.channels}

    before = ids()
    double.state.open_session(next(iter(double.state.users)))
    double.reset()
    assert ids() == before
    assert double.state.sessions == {}
    assert double.state.posts == {}


def test_a_lost_answer_leaves_the_post(double: MattermostDouble) -> None:
    """500 after commit: the post exists, and the same pending ID finds it."""
    agent = MattermostClient(double.url, "agent")
    given = {"channel_id": agent.channel("service-desk"), "message": "once", "pending_post_id": "bot:1"}
    double.fault("500_after_commit", "/api/v4/posts")
    assert agent.browser.post(f"{double.url}/api/v4/posts", json=given).status_code == 500
    [post] = double.posts_in("service-desk")
    assert agent.post("/api/v4/posts", given)["id"] == post["id"]


def test_the_version_can_be_set_and_is_reset(double: MattermostDouble) -> None:
    """The configuration and every answer name it; an invalid version is a 400."""
    url = f"{double.url}/_sandbox/version"
    assert requests.post(url, json={"version": "11.6.0"}, timeout=10).status_code == 200
    answer = get(double, "/api/v4/config/client")
    assert answer.json()["Version"] == "11.6.0"
    assert answer.headers["X-Version-Id"].startswith("11.6.0")
    assert requests.post(url, json={"version": "eleven"}, timeout=10).status_code == 400
    double.reset()
    assert get(double, "/api/v4/config/client?format=old").json()["Version"] == "9.11.0"
    assert get(double, "/api/v4/config/client").status_code == 501


def test_the_old_plugin_is_visible_when_enabled(double: MattermostDouble, admin: MattermostClient) -> None:
    """Its routes are 404 until it is enabled; then lists name it, and it rejects strangers itself."""
    route, plugin = "/plugins/mattermost-plugin-servicenow/api/v1/connected", {"id": "mattermost-plugin-servicenow"}
    assert get(double, route).status_code == 404
    assert get(double, "/api/v4/plugins/webapp").json() == []
    switched = requests.post(f"{double.url}/_sandbox/plugins", json=plugin | {"running": True}, timeout=10)
    assert switched.json() == {"running": ["com.mattermost.apps", "mattermost-plugin-servicenow"]}
    assert [one["id"] for one in get(double, "/api/v4/plugins/webapp").json()] == ["mattermost-plugin-servicenow"]
    assert len(admin.get("/api/v4/plugins/statuses")) == 2
    assert get(double, route).status_code == 401
    old = f"{double.url}/plugins/mattermost-plugin-servicenow/api/v1/notification?secret=x"
    assert requests.post(old, json={}, timeout=10).status_code == 403
    admin.post("/api/v4/plugins/mattermost-plugin-servicenow/disable", {})
    assert get(double, route).status_code == 404
    assert requests.post(f"{double.url}/_sandbox/plugins", json={"id": "other"}, timeout=10).status_code == 400
