"""The double's own switches, and the addresses of its chat page."""

from collections.abc import Iterator

import pytest
import requests

from sandbox.mattermost import MattermostDouble

PING = "/api/v4/system/ping"


@pytest.fixture(scope="module")
def running() -> Iterator[MattermostDouble]:
    """One for the module."""
    with MattermostDouble() as double:
        yield double


@pytest.fixture
def double(running: MattermostDouble) -> MattermostDouble:
    """As after the start."""
    running.reset()
    return running


def get(double: MattermostDouble, path: str) -> requests.Response:
    """A request from nobody in particular."""
    return requests.get(double.url + path, timeout=10)


def test_ready_is_said_by_whoever_sets_up(double: MattermostDouble) -> None:
    """503 until then, 200 after, 503 again after a reset."""
    assert get(double, "/_sandbox/ready").status_code == 503
    assert requests.post(f"{double.url}/_sandbox/ready", timeout=10).status_code == 200
    assert get(double, "/_sandbox/ready").status_code == 200
    requests.post(f"{double.url}/_sandbox/reset", timeout=10)
    assert get(double, "/_sandbox/ready").status_code == 503


@pytest.mark.parametrize(("kind", "status"), [("down", 502), ("429", 429), ("500", 500), ("slow", 200)])
def test_a_fault_strikes_its_path_as_often_as_told(double: MattermostDouble, kind: str, status: int) -> None:
    """Once each on the prefix, nowhere else, and then no more; 429 says in seconds when to come again."""
    fault = {"kind": kind, "path": PING, "times": 2, "seconds": 0.01 if kind == "slow" else 3}
    assert requests.post(f"{double.url}/_sandbox/faults", json=fault, timeout=10).status_code == 200
    assert get(double, "/login").status_code == 200
    struck = [get(double, PING) for _ in range(3)]
    assert [answer.status_code for answer in struck] == [status, status, 200]
    if kind == "429":
        assert struck[0].headers["Retry-After"] == "3"
        assert struck[0].text == "limit exceeded\n"


def test_an_unknown_fault_is_refused_and_faults_can_be_taken_back(double: MattermostDouble) -> None:
    """400 for a kind that there is not; after DELETE nothing fails."""
    assert requests.post(f"{double.url}/_sandbox/faults", json={"kind": "odd"}, timeout=10).status_code == 400
    double.fault("down", PING, times=5)
    assert get(double, PING).status_code == 502
    requests.delete(f"{double.url}/_sandbox/faults", timeout=10)
    assert get(double, PING).status_code == 200


def test_requests_are_listed_but_for_the_switches(double: MattermostDouble) -> None:
    """Path without query, the query beside it; switches are not in the list; DELETE empties it."""
    get(double, f"{PING}?a=1")
    [entry] = get(double, "/_sandbox/requests").json()
    assert (entry["method"], entry["path"], entry["query"], entry["status"]) == ("GET", PING, "a=1", 200)
    assert {"seconds", "connection"} <= set(entry)
    requests.delete(f"{double.url}/_sandbox/requests", timeout=10)
    assert get(double, "/_sandbox/requests").json() == []


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
def test_every_address_of_the_chat_shows_the_page(double: MattermostDouble, path: str) -> None:
    """Links of messages and channels open the same page, which finds its own way."""
    page = get(double, path)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/static/" in page.text


def test_a_reset_makes_the_same_ids(double: MattermostDouble) -> None:
    """People, team and channels are called as before; sessions and posts are gone."""

    def ids() -> set[str]:
        return {*double.state.users, *double.state.teams, *double.state.channels}

    before = ids()
    double.state.open_session(next(iter(double.state.users)))
    double.reset()
    assert ids() == before
    assert double.state.sessions == {}
    assert double.state.posts == {}
