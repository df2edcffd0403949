"""
A Mattermost client for tests and the demo.

It sends the same requests as the real web client, to a double or to a real server, over HTTP only.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests

from sandbox.dialog import Client, OpenDialog
from sandbox.websocket_client import WebSocketClient

Json = dict[str, Any]

PASSWORD = "sandbox-1"
PLUGIN = "/plugins/com.mattermost.apps"


@dataclass(frozen=True)
class Pressed:
    """
    The result of pressing a button or select.

    Attributes:
        trigger_id: The client's part of the trigger ID.
        dialog: The dialog that the integration opened, if any.
        private: Ephemeral posts that this user received.
        edited: Posts that changed in the meantime.
    """

    trigger_id: str
    dialog: OpenDialog | None
    private: list[Json]
    edited: list[Json]

    @property
    def texts(self) -> list[str]:
        """The messages of the ephemeral posts."""
        return [str(post["message"]) for post in self.private]


class MattermostClient:
    """One signed-in user."""

    def __init__(self, url: str, username: str) -> None:
        self.url = url
        self.username = username
        self.browser = requests.Session()
        self.browser.trust_env = False
        self.browser.headers["X-Requested-With"] = "XMLHttpRequest"
        self.id = str(self.post("/api/v4/users/login", {"login_id": username, "password": PASSWORD})["id"])
        [team] = self.get("/api/v4/users/me/teams")
        self.team_id = str(team["id"])

    def get(self, path: str, **params: str) -> Any:
        """Send a GET request that must succeed."""
        response = self.browser.get(self.url + path, params=params)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, body: Any) -> Any:
        """Send a POST request that must succeed."""
        response = self.browser.post(self.url + path, json=body)
        response.raise_for_status()
        return response.json() if response.content else None

    def channel(self, name: str) -> str:
        """Return the ID of the channel with this name."""
        return str(self.get(f"/api/v4/teams/{self.team_id}/channels/name/{name}")["id"])

    def say(self, channel: str, message: str, root_id: str = "") -> Json:
        """Create a post."""
        post = {"channel_id": self.channel(channel), "message": message, "root_id": root_id}
        found: Json = self.post("/api/v4/posts", post)
        return found

    def bindings(self, channel: str = "town-square") -> list[Json]:
        """Fetch the bindings for a channel."""
        found: list[Json] = self.get(
            f"{PLUGIN}/api/v1/bindings",
            channel_id=self.channel(channel),
            team_id=self.team_id,
            user_agent="webapp",
        )
        return list(found or [])

    def entries(self, location: str, channel: str = "town-square") -> dict[str, Json]:
        """The bindings of one location by label; commands by their full text."""
        top = [b for b in self.bindings(channel) if b["location"] == location]
        found: dict[str, Json] = {}
        for binding in top:
            for child in binding["bindings"]:
                if location == "/command":
                    _leaves(child, "", found)
                else:
                    found[child["label"]] = child
        return found

    def call(
        self,
        call: Json,
        *,
        app_id: str = "servicenow",
        channel: str | None = "town-square",
        channel_id: str = "",
        post_id: str = "",
        submit: bool = True,
        **more: Any,
    ) -> Json:
        """Send a call as the web client does, and return the plugin's response."""
        context: Json = {"app_id": app_id, "user_agent": "webapp", "track_as_submit": submit}
        if channel_id or channel:
            context["channel_id"] = channel_id or self.channel(str(channel))
            context["team_id"] = self.team_id
        if post_id:
            context["post_id"] = post_id
        body = {"expand": {}, "state": None, **call, "context": context, **more}
        answer: Json = self.post(f"{PLUGIN}/api/v1/call", body)
        return answer

    def press(self, location: str, label: str, **where: Any) -> Json:
        """Press a binding in the app bar, the channel header or a post's menu."""
        return self.call(self.entries(location, where.get("channel") or "town-square")[label]["submit"], **where)

    def command(self, words: str, values: Json | None = None, line: str = "", **where: Any) -> Json:
        """Run the slash command ``/servicenow`` followed by *words*."""
        leaf = self.entries("/command", where.get("channel") or "town-square")[f"servicenow {words}"]
        call = leaf.get("submit") or leaf["form"]["submit"]
        return self.call(call, values=values or {}, raw_command=line or f"/servicenow {words}", **where)

    def submit(self, form: Json, values: Json, **where: Any) -> Json:
        """Submit a modal with every field: null for untouched fields, defaults as given."""
        return self.call(form["submit"], values=filled(form, values), **where)

    def look_up(self, form: Json, field: str, query: str, values: Json | None = None, **where: Any) -> Json:
        """Type into a dynamic select."""
        wanted = next(one for one in form["fields"] if one["name"] == field)
        more: Json = {"query": query} if query else {}
        values = filled(form, values or {})
        return self.call(wanted["lookup"], values=values, selected_field=field, submit=False, **more, **where)

    def refresh(self, form: Json, field: str, values: Json, **where: Any) -> Json:
        """Change a field that refreshes the form."""
        return self.call(form["source"], values=filled(form, values), selected_field=field, submit=False, **where)

    # --- post actions and dialogs

    def press_action(self, post_id: str, name: str, option: str = "", cookie: str = "") -> Pressed:
        """
        Press a button or choose an option of a select, by *name* or ID.

        Ephemeral posts aren't stored, so their actions need the ID and the *cookie*.
        """
        action_id = name if cookie else self._action(post_id, name)
        body: Json = {"selected_option": option} | ({"cookie": cookie} if cookie else {})
        with self.listening() as listening:
            answer = self.post(f"/api/v4/posts/{post_id}/actions/{action_id}", body)
            events = listening.events()
        opened = [one["data"]["dialog"] for one in events if one["event"] == "open_dialog"]
        opened = [one for one in opened if one["trigger_id"] == answer["trigger_id"]]
        return Pressed(
            answer["trigger_id"],
            OpenDialog.of_event(opened[-1], self.version()) if opened else None,
            [one["data"]["post"] for one in events if one["event"] == "ephemeral_message"],
            [one["data"]["post"] for one in events if one["event"] == "post_edited"],
        )

    def version(self) -> tuple[int, int]:
        """The server's version, which is also the web client's."""
        response = self.browser.get(f"{self.url}/api/v4/system/ping")
        major, minor = response.headers["X-Version-Id"].split(".")[:2]
        return int(major), int(minor)

    def listening(self) -> WebSocketClient:
        """Receive this user's WebSocket events, inside ``with``."""
        return WebSocketClient(self.url, str(self.browser.cookies["MMAUTHTOKEN"]))

    def submit_dialog(
        self,
        dialog: OpenDialog,
        values: Json,
        *,
        channel_id: str = "",
        client: Client = "web",
        cancelled: bool = False,
    ) -> Json:
        """Submit a dialog. The response has ``errors``, ``error``, the next ``form``, or nothing."""
        submission = {} if cancelled else dialog.submission(values, client)
        body = dialog.body(submission, client) | {"cancelled": cancelled} | self._where(channel_id)
        answer: Json = self.post("/api/v4/actions/dialogs/submit", body)
        dialog.sent(submission, client)
        return answer

    def refresh_dialog(
        self, dialog: OpenDialog, name: str, values: Json, *, channel_id: str = "", client: Client = "web"
    ) -> OpenDialog:
        """
        Change an element that refreshes the dialog.

        The web client asks the form's ``source_url`` and doesn't say which element changed (recorded). The mobile app
        asks the dialog's own URL and does.
        """
        submission = dialog.submission(values, client)
        told = submission if client == "web" else submission | {"selected_field": name}
        url = dialog.form["source_url"] if client == "web" else dialog.url
        body = dialog.body(told, client, url) | {"type": "refresh"} | self._where(channel_id)
        answer = self.post("/api/v4/actions/dialogs/submit", body)
        dialog.sent(submission, client)
        return dialog.refreshed(answer)

    def look_up_dialog(
        self, dialog: OpenDialog, name: str, query: str, values: Json, *, channel_id: str = "", client: Client = "web"
    ) -> list[Json]:
        """
        Type into a dynamic select.

        The web client sends no query while it is empty. The mobile app sends only the element's name, once.
        """
        element = dialog.element(name)
        typed = dialog.beside_look_up(values) | ({"query": query} if query else {}) if client == "web" else {}
        told = typed | {"selected_field": element["name"]}
        body = dialog.body(told, client, str(element["data_source_url"]), look_up=True) | self._where(channel_id)
        found: list[Json] = self.post("/api/v4/actions/dialogs/lookup", body)["items"]
        dialog.offered |= {one["value"]: one["text"] for one in found}
        return found

    def _where(self, channel_id: str) -> Json:
        return {"channel_id": channel_id or self.channel("town-square"), "team_id": self.team_id}

    def _action(self, post_id: str, name: str) -> str:
        attachments = self.get(f"/api/v4/posts/{post_id}")["props"].get("attachments", [])
        actions = [action for one in attachments for action in one.get("actions", [])]
        found = next((one for one in actions if name in {one["name"], one["id"]}), None)
        if found is None:
            raise KeyError(f"the card has {[one['name'] for one in actions]}, not {name}")
        return str(found["id"])

    def upload(self, channel_id: str, name: str, content: bytes) -> str:
        """Upload a file for a post in that channel, and return its ID."""
        files, data = {"files": (name, content)}, {"channel_id": channel_id}
        response = self.browser.post(f"{self.url}/api/v4/files", files=files, data=data)
        response.raise_for_status()
        return str(response.json()["file_infos"][0]["id"])

    def install(self, manifest_url: str, secret: str) -> Json:
        """Install an app as `/apps install http` does, and return the response to the administrator."""
        expand = {"acting_user": "+summary", "locale": "all"}  # the plugin panics without these
        form = self.call({"path": "/install-http", "expand": expand}, app_id="apps", values={"url": manifest_url})
        if form["type"] != "form":
            return form
        values = {"consent": True, "deploy_type": {"label": "HTTP", "value": "http"}, "secret": secret}
        return self.call(form["form"]["submit"], app_id="apps", values=values)

    def connect(self, decide: str = "allow", as_user: str = "") -> requests.Response:
        """Follow the connect link: sign in to ServiceNow, decide, and return. Returns the last page."""
        start = f"{self.url}{PLUGIN}/apps/servicenow/oauth2/remote/connect"
        return follow_consent(self.browser, start, as_user or self.username, decide)


def follow_consent(browser: requests.Session, start: str, user_name: str, decide: str) -> requests.Response:
    """Complete the sign-in and consent pages in a browser session."""
    page = browser.get(start)
    if 'name="user_name"' in page.text:
        page = browser.post(page.url, data={"user_name": user_name, "user_password": PASSWORD})
    if found := re.search(r'<form method="post" action="([^"]+)" class="buttons">', page.text):
        action = urljoin(page.url, found[1].replace("&amp;", "&"))
        page = browser.post(action, data={decide: "1"})
    return page


def filled(form: Json, values: Json) -> Json:
    """Every field of a form with its given value, its default, or what an untouched field sends."""
    untouched = {"bool": False}
    sent = {f["name"]: f.get("value", untouched.get(f["type"])) for f in form.get("fields") or []}
    return sent | values


def _leaves(binding: Json, before: str, found: dict[str, Json]) -> None:
    words = f"{before} {binding['label']}".strip()
    for child in binding.get("bindings") or []:
        _leaves(child, words, found)
    if not binding.get("bindings"):
        found[words] = binding
