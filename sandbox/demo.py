"""
Starts both doubles and the service, then installs, configures and connects everything as people would.

The service runs in its own process (``cli.py serve``), exactly as in production.
"""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

from sandbox.client import PASSWORD, PLUGIN, MattermostClient
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble

ROLE = "x_830655_mm_std.user"
SUBSCRIBERS = ("admin", "agent", "agent2")
CONNECTED = ("admin", "agent", "agent2", "requester", "approver")
_PATIENCE = 60.0
_CLI = Path(__file__).parent.parent / "cli.py"


def demo() -> int:
    """Run until interrupted, and return the exit status."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    ports = {
        name: int(os.environ.get(f"DEMO_{name}_PORT", default))
        for name, default in (("MATTERMOST", 8065), ("APP", 8080), ("SERVICENOW", 8081))
    }
    try:
        with (
            MattermostDouble(ports["MATTERMOST"]) as mattermost,
            ServiceNowDouble(ports["SERVICENOW"]) as servicenow,
            tempfile.TemporaryDirectory(prefix="servicenow-demo-") as folder,
        ):
            return _run(mattermost, servicenow, ports["APP"], Path(folder), stop)
    except OSError as error:
        print(f"The demo can't start: {error}. Is another one running?", file=sys.stderr)
        return 1


def _run(
    mattermost: MattermostDouble, servicenow: ServiceNowDouble, port: int, folder: Path, stop: threading.Event
) -> int:
    app_url = f"http://127.0.0.1:{port}"
    jwt_secret, client_id, client_secret = (secrets.token_hex(16) for _ in range(3))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("APP_", "SERVICENOW_"))}
    environment |= {
        "APP_URL": app_url,
        "MATTERMOST_URL": mattermost.url,
        "APP_SECRET": secrets.token_hex(32),
        "MATTERMOST_APP_JWT_SECRET": jwt_secret,
        "SERVICENOW_URL": servicenow.url,
        "SERVICENOW_HOSTS": servicenow.url,
        "SERVICENOW_CLIENT_ID": client_id,
        "SERVICENOW_CLIENT_SECRET": client_secret,
        "STORAGE_URL": f"tinydb://{folder}/data",
        "LISTEN": f"127.0.0.1:{port}",
        "LOG_FORMAT": "console",
        "LOG_LEVEL": environment.get("LOG_LEVEL", "error"),
    }
    command = [sys.executable, str(_CLI), "serve"]
    # In its own session, Ctrl-C reaches only this process, which then stops the service in order.
    service = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        if not _answers(app_url, service, stop):
            print("The service did not start; its message is above.", file=sys.stderr)
            return 1
        _set_up(mattermost, servicenow, app_url, jwt_secret, client_id, client_secret)
        requests.post(f"{mattermost.url}/_sandbox/ready", timeout=10).raise_for_status()
        print(_WELCOME.format(chat=mattermost.url, records=servicenow.url, app=app_url, password=PASSWORD), flush=True)
        while not stop.wait(0.5):
            if service.poll() is not None:
                print("The service ended by itself; its message is above.", file=sys.stderr)
                return 1
        return 0
    finally:
        service.terminate()
        try:
            service.wait(20)
        except subprocess.TimeoutExpired:
            service.kill()


def _answers(app_url: str, service: subprocess.Popen[bytes], stop: threading.Event) -> bool:
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends and service.poll() is None and not stop.is_set():
        try:
            return requests.get(f"{app_url}/healthz", timeout=2).ok
        except requests.ConnectionError:
            stop.wait(0.1)
    return False


def _install_component(servicenow: ServiceNowDouble) -> None:
    """Import the service's update set, and grant its role to the accounts that subscribe."""
    command = [sys.executable, str(_CLI), "update-set"]
    xml = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    outcome = servicenow.import_update_set(xml)
    if not outcome.committed:
        raise RuntimeError(f"the update set was not committed: {outcome.problems}")
    rows = servicenow.rows
    role = next(row["sys_id"] for row in rows("sys_user_role") if row["name"] == ROLE)
    for user in [row["sys_id"] for row in rows("sys_user") if row["user_name"] in SUBSCRIBERS]:
        given = requests.post(
            f"{servicenow.url}/api/now/table/sys_user_has_role",
            json={"user": user, "role": role},
            auth=("admin", PASSWORD),
            timeout=10,
        )
        given.raise_for_status()


def _make_key(admin: MattermostClient) -> None:
    """Have the service create a webhook key and save it in ServiceNow, as an administrator does."""
    steps = admin.command("setup")["form"]
    answer = admin.submit(steps, {"action": {"label": "New key", "value": "new_key"}})
    if answer["type"] != "form" or "signs with the new key" not in answer["form"]["header"]:
        raise RuntimeError(f"no webhook key: {answer}")


def _set_up(
    mattermost: MattermostDouble,
    servicenow: ServiceNowDouble,
    app_url: str,
    jwt_secret: str,
    client_id: str,
    client_secret: str,
) -> None:
    """Register the OAuth client, install the app and the component, and connect people's accounts."""
    registered = requests.post(
        f"{servicenow.url}/api/now/table/oauth_entity",
        json={
            "name": "Mattermost",
            "client_id": client_id,
            "client_secret": client_secret,
            "redirect_url": f"{mattermost.url}{PLUGIN}/apps/servicenow/oauth2/remote/complete",
        },
        auth=("admin", PASSWORD),
        timeout=10,
    )
    registered.raise_for_status()
    answer = MattermostClient(mattermost.url, "admin").install(f"{app_url}/manifest.json", jwt_secret)
    if answer["type"] != "ok" or "despite" in answer["text"]:
        raise RuntimeError(answer["text"])
    _install_component(servicenow)
    for username in CONNECTED:
        page = MattermostClient(mattermost.url, username).connect()
        if "Completed connecting" not in page.text:
            raise RuntimeError(f"{username} could not connect: {page.text}")
    _make_key(MattermostClient(mattermost.url, "admin"))
    agent = MattermostClient(mattermost.url, "agent")
    agent.say("service-desk", "Morning! Tickets start as messages here: open a message's menu to make one.")
    MattermostClient(mattermost.url, "requester").say(
        "service-desk",
        "**The printer on the 3rd floor** prints only blank pages since this morning.\n"
        "I tried turning it off and on, and the toner is new.",
    )
    servicenow.clear_requests()
    mattermost.clear_requests()


_WELCOME = """
  ServiceNow for Mattermost is running. Press Ctrl-C to end all of it.

  Chat          {chat}     sign in as agent, newcomer, requester, approver, agent2 or admin
  ServiceNow    {records}     the records, with the same accounts
  The app       {app}

  Password of all accounts: {password}

  Try this: sign in to the chat as newcomer, press the ServiceNow icon at the right edge and connect.
  Then as agent: write a message in Service Desk, open its menu (Message actions) and choose
  "Create ServiceNow incident". Or type /servicenow and follow the suggestions.
  And: /servicenow subscriptions add in Service Desk, then change the record in ServiceNow and see the notice.
"""
