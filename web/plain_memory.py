"""What the plain host keeps in memory: who people are, what lookups offered, open forms, and submitted dialogs."""

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cachetools import TTLCache

from core.calls import Person, Value, Values
from core.errors import NotVerified, StillWorking
from core.fields import Form, Option
from core.times import Clock

_PERSON_SECONDS = 300.0
_OFFERED_SECONDS = 3600.0
_ANSWER_SECONDS = 300.0
_FAILURE_SECONDS = 5.0


class People:
    """Who a person is, because a press contains nothing but an ID. Nobody is an administrator here."""

    def __init__(self, clock: Clock) -> None:
        self._known: TTLCache[str, Person] = TTLCache(maxsize=5000, ttl=_PERSON_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def knows(self, person_id: str) -> bool:
        """Whether `named` needs no request."""
        with self._lock:
            return person_id in self._known

    def named(self, person_id: str, read_user: Callable[[], Mapping[str, Any]]) -> Person:
        """
        The person as Mattermost describes them, at most five minutes ago.

        Raises:
            MattermostError: Mattermost didn't answer, so it is unknown whether the person is a guest.
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


class OfferedOptions:
    """
    The labels of what lookups offered to each person in the last hour. Dialogs send back only the value of a choice,
    but a form that is shown again needs its label.
    """

    def __init__(self) -> None:
        self._labels: TTLCache[tuple[str, str], str] = TTLCache(maxsize=20_000, ttl=_OFFERED_SECONDS)
        self._lock = threading.Lock()

    def remember(self, person_id: str, options: Sequence[Option]) -> None:
        with self._lock:
            for option in options:
                self._labels[person_id, option.value] = option.label

    def labelled(self, person_id: str, values: Values) -> Values:
        with self._lock:
            labels = {
                name: self._labels.get((person_id, value)) for name, value in values.items() if isinstance(value, str)
            }
        return Values({name: _named(value, labels.get(name)) for name, value in values.items()})


class LookupCache:
    """
    Answers to lookups, for a few minutes.

    The web client asks once for each dynamic select when a dialog opens, and again after every change of any
    element, even each key press (recorded). ServiceNow is asked only if something changed that the answer depends on.
    """

    def __init__(self, clock: Clock) -> None:
        self._known: TTLCache[Hashable, tuple[Option, ...]] = TTLCache(maxsize=5_000, ttl=_ANSWER_SECONDS, timer=clock)
        self._failed: TTLCache[Hashable, bool] = TTLCache(maxsize=5_000, ttl=_FAILURE_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> tuple[Option, ...] | None:
        """The answer: empty if the lookup failed a moment ago, None if ServiceNow has to be asked."""
        with self._lock:
            return () if key in self._failed else self._known.get(key)

    def keep(self, key: Hashable, options: tuple[Option, ...]) -> None:
        with self._lock:
            self._known[key] = options

    def failed(self, key: Hashable) -> None:
        """Keep for a moment that there was no answer."""
        with self._lock:
            self._failed[key] = True


class OpenForms:
    """
    Forms that are open as dialogs, so that they can be drawn again after an error. If one is missing, as after a
    restart, the dialog keeps its fields and shows the error.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._forms: TTLCache[str, Form] = TTLCache(maxsize=2_000, ttl=seconds, timer=clock)
        self._lock = threading.Lock()

    def keep(self, state: str, form: Form) -> None:
        with self._lock:
            self._forms[_digest(state)] = form

    def get(self, state: str) -> Form | None:
        with self._lock:
            return self._forms.get(_digest(state))


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


class UsedDialog(NotVerified):
    """The dialog was already submitted successfully."""

    user_message = "This form was already submitted. Open it again to make another change."


class UsedDialogs:
    """
    Dialogs that were submitted. A dialog's state can leak to another integration (recorded), so each works for one
    successful submit.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._used: TTLCache[str, bool] = TTLCache(maxsize=100_000, ttl=seconds, timer=clock)
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def check(self, dialog_id: str) -> None:
        """Raises UsedDialog if it was submitted."""
        with self._lock:
            if dialog_id in self._used:
                raise UsedDialog("dialog: used before")

    @contextmanager
    def once(self, dialog_id: str) -> Iterator[Callable[[], None]]:
        """
        Hold a dialog during one submit. Call what this yields if the submit succeeds.

        Raises:
            UsedDialog: An earlier submit succeeded.
            StillWorking: Another submit is running.
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
