"""What the plain host remembers for a while: who people are, what was offered to them, which dialogs are done."""

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from cachetools import TTLCache

from core.calls import Person, Value, Values
from core.errors import NotVerified, StillWorking
from core.fields import Form, Option
from core.ports import Clock

log = structlog.get_logger(__name__)

_PERSON_SECONDS = 300.0
_OFFERED_SECONDS = 3600.0
_ANSWER_SECONDS = 300.0
_FAILURE_SECONDS = 5.0


class People:
    """
    Who somebody is, for a press brings nothing but an id. Nobody is an administrator here.
    """

    def __init__(self, clock: Clock) -> None:
        self._known: TTLCache[str, Person] = TTLCache(maxsize=5000, ttl=_PERSON_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def knows(self, person_id: str) -> bool:
        """Whether `named` needs no request."""
        with self._lock:
            return person_id in self._known

    def named(self, person_id: str, read_user: Callable[[], Mapping[str, Any]]) -> Person:
        """
        As Mattermost says, or said a few minutes ago.

        Raises:
            MattermostError: It does not say, so it is unknown whether this is a guest.
        """
        with self._lock:
            known = self._known.get(person_id)
        if known is not None:
            return known
        user = read_user()
        person = Person(
            id=person_id,
            username=str(user.get("username") or ""),
            guest="system_guest" in str(user.get("roles") or "").split(),
        )
        with self._lock:
            self._known[person_id] = person
        return person


class Offered:
    """
    What look-ups offered to each person in the last hour: dialogs send back the value of a choice alone, and
    a form that is shown again has to say what was chosen.
    """

    def __init__(self) -> None:
        self._labels: TTLCache[tuple[str, str], str] = TTLCache(maxsize=20_000, ttl=_OFFERED_SECONDS)
        self._lock = threading.Lock()

    def remember(self, person_id: str, options: Sequence[Option]) -> None:
        """Those of one answer."""
        with self._lock:
            for option in options:
                self._labels[person_id, option.value] = option.label

    def named(self, person_id: str, values: Values) -> Values:
        """*values* with the labels of what was offered."""
        with self._lock:
            labels = {
                name: self._labels.get((person_id, value)) for name, value in values.items() if isinstance(value, str)
            }
        return Values({name: _named(value, labels.get(name)) for name, value in values.items()})


class Answers:
    """
    What look-ups were answered, for a few minutes.

    The web client asks once for each dynamic select when a dialog opens, and again after every change of any
    element, each key included (recorded): only a look-up of which something of its own changed may ask ServiceNow.
    """

    def __init__(self, clock: Clock) -> None:
        self._known: TTLCache[Hashable, tuple[Option, ...]] = TTLCache(maxsize=5_000, ttl=_ANSWER_SECONDS, timer=clock)
        self._failed: TTLCache[Hashable, bool] = TTLCache(maxsize=5_000, ttl=_FAILURE_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def get(self, asked: Hashable) -> tuple[Option, ...] | None:
        """The answer; empty for what failed a moment ago, None for what has to be asked."""
        with self._lock:
            return () if asked in self._failed else self._known.get(asked)

    def keep(self, asked: Hashable, options: tuple[Option, ...]) -> None:
        """Remember an answer."""
        with self._lock:
            self._known[asked] = options

    def failed(self, asked: Hashable) -> None:
        """Remember for a moment that there was none."""
        with self._lock:
            self._failed[asked] = True


class Forms:
    """
    Forms that are open as dialogs, to draw one anew after an error. Where one is forgotten, as after a restart, the
    dialog stays as it is.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._forms: TTLCache[str, Form] = TTLCache(maxsize=2_000, ttl=seconds, timer=clock)
        self._lock = threading.Lock()

    def keep(self, state: str, form: Form) -> None:
        """Remember the form that *state* was signed for."""
        with self._lock:
            self._forms[_digest(state)] = form

    def get(self, state: str) -> Form | None:
        """The form of a dialog with that state."""
        with self._lock:
            return self._forms.get(_digest(state))


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


class UsedDialog(NotVerified):
    """The dialog was submitted successfully before."""

    user_message = "This form was already submitted. Open it again to make another change."


class UsedDialogs:
    """
    Dialogs that did what they are for. A dialog's state can leak to another integration (recorded), so each works
    for one successful submit.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._used: TTLCache[str, bool] = TTLCache(maxsize=100_000, ttl=seconds, timer=clock)
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def check(self, dialog_id: str) -> None:
        """Raises UsedDialog for one that is done."""
        with self._lock:
            if dialog_id in self._used:
                raise UsedDialog("dialog: used before")

    @contextmanager
    def once(self, dialog_id: str) -> Iterator[Callable[[], None]]:
        """
        One submit; what is yielded is called when it was successful.

        Raises:
            UsedDialog: An earlier one was.
            StillWorking: Another one is under way.
        """
        with self._lock:
            if dialog_id in self._used:
                raise UsedDialog("dialog: used before")
            if dialog_id in self._running:
                raise StillWorking("dialog: its submit is under way")
            self._running.add(dialog_id)
        try:
            yield lambda: self._done(dialog_id)
        finally:
            with self._lock:
                self._running.discard(dialog_id)

    def _done(self, dialog_id: str) -> None:
        with self._lock:
            self._used[dialog_id] = True


def _named(value: Value, label: str | None) -> Value:
    return Option(label, str(value)) if label else value
