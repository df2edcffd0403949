"""What else the Apps framework asks for: manifest, ping, menus, icon, lifecycle, OAuth."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from core.calls import Call, Kind, Reply, Text
from core.errors import UnknownRequest
from core.menus import Standing
from core.tables import table_of
from handlers.account import authorize, complete
from handlers.commands import menus_of
from handlers.context import Context, standing_of
from mattermost.apps_bindings import write_bindings
from mattermost.apps_framework import write
from mattermost.bot_tokens import WAKE_UP
from web.calls import Door

_ROOT = Path(__file__).parent.parent


def apps_blueprint(door: Door, app_url: str) -> Blueprint:
    """The routes that the manifest names, and those that the framework takes for granted."""
    blueprint = Blueprint("apps", __name__)

    @blueprint.get("/manifest.json")
    def manifest() -> ResponseReturnValue:
        return jsonify(_manifest(app_url))

    @blueprint.post("/ping")
    def ping() -> ResponseReturnValue:
        return jsonify({"type": "ok"})

    @blueprint.post("/bindings")
    def bindings() -> ResponseReturnValue:
        caller = door.verifier.bindings(request)
        services = door.services
        account = services.stores.accounts.get(caller.person.id)
        standing = standing_of(account, services.live.current, caller.person)
        return Response(_bindings(standing), mimetype="application/json")

    @blueprint.post("/lifecycle/install")
    def install() -> ResponseReturnValue:
        caller = door.verifier.installation(request)
        return jsonify(write(_installed(door.context(caller, 20.0))))

    @blueprint.post("/lifecycle/uninstall")
    def uninstall() -> ResponseReturnValue:
        door.verifier.turned_off(request, removed=True)
        return jsonify(write(Text("People stay connected to ServiceNow; a new installation goes on from here.")))

    @blueprint.post("/lifecycle/enable")
    def enable() -> ResponseReturnValue:
        caller = door.verifier.turned_on(request)
        return jsonify(write(_installed(door.context(caller, 20.0))))

    @blueprint.post("/lifecycle/disable")
    def disable() -> ResponseReturnValue:
        door.verifier.turned_off(request, removed=False)
        return jsonify(write(Text("Nobody can use ServiceNow here until it is enabled again.")))

    @blueprint.post("/webhook/<segment>")
    def wake_up(segment: str) -> ResponseReturnValue:
        door.verifier.wake_up(request)
        if segment != WAKE_UP:
            raise UnknownRequest("another webhook than our own wake-up")
        return jsonify({"type": "ok"})

    @blueprint.post("/oauth2/connect")
    def oauth_connect() -> ResponseReturnValue:
        return jsonify(write(_oauth(door, "oauth2/connect", authorize)))

    @blueprint.post("/oauth2/complete")
    def oauth_complete() -> ResponseReturnValue:
        return jsonify(write(_oauth(door, "oauth2/complete", complete)))

    return blueprint


def _oauth(door: Door, path: str, handler: Callable[[Call, Context], Reply]) -> Reply:
    caller = door.verifier.framework(request)
    return handler(door.read(caller, path, Kind.SUBMIT), door.context(caller, 20.0))


@lru_cache(maxsize=1)
def _manifest_text() -> str:
    return (_ROOT / "manifest.json").read_text(encoding="utf-8")


def _manifest(app_url: str) -> dict[str, object]:
    manifest: dict[str, object] = json.loads(_manifest_text())
    return manifest | {"homepage_url": app_url, "http": {"root_url": app_url, "use_jwt": True}}


@lru_cache(maxsize=64)
def _bindings(standing: Standing) -> bytes:
    """Menus as bytes: they depend on nothing but where the person stands."""
    menus = write_bindings(menus_of(standing, table_of("incident").base_columns))
    return json.dumps({"type": "ok", "data": menus}, separators=(",", ":")).encode()


def _installed(context: Context) -> Reply:
    missing = context.instance.missing
    if not missing:
        return Text(
            "ServiceNow is ready: people connect with `/servicenow connect`. For notices in channels, go on with "
            "`/servicenow setup`."
        )
    names = ", ".join(f"`{name}`" for name in missing)
    return Text(
        f"ServiceNow is installed, but these settings are missing: {names}. Set them with `/servicenow configure`."
    )
