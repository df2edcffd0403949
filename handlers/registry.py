"""
The handlers by path and kind, each with its requirement.

The requirement is declared once. It hides the entry in menus, commands, and help, and is checked before each call.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.calls import Call, Kind, Reply
from core.errors import AdministratorsOnly, GuestsNotAllowed, NotConfigured, NotConnected, Suspended, UnknownRequest
from core.menus import Requirement
from handlers.context import Context

Handler = Callable[[Call, Context], Reply]


@dataclass(frozen=True)
class Route:
    path: str
    kind: Kind
    needs: Requirement
    handler: Handler


class Registry:
    """Each of its decorators registers a handler for one or more paths. A second handler for a path is an error."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, Kind], Route] = {}

    def form(self, *paths: str, needs: Requirement) -> Callable[[Handler], Handler]:
        """Opens a form."""
        return self._register(paths, Kind.FORM, needs)

    def refresh(self, *paths: str, needs: Requirement) -> Callable[[Handler], Handler]:
        """Builds a form again after a field has changed."""
        return self._register(paths, Kind.REFRESH, needs)

    def lookup(self, *paths: str, needs: Requirement) -> Callable[[Handler], Handler]:
        """Answers the type-ahead of a form's lookup fields."""
        return self._register(paths, Kind.LOOKUP, needs)

    def submit(self, *paths: str, needs: Requirement) -> Callable[[Handler], Handler]:
        """Runs a command, a button, or a submitted form."""
        return self._register(paths, Kind.SUBMIT, needs)

    def _register(self, paths: Sequence[str], kind: Kind, needs: Requirement) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            for path in paths:
                if (path, kind) in self._routes:
                    raise ValueError(f"two handlers for /{path}/{kind}")
                self._routes[path, kind] = Route(path, kind, needs, handler)
            return handler

        return register

    def route(self, path: str, kind: str) -> Route:
        """Raises UnknownRequest, with the missing registration for the log and the nearest path for the person."""
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
            NotConfigured, NotConnected, Suspended, AdministratorsOnly: The requirement isn't met.
            GuestsNotAllowed: The person is a guest, and guests can't use the app.
        """
        route = self.route(call.path, call.kind)
        _check(call, context, route.needs)
        return route.handler(call, context)

    def has(self, path: str, kind: Kind) -> bool:
        return (path, kind) in self._routes

    @property
    def routes(self) -> list[Route]:
        return list(self._routes.values())

    def _suggestion(self, path: str) -> str | None:
        known = sorted({route.path.replace("/", " ") for route in self.routes})
        nearest = difflib.get_close_matches(path.replace("/", " "), known, n=1, cutoff=0.6)
        return f"There is no such request. Did you mean `/servicenow {nearest[0]}`?" if nearest else None


def _check(call: Call, context: Context, needs: Requirement) -> None:
    if needs is Requirement.NOTHING:
        return
    if needs is Requirement.ADMINISTRATOR:
        if not call.person.administrator:
            raise AdministratorsOnly("not a system administrator")
        return
    # A guest who connected an account before becoming a guest can still disconnect it.
    if needs is not Requirement.LINKED and call.person.guest and not context.settings.guests:
        raise GuestsNotAllowed("a guest")
    if context.instance.missing:
        raise NotConfigured(context.instance.missing, call.person.administrator)
    if needs in {Requirement.LINKED, Requirement.CONNECTED} and context.account is None:
        raise NotConnected("no account", context.settings.connect_address)
    if needs is Requirement.CONNECTED and not context.user_status.connected:
        raise Suspended("account is suspended", context.settings.connect_address)


calls = Registry()
