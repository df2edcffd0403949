"""Each double as a standalone program: one command, seed files, HTTPS, an overview and accurate documentation."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.client import MattermostClient
from sandbox.common import Clock
from sandbox.double import BadSeed
from sandbox.mattermost import MattermostDouble
from sandbox.mattermost import seed_file as mattermost_seed_file
from sandbox.mattermost.api.posts import Posts
from sandbox.mattermost.double import KINDS as MATTERMOST
from sandbox.mattermost.server import state as mattermost_state
from sandbox.mattermost.server.ephemeral import EphemeralPosts
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.state import State
from sandbox.mattermost.server.unread import Unread
from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow import seed_file as servicenow_seed_file
from sandbox.servicenow.auth.access_control import AccessControl
from sandbox.servicenow.auth.oauth_tokens import OAuthTokens
from sandbox.servicenow.faults import KINDS as SERVICENOW
from sandbox.servicenow.queries.record_queries import RecordQueries
from sandbox.servicenow.records import approvals, fulfillment
from sandbox.servicenow.records.store import Store
from sandbox.servicenow.seed import records as servicenow_seed
from sandbox.tls import make_context

Json = dict[str, Any]

PAGE = Path(__file__).parents[2] / "docs/sandbox.md"
LOGIN = ("agent", "sandbox-1")


@contextmanager
def alone(name: str, *options: str) -> Iterator[tuple[str, str]]:
    """Run a double in its own process; yields its URL and the path of its certificate, or ""."""
    command = [sys.executable, "-m", f"sandbox.{name}", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        certificate = process.stderr.readline().partition(": ")[2].strip() if "--tls" in options else ""
        try:
            yield process.stdout.readline().strip(), certificate
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.communicate(timeout=20)
        assert (process.returncode, rest) == (0, ("", ""))


def written(folder: Path, data: Any) -> str:
    """A seed file."""
    path = folder / "seed.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return str(path)


def examples() -> list[Json]:
    """The seed files in the documentation."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)]


def documented(title: str) -> dict[str, str]:
    """The rows of the table below a heading in the documentation."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n### {title}\n")[2].partition("\n#")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.M))


def test_the_page_lists_every_fault() -> None:
    """The documentation has the name and description of each fault of both doubles, and no others."""
    assert documented("ServiceNow") == SERVICENOW
    assert documented("Mattermost") == MATTERMOST


def test_servicenow_runs_alone_with_tls_and_more_rows(tmp_path: Path) -> None:
    """The documented seed and OAuth client work over verified HTTPS. A reset restores them."""
    rows = examples()[0] | {"change_request": [{"short_description": "Planned", "state": "Scheduled"}]}
    rows["change_request"][0]["assignment_group"] = "Network"
    with alone("servicenow", "--tls", "--seed", written(tmp_path, rows)) as (url, certificate):
        assert url.startswith("https://127.0.0.1:")

        def get(path: str, **params: str) -> Any:
            answer = requests.get(url + path, params=params, auth=LOGIN, verify=certificate, timeout=10)
            assert answer.status_code == 200
            return answer.json()

        requests.post(f"{url}/_sandbox/reset", verify=certificate, timeout=10)
        query = {"sysparm_query": "short_descriptionLIKEcoffee", "sysparm_display_value": "true"}
        [incident] = get("/api/now/table/incident", **query)["result"]
        assert (incident["caller_id"]["display_value"], incident["priority"]) == ("Sam Example", "3 - Moderate")
        assert incident["caller_id"]["link"].startswith(url)
        [change] = get("/api/now/table/change_request", sysparm_query="short_description=Planned")["result"]
        assert change["state"] == "-2"
        overview = get("/_sandbox")
        assert {"user_name": "agent", "name": "Amir Agent", "roles": ["itil"]} in overview["accounts"]
        assert overview["faults"] == SERVICENOW
        assert "POST /_sandbox/reset" in overview["controls"]
        assert "DELETE GET PATCH POST PUT /api/now/table/<table>" in overview["routes"]
        [client] = overview["oauth_clients"]
        text = PAGE.read_text(encoding="utf-8")
        assert all(f"`{client[name]}`" in text for name in ("client_id", "client_secret"))
        assert all(f"`{address}`" in text for address in client["redirect_url"].split(","))
        moved = requests.post(f"{url}/_sandbox/clock", json={"advance": 90}, verify=certificate, timeout=10)
        assert moved.status_code == 200
        assert get("/_sandbox")["clock"]["seconds_ahead"] == 90
    assert not Path(certificate).exists()


def test_mattermost_runs_alone_with_tls_and_more_people(tmp_path: Path) -> None:
    """The documented seed adds a person, a private channel and a message. The overview lists them."""
    with alone("mattermost", "--tls", "--seed", written(tmp_path, examples()[1])) as (url, certificate):
        browser = requests.Session()
        browser.trust_env = False  # the environment may name another bundle of certificates
        browser.verify = certificate
        browser.post(f"{url}/_sandbox/reset", timeout=10)
        login = {"login_id": "sam", "password": "sandbox-1"}
        assert browser.post(f"{url}/api/v4/users/login", json=login, timeout=10).status_code == 200
        [team] = browser.get(f"{url}/api/v4/users/me/teams", timeout=10).json()
        channel = browser.get(f"{url}/api/v4/teams/{team['id']}/channels/name/coffee", timeout=10).json()
        posts = browser.get(f"{url}/api/v4/channels/{channel['id']}/posts", timeout=10).json()
        assert [posts["posts"][one]["message"] for one in posts["order"]] == ["It leaks again."]
        overview = browser.get(f"{url}/_sandbox", timeout=10).json()
        assert {"username": "sam", "roles": ["system_user"]} in overview["accounts"]
        assert {"name": "coffee", "type": "P", "archived": False} in overview["channels"]
        assert overview["faults"] == MATTERMOST


def test_a_silent_client_does_not_block_others(tmp_path: Path) -> None:
    """A connection that never starts its TLS handshake doesn't block other connections."""
    context, certificate = make_context(tmp_path)
    assert not list(tmp_path.glob("key*"))
    with ServiceNowDouble(tls=context) as double:
        with socket.create_connection(("127.0.0.1", int(double.url.rpartition(":")[2]))):
            answer = requests.get(f"{double.url}/_sandbox", verify=str(certificate), timeout=10)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "seed", "told"),
    [
        ("servicenow", {"incident": [{"u_nosuch": "x"}]}, "incident, row 1: there is no column u_nosuch"),
        ("mattermost", ["users"], "the file must hold a JSON object"),
    ],
)
def test_an_invalid_seed_file_stops_the_start(tmp_path: Path, name: str, seed: Any, told: str) -> None:
    """The message names the file and the problem."""
    path = written(tmp_path, seed)
    command = [sys.executable, "-m", f"sandbox.{name}", "--port", "0", "--seed", path]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"{path}: {told}\n"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({"nosuch": []}, "there is no table nosuch"),
        ({"incident": {}}, "incident must be a list of objects"),
        ({"incident": [{}, {"state": "Resolved"}]}, "incident, row 2: .* are mandatory: Resolution code, Close notes"),
    ],
)
def test_invalid_rows_are_rejected(rows: Any, told: str) -> None:
    """The error names the unknown table, the wrong shape or the missing mandatory fields."""
    clock = Clock()
    store = Store(clock, (approvals.after, fulfillment.after))
    servicenow_seed.seed(store)
    with pytest.raises(BadSeed, match=told):
        servicenow_seed_file.load(store, RecordQueries(store, AccessControl(store, OAuthTokens(clock))), rows)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"teams": []}, "unknown: teams; there are channels, posts, users"),
        ({"users": [{"username": "agent"}]}, "there is a user agent already"),
        ({"users": [{"first_name": "Sam"}]}, "users, entry 1: username is missing"),
        ({"users": [{"username": "sam", "age": 7}]}, "users, entry 1: unknown: age"),
        ({"channels": [{"name": "x", "members": ["nobody"]}]}, "there is no user nobody"),
        ({"channels": [{"name": "x", "type": "D"}]}, "channel x: type is O or P"),
        ({"posts": [{"channel": "nosuch", "username": "agent", "message": "x"}]}, "there is no channel nosuch"),
    ],
)
def test_invalid_people_and_channels_are_rejected(given: Any, told: str) -> None:
    """The error names the unknown key, the unknown or duplicate name, or the missing field."""
    state = State(Clock())
    mattermost_state.seed(state)
    hub = Hub(state)
    posts = Posts(state, hub, EphemeralPosts(state, hub), Unread(state, hub), lambda: None)
    with pytest.raises(BadSeed, match=told):
        mattermost_seed_file.load(state, posts, given)


