"""The Apps framework as a host: calls, menus, OAuth, and the app's lifecycle."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Request, Response, jsonify, request
from flask.typing import ResponseReturnValue

from core.calls import Call, Kind, Reply, Text
from core.errors import UnknownRequest
from core.menus import UserStatus
from core.tables import table_of
from core.times import Deadline
from handlers.account.connection import authorize, complete
from handlers.account.reminders import remind_of_expiry
from handlers.commands import menus_of
from handlers.context import Context, user_status_of
from handlers.registry import calls
from mattermost.apps_bindings import write_bindings
from mattermost.apps_framework import read_values, write
from mattermost.bot_tokens import WAKE_UP
from web.background import Every
from web.dispatch import SECONDS, Dispatcher
from web.verify import Caller, Verifier

_ROOT = Path(__file__).parent.parent

Handler = Callable[[Call, Context], Reply]


@dataclass(frozen=True, kw_only=True)
class AppsHost:
    """
    Answers the framework's requests.

    Attributes:
        reminders: How often to look for connections that expire soon.
    """

    verifier: Verifier
    dispatcher: Dispatcher
    reminders: Every

    def call(self, request: Request, path: str) -> dict[str, Any]:
        """Forms, lookups, and submits: verify, parse, dispatch, respond."""
        caller = self.verifier.call(request)
        if self.reminders.due():
            self.dispatcher.background.submit(self._remind)

        name, _, kind = path.rpartition("/")
        route = calls.route(name, kind)
        if request.query_string:
            raise UnknownRequest("query string on a call path")
        self.dispatcher.limits.check(caller.person.id, route.kind)
        call = self._parse(caller, name, route.kind)

        reply = self.dispatcher.dispatch(call, self._context(caller, SECONDS[route.kind]))
        return write(reply)

    def oauth(self, request: Request, path: str, handler: Handler) -> dict[str, Any]:
        """A step of connecting an account. People can't reach these paths themselves."""
        caller = self.verifier.framework(request)
        call = self._parse(caller, path, Kind.SUBMIT)
        return write(handler(call, self._context(caller, SECONDS[Kind.SUBMIT])))

    def bindings(self, request: Request) -> bytes:
        caller = self.verifier.bindings(request)
        services = self.dispatcher.services
        account = services.stores.accounts.get(caller.person.id)
        return _bindings(user_status_of(account, services.live.current, caller.person))

    def next_steps(self) -> dict[str, Any]:
        """What to do after the app was installed or enabled."""
        text = (
            "ServiceNow is ready: people connect with `/servicenow connect`. For notices in channels, go on "
            "with `/servicenow setup`."
        )
        if missing := self.dispatcher.services.live.current.instance.missing:
            names = ", ".join(f"`{name}`" for name in missing)
            text = (
                f"ServiceNow is installed, but these settings are missing: {names}. Set them with "
                "`/servicenow configure`."
            )
        return write(Text(text))

    def _parse(self, caller: Caller, path: str, kind: Kind) -> Call:
        """
        The verified request as a `Call`.

        Raises:
            NotVerified: The form's state was signed for another person, path, or time.
        """
        incoming, services = caller.request, self.dispatcher.services
        state = {}
        if incoming.state:
            now = services.clock()
            state = services.signer.verify(incoming.state, person=caller.person.id, path=path, now=now)
        return Call(
            kind=kind,
            path=path,
            person=caller.person,
            values=read_values(incoming.values),
            state=state,
            channel=incoming.channel,
            team_name=incoming.team_name,
            post=incoming.post,
            selected_field=incoming.selected_field,
            query=incoming.query,
        )

    def _context(self, caller: Caller, seconds: float) -> Context:
        incoming, deadline = caller.request, Deadline(seconds)
        as_person = self.dispatcher.session(incoming.acting_user_access_token, deadline)
        as_bot = self.dispatcher.session(incoming.bot_access_token, deadline)
        reads = self.dispatcher.access.reads(
            as_person if as_person.token else as_bot,
            caller.person.id,
            roles=incoming.acting_user.roles if incoming.acting_user else "",
            channel=incoming.channel,
        )
        return self.dispatcher.context(caller.person, deadline, reads, as_bot=as_bot, as_person=as_person)

    def _remind(self) -> None:
        """Remind people whose connection expires soon. The bot has a session now, because this call contained it."""
        services = self.dispatcher.services
        accounts, connect_address = services.stores.accounts, services.settings.connect_address
        remind_of_expiry(accounts, self.dispatcher.bot.send_direct_message, connect_address, services.clock())


def apps_blueprint(host: AppsHost, app_url: str) -> Blueprint:
    """The routes in the manifest, and those that the framework expects."""
    blueprint = Blueprint("apps", __name__)

    @blueprint.get("/manifest.json")
    def manifest() -> ResponseReturnValue:
        return jsonify(_manifest(app_url))

    @blueprint.post("/ping")
    def ping() -> ResponseReturnValue:
        return jsonify({"type": "ok"})

    @blueprint.post("/bindings")
    def bindings() -> ResponseReturnValue:
        return Response(host.bindings(request), mimetype="application/json")

    @blueprint.post("/lifecycle/install")
    def install() -> ResponseReturnValue:
        host.verifier.installation(request)
        return jsonify(host.next_steps())

    @blueprint.post("/lifecycle/uninstall")
    def uninstall() -> ResponseReturnValue:
        host.verifier.turned_off(request, removed=True)
        return jsonify(write(Text("People stay connected to ServiceNow; a new installation goes on from here.")))

    @blueprint.post("/lifecycle/enable")
    def enable() -> ResponseReturnValue:
        host.verifier.turned_on(request)
        return jsonify(host.next_steps())

    @blueprint.post("/lifecycle/disable")
    def disable() -> ResponseReturnValue:
        host.verifier.turned_off(request, removed=False)
        return jsonify(write(Text("Nobody can use ServiceNow here until it is enabled again.")))

    @blueprint.post("/webhook/<segment>")
    def wake_up(segment: str) -> ResponseReturnValue:
        host.verifier.wake_up(request)
        if segment != WAKE_UP:
            raise UnknownRequest("another webhook than our own wake-up")
        return jsonify({"type": "ok"})

    @blueprint.post("/oauth2/connect")
    def oauth_connect() -> ResponseReturnValue:
        return jsonify(host.oauth(request, "oauth2/connect", authorize))

    @blueprint.post("/oauth2/complete")
    def oauth_complete() -> ResponseReturnValue:
        return jsonify(host.oauth(request, "oauth2/complete", complete))

    @blueprint.post("/<path:path>")
    def call(path: str) -> ResponseReturnValue:
        return jsonify(host.call(request, path))

    return blueprint


@lru_cache(maxsize=1)
def _manifest_text() -> str:
    return (_ROOT / "manifest.json").read_text(encoding="utf-8")


def _manifest(app_url: str) -> dict[str, object]:
    manifest: dict[str, object] = json.loads(_manifest_text())
    return manifest | {"homepage_url": app_url, "http": {"root_url": app_url, "use_jwt": True}}


@lru_cache(maxsize=64)
def _bindings(user_status: UserStatus) -> bytes:
    """The menus as JSON. They depend only on *user_status*, so they are cached."""
    menus = write_bindings(menus_of(user_status, table_of("incident").base_columns))
    return json.dumps({"type": "ok", "data": menus}, separators=(",", ":")).encode()
