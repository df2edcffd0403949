"""
Which handler answers which path, and what it needs.

A handler is registered once, with its requirement; the same declaration hides the entry in menus,
commands and help, and refuses the call here.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from core.calls import Call, Kind, Reply
from core.errors import AdministratorsOnly, GuestsOut, NotConfigured, NotConnected, Suspended, UnknownRequest
from core.menus import Requirement
from handlers.context import Context

Handler = Callable[[Call, Context], Reply]


@dataclass(frozen=True)
class Route:
    """One registered handler."""

    path: str
    kind: Kind
    needs: Requirement
    handler: Handler


class Registry:
    """Handlers by path and kind. Two for one path stop the start."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, Kind], Route] = {}

    def form(self, path: str, *, needs: Requirement) -> Callable[[Handler], Handler]:
        """Register what opens a form."""
        return self._register(path, Kind.FORM, needs)

    def refresh(self, path: str, *, needs: Requirement) -> Callable[[Handler], Handler]:
        """Register what builds a form again after a field changed."""
        return self._register(path, Kind.REFRESH, needs)

    def lookup(self, path: str, *, needs: Requirement) -> Callable[[Handler], Handler]:
        """Register the type-ahead of a form's look-up fields."""
        return self._register(path, Kind.LOOKUP, needs)

    def submit(self, path: str, *, needs: Requirement) -> Callable[[Handler], Handler]:
        """Register what does it."""
        return self._register(path, Kind.SUBMIT, needs)

    def _register(self, path: str, kind: Kind, needs: Requirement) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            if (path, kind) in self._routes:
                raise ValueError(f"two handlers for /{path}/{kind}")
            self._routes[path, kind] = Route(path, kind, needs, handler)
            return handler

        return register

    def route(self, path: str, kind: str) -> Route:
        """
        The route of *path* and *kind*.

        Raises:
            UnknownRequest: There is none; the log names the registration that is missing, the person
                is told the nearest that exists.
        """
        try:
            return self._routes[path, Kind(kind)]
        except (KeyError, ValueError):
            raise UnknownRequest(
                f'no handler for /{path}/{kind}: register one with @calls.{kind}("{path}", needs=…)',
                self._suggestion(path),
            ) from None

    def answer(self, call: Call, context: Context) -> Reply:
        """
        Check the requirement and run the handler.

        Raises:
            NotConfigured, NotConnected, Suspended, AdministratorsOnly: The requirement is not met.
            GuestsOut: A guest, where guests may not use the app.
        """
        route = self.route(call.path, call.kind)
        _check(route.needs, call, context)
        return route.handler(call, context)

    def has(self, path: str, kind: Kind) -> bool:
        """Whether anything answers."""
        return (path, kind) in self._routes

    @property
    def routes(self) -> list[Route]:
        return list(self._routes.values())

    def _suggestion(self, path: str) -> str | None:
        known = sorted({route.path.replace("/", " ") for route in self.routes})
        nearest = difflib.get_close_matches(path.replace("/", " "), known, n=1, cutoff=0.6)
        return f"There is no such request. Did you mean `/servicenow {nearest[0]}`?" if nearest else None


def _check(needs: Requirement, call: Call, context: Context) -> None:
    if needs is Requirement.NOTHING:
        return
    if needs is Requirement.ADMINISTRATOR:
        if not call.person.administrator:
            raise AdministratorsOnly("not a system administrator")
        return
    # Who connected before becoming a guest can still disconnect.
    if needs is not Requirement.LINKED and call.person.guest and not context.settings.guests:
        raise GuestsOut("a guest")
    if context.instance.missing:
        raise NotConfigured(context.instance.missing, call.person.administrator)
    if needs in {Requirement.LINKED, Requirement.CONNECTED} and context.account is None:
        raise NotConnected("no account", context.settings.connect_address)
    if needs is Requirement.CONNECTED and not context.standing.connected:
        raise Suspended("account is suspended", context.settings.connect_address)


calls = Registry()