@pytest.mark.parametrize(("make", "other"), [(ServiceNowDouble, "Mattermost"), (MattermostDouble, "ServiceNow")])
def test_the_page_lists_every_control(make: Any, other: str) -> None:
    """The documentation lists each control of a double, and no others."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Controls\n")[2].partition("\n## ")[0]
    listed = {
        f"{method} {path}"
        for row in section.splitlines()
        if row.startswith("| `") and f"({other})" not in row
        for methods, path in re.findall(r"((?:`?[A-Z]+`?(?:, | and )?)+) ?(/_sandbox[\w/-]*)", row.split("|")[1])
        for method in re.findall(r"[A-Z]+", methods)
    }
    with make() as double:
        controls = requests.get(f"{double.url}/_sandbox", timeout=10).json()["controls"]
    known = {f"{method} {line.split()[-1]}" for line in controls for method in line.split()[:-1]}
    assert listed == known


def test_an_overview_is_not_logged_and_triggers_no_fault() -> None:
    """Requesting the overview leaves the request log and the armed faults unchanged."""
    for make in (ServiceNowDouble, MattermostDouble):
        with make() as double:
            double.fault("500", times=1)
            overview = requests.get(f"{double.url}/_sandbox", timeout=10).json()
            assert (overview["armed_faults"], overview["url"]) == (1, double.url)
            assert double.requests() == []
            assert double.armed() == 1


def test_accounts_on_the_page_exist() -> None:
    """Each documented account can sign in to both doubles."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Accounts\n")[2].partition("\n##")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(names) == 6
    with ServiceNowDouble() as servicenow, MattermostDouble() as mattermost:
        for name in names:
            query = {"sysparm_query": "sys_id=javascript:gs.getUserID()"}
            path, login = f"{servicenow.url}/api/now/table/sys_user", (name, "sandbox-1")
            [user] = requests.get(path, params=query, auth=login, timeout=10).json()["result"]
            assert user["user_name"] == name
            assert MattermostClient(mattermost.url, name).id
