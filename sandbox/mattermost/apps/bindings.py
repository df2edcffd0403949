"""Fetches a user's bindings from all apps concurrently, cleans them and merges them (protocol reference §5)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sandbox.mattermost.apps.expand import Expander, UserAgentContext
from sandbox.mattermost.apps.protocol.cleaning import BindingCleaner
from sandbox.mattermost.apps.protocol.errors import PluginError
from sandbox.mattermost.apps.protocol.go_json import BINDING, Undecodable, struct
from sandbox.mattermost.apps.protocol.registry import App, Registry

Json = dict[str, Any]


class Bindings:
    """
    Fetches bindings.

    Args:
        icons: Returns the URL under which an app's static files are served.
    """

    def __init__(self, registry: Registry, expander: Expander, icons: Callable[[str], str]) -> None:
        self._registry = registry
        self._expander = expander
        self._icons = icons

    def fetch(self, agent: UserAgentContext, builtin: list[Json]) -> tuple[list[Json], list[str]]:
        """Return the merged bindings including *builtin*, and all problems. Waits for the slowest app."""
        apps = [app for app in self._registry.apps.values() if app.enabled]
        if not apps:
            return builtin, []
        with ThreadPoolExecutor(len(apps)) as pool:
            answers = list(pool.map(lambda app: self._of(app, agent), apps))
        found = [binding for kept, _ in answers for binding in kept]
        return _merged([*builtin, *found]), [problem for _, problems in answers for problem in problems]

    def _of(self, app: App, agent: UserAgentContext) -> tuple[list[Json], list[str]]:
        granted = app.manifest.get("requested_locations") or []
        if not granted:
            return [], ["no location granted to bind to: forbidden"]
        call = app.call("bindings", "/bindings") or {}
        try:
            context = self._expander.context(app, agent, call["expand"])
            acting = context.get("acting_user", {}).get("id", "")
            answer = self._registry.invoke(app, {**call, "context": context}, acting)
        except PluginError as error:
            return [], [f"received app error: {error}"]
        if answer["type"] == "error":
            return [], [f"received app error: {answer.get('text', '')}"]
        if answer["type"] != "ok":
            return [], [f'unexpected response type "{answer["type"]}"']
        try:
            typed = _typed(answer.get("data"))
        except Undecodable as error:
            return [], [f"failed to decode bindings: {error}"]
        cleaner = BindingCleaner(app.app_id, granted, self._icons(app.app_id), agent.user_agent == "webapp")
        return cleaner.clean(typed), cleaner.problems


def _typed(data: Any) -> list[Json]:
    if data is None:
        return []
    if not isinstance(data, list):
        kinds = {dict: "object", str: "string", bool: "bool"}
        kind = kinds.get(type(data), "number")
        raise Undecodable(f"json: cannot unmarshal {kind} into Go value of type []apps.Binding")
    return [struct(one, BINDING, "Binding", "") for one in data]


def _merged(bindings: list[Json]) -> list[Json]:
    """
    Merge top-level bindings with the same location and app ID. Sorts them by location, and their children by app ID.
    """
    tops: dict[tuple[str, str], Json] = {}
    for binding in bindings:
        key = (binding["location"], binding.get("app_id", ""))
        children = [*tops.get(key, {}).get("bindings", []), *binding.get("bindings", [])]
        tops[key] = tops.get(key, binding) | {"bindings": sorted(children, key=lambda one: str(one["app_id"]))}
    return [tops[key] for key in sorted(tops)]
