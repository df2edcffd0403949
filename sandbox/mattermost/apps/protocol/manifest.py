"""Manifests: how the plugin decodes and validates them, with its error texts (protocol reference §1.1, §1.2)."""

import re
from typing import Any
from urllib.parse import urlsplit

from sandbox.mattermost.apps.protocol.errors import PluginError, as_go_error
from sandbox.mattermost.apps.protocol.go_json import CALL, Undecodable, struct

Json = dict[str, Any]

PERMISSIONS = {
    "act_as_bot": "use Mattermost REST API as the app's bot user",
    "act_as_user": "use Mattermost REST API as connected users",
    "remote_oauth2": "use a remote (3rd party) OAuth2 and store secrets",
    "remote_webhooks": "receive webhook messages from a remote (3rd party) system",
    "user_joined_channel_notification": "be notified when users join channels",
}
LOCATIONS = {
    "/command": "Slash commands",
    "/channel_header": "Channel Header buttons",
    "/post_menu": "Post Menu items",
}
DEPLOYS = {"http": "HTTP", "aws_lambda": "AWS Lambda", "open_faas": "OpenFaaS"}
_CALLS = (
    "bindings", "on_install", "on_version_changed", "on_uninstall", "on_enable", "on_disable",
    "get_oauth2_connect_url", "on_oauth2_complete", "on_remote_webhook",
)  # fmt: skip
_TEXTS = ("app_id", "version", "homepage_url", "display_name", "description", "icon", "remote_webhook_auth_type")
_MANIFEST: Json = dict.fromkeys(_TEXTS, "string") | {
    **dict.fromkeys(_CALLS, CALL),
    "requested_permissions": "apps.Permissions",
    "requested_locations": "apps.Locations",
    "http": {"root_url": "string", "use_jwt": "bool"},
}
_OPENING = {"act_as_bot": ("remote_webhooks", "user_joined_channel_notification"), "act_as_user": ("remote_oauth2",)}


def read_manifest(given: Json, root: str = "Manifest", path: str = "") -> Json:
    """
    Decode a manifest as the plugin's struct: without unknown keys and empty values, and with calls as objects.

    Raises:
        PluginError: 400 for a wrong type, or with all problems in one text.
    """
    try:
        manifest = struct(given, _MANIFEST, root, path)
    except Undecodable as error:
        raise PluginError(f"{error}: invalid input", 400) from error
    manifest = {key: value for key, value in manifest.items() if value not in ("", [], {})}
    if "http" in manifest:
        manifest["http"] = {key: value for key, value in manifest["http"].items() if value}
    problems = [f"{problem}: invalid input" for problem in _problems(manifest, "http" in given)]
    if problems:
        raise PluginError(f"{as_go_error(problems)}: invalid input", 400)
    return manifest


def _problems(manifest: Json, deployed: bool) -> list[str]:
    found = [*_app_id(manifest.get("app_id", ""))]
    version = manifest.get("version", "")
    if len(version) > 10:
        found.append(f"version {version} too long, should be in v00_00_000 format")
    if not manifest.get("display_name"):
        found.append("display_name is empty")
    home = manifest.get("homepage_url", "")
    if not home:
        found += ["homepage_url is empty", 'homepage_url "" invalid: parse "": empty url']
    elif not _is_address(home):
        found.append(f'homepage_url "{home}" invalid: {_SCHEMA}')
    if ".." in manifest.get("icon", "").split("/"):
        found.append(f'bad path: "{manifest["icon"]}"')
    found += _permissions(manifest.get("requested_permissions") or [])
    root = (manifest.get("http") or {}).get("root_url", "")
    if not deployed:
        found.append("manifest has no deployment information (http, aws_lambda, open_faas, etc.)")
    elif not root:
        found.append("root_url must be set for HTTP apps")
    elif not _is_address(root):
        found.append(f'invalid root_url: "{root}": {_SCHEMA}')
    return found


_SCHEMA = 'URL schema must either be "http" or "https"'


def _app_id(app_id: str) -> list[str]:
    if len(app_id) < 3:
        return [f"appID {app_id} too short, should be 3 bytes"]
    if len(app_id) > 32:
        return [f"appID {app_id} too long, should be 32 bytes"]
    return [f"invalid character '{one}' in appID \"{app_id}\"" for one in re.findall(r"[^A-Za-z0-9\-_.]", app_id)]


def _permissions(requested: list[str]) -> list[str]:
    found = []
    for needed, dependents in _OPENING.items():
        lacking = [one for one in dependents if one in requested]
        if lacking and needed not in requested:
            named = ["act_as_bot"] if needed == "act_as_user" and "act_as_bot" in requested else []
            words = ", ".join(PERMISSIONS[one] for one in [*named, *lacking])
            found.append(f"{words} requires {PERMISSIONS[needed]}")
    return found


def _is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.netloc)
