"""Runs each script in its own QuickJS context, after the Glide objects of `js/`."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any

import quickjs

from sandbox.servicenow.auth.access_control import Caller
from sandbox.servicenow.scripting.glide.es5 import ScriptSyntaxError, guarded
from sandbox.servicenow.scripting.glide.host import Host, Services
from sandbox.servicenow.scripting.glide.scopes import Scope

_PARTS = ("host", "record", "system", "http", "start")
_PRELUDE = "\n".join((Path(__file__).parent / "js" / f"{name}.js").read_text(encoding="utf-8") for name in _PARTS)
_DEEPEST = 12  # nested scripts; deeper ones are treated as endless recursion
_LIMIT_SECONDS = 30.0
Json = dict[str, Any]


class ScriptFailed(Exception):
    """The script threw, isn't ES5, or ran too long. The text is the log message."""


@dataclass(frozen=True)
class Source:
    """A script, its application, and its name in the log."""

    name: str
    scope: Scope
    text: str


class Run:
    """A context that has its variables."""

    def __init__(self, host: Host, start: Json) -> None:
        self._context = quickjs.Context()
        self._context.add_callable("__host", host)
        self._context.eval(_PRELUDE)
        self._context.eval("this.__step = __sandbox(" + json.dumps(json.dumps(start)) + "); undefined")
        self._step = self._context.get("__step")
        self._context.eval("delete this.__step")

    def do(self, what: str, script: str = "") -> Any:
        """Run a script, or read a result of one. Raises ScriptFailed."""
        try:
            return self._step(what, guarded(script))
        except ScriptSyntaxError as problem:
            raise ScriptFailed(f"Not ES5: {problem}") from problem
        except quickjs.JSException as problem:
            raise ScriptFailed(str(problem).partition("\n    at")[0].strip()) from problem


class Engine:
    """
    Runs scripts for one instance.

    Args:
        services: What scripts can use.
        seconds: How long a script may run.
    """

    def __init__(self, services: Services, seconds: float = _LIMIT_SECONDS) -> None:
        self._services = services
        self.seconds = seconds
        self._depth = local()
        self._generation = 0

    def forget(self) -> None:
        """Cut off running scripts from the instance."""
        self._generation += 1

    def run(self, source: Source, session: Caller, variables: Json, *, what: str = "run", then: str = "") -> Any:
        """
        Run a script.

        Args:
            variables: ``current``, ``previous``, ``event`` or ``request``.
            what: ``run``, or ``truth`` for a boolean result.
            then: The result to read afterwards: ``answer`` or ``changed``, as JSON.

        Raises:
            ScriptFailed: It threw.
        """
        depth = getattr(self._depth, "now", 0)
        if depth >= _DEEPEST:
            raise ScriptFailed("Recursion: too many scripts start each other")
        self._depth.now = depth + 1
        try:
            run = Run(self._host(source, session), self._start(source, variables))
            value = run.do(what, source.text)
            return json.loads(run.do(then)) if then else value
        finally:
            self._depth.now = depth

    def attempt(self, source: Source, session: Caller, variables: Json, **how: Any) -> tuple[Any, bool]:
        """Like `run`, but failures are logged instead of raised. Returns the value and whether it succeeded."""
        alive = self._alive()
        try:
            return self.run(source, session, variables, **how), True
        except ScriptFailed as problem:
            if alive():
                self._services.log("2", f"Evaluator: {problem}", source.name)
            return None, False

    def _host(self, source: Source, session: Caller) -> Host:
        return Host(self._services, source.scope, session, source.name, self._alive())

    def _alive(self) -> Callable[[], bool]:
        generation = self._generation
        return lambda: generation == self._generation

    def _start(self, source: Source, variables: Json) -> Json:
        start = {"milliseconds": int(self.seconds * 1000), "includes": sorted(self._services.includes(source.scope))}
        return start | variables
