"""
An open dialog, and how the web client and the mobile app encode what they send for it.

The two encode values differently, and again differently after the first step (native integrations reference §2.7). The
web client of 11.x encodes them differently from 9.11, and lookups differently from submissions (recorded in
web_client_dialogs of 11.6).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

Json = dict[str, Any]
Client = Literal["web", "mobile"]

_PICKED = {"users", "channels"}  # data sources whose defaults the web client of 11.x ignores


@dataclass
class OpenDialog:
    """
    A dialog as one client shows it.

    Attributes:
        url: Where submissions of every step go.
        form: The current step.
        version: The version of the server, and so of its web client.
        callback_id: The first step's, which the web client keeps sending.
        first_state: The first step's, which the web client sends with lookups.
        carried: The values of earlier steps, which every step sends again. On the web since 11.1 also what was sent
            before an error or a refresh.
        offered: The labels of lookup results, by value.
    """

    url: str
    form: Json
    version: tuple[int, int] = (9, 11)
    callback_id: str = ""
    first_state: str = ""
    carried: Json = field(default_factory=dict)
    offered: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_event(cls, told: Json, version: tuple[int, int] = (9, 11)) -> Self:
        """Build it from the data of an ``open_dialog`` event."""
        form = told["dialog"]
        return cls(str(told["url"]), form, version, str(form.get("callback_id", "")), str(form.get("state", "")))

    @property
    def names(self) -> list[str]:
        """The names of the elements, in order."""
        return [str(one["name"]) for one in self.form.get("elements") or []]

    def element(self, name: str) -> Json:
        """Find an element by name or label. Raises KeyError if there is none."""
        elements = self.form.get("elements") or []
        for one in [*elements, *elements]:
            if name in (one["name"], one.get("display_name")):
                return dict(one)
        raise KeyError(f"the dialog has {self.names}, not {name}")

    def submission(self, values: Json, client: Client = "web") -> Json:
        """
        The submission with every element: its given value, its default, or what an untouched element sends.

        Values are Python values: text, bool, numbers, lists. "" or None means emptied. Raises KeyError for a name that
        isn't in the dialog.
        """
        values = {self.element(name)["name"]: value for name, value in values.items()}
        later = bool(self.carried)
        sent = dict(self.carried)
        for one in self.form.get("elements") or []:
            name = one["name"]
            if client == "web" and self._new_web:
                encoded = _new_web(one, values[name], True) if name in values else _new_web(one, _default(one), False)
                if encoded in ("", None, []) and sent.get(name):
                    continue  # an emptied value is sent unchanged (recorded)
                if encoded is None and not (one.get("subtype") == "number" and name in values):
                    continue
                sent[name] = encoded
                continue
            value = values.get(name, _default(one))
            encoded = _web(one, value) if client == "web" else _mobile(one, value, later)
            if encoded is not None:
                sent[name] = encoded
        return sent

    def beside_look_up(self, values: Json) -> Json:
        """
        The values that the web client sends with a lookup. Since 11.0 it encodes them the way its form holds them.
        """
        if not self._new_web:
            return self.submission(values)
        values = {self.element(name)["name"]: value for name, value in values.items()}
        sent: Json = {}
        for one in self.form.get("elements") or []:
            name = one["name"]
            touched = name in values
            value = values[name] if touched else _default(one)
            if touched and one["type"] not in {"select", "radio", "bool"}:
                sent[name] = "NaN" if one.get("subtype") == "number" and value in ("", None) else value
                continue
            encoded = _new_web(one, value, touched)
            if encoded is None or encoded == []:
                continue
            if one.get("subtype") == "number":
                sent[name] = int(encoded)
            elif one["type"] == "radio" and not touched:
                sent[name] = "[object Object]"
            elif one["type"] == "select" and one.get("multiselect"):
                sent[name] = [self._chosen(one, each) for each in encoded] if one.get("data_source") else []
            elif one["type"] == "select":
                sent[name] = self._chosen(one, encoded)
            else:
                sent[name] = encoded
        return sent

    def sent(self, submission: Json, client: Client) -> None:
        """Record a submission after which the dialog stays open: since 11.1 the web client keeps what it sent."""
        if client == "web" and self._new_web:
            self.carried = {**self.carried, **{key: one for key, one in submission.items() if one not in ("", None)}}

    def body(self, submission: Json, client: Client = "web", url: str = "", *, look_up: bool = False) -> Json:
        """The body of a request to the server, without the place it is sent from."""
        callback = self.callback_id if client == "web" else self.form.get("callback_id", "")
        state = self.first_state if client == "web" and look_up else self.form.get("state", "")
        return {
            "url": url or self.url,
            "callback_id": callback,
            "state": state,
            "submission": submission,
            "user_id": "",
            "cancelled": False,
        }

    def step(self, answer: Json, submission: Json) -> "OpenDialog":
        """The next step, from a response of type form to *submission*. Raises KeyError if it has no form."""
        return self._then(answer["form"], {**self.carried, **submission})

    def refreshed(self, answer: Json) -> "OpenDialog":
        """The same step, refreshed. Raises KeyError if the response has no form."""
        return self._then(answer["form"], self.carried)

    def _then(self, form: Json, carried: Json) -> "OpenDialog":
        first = (self.callback_id, self.first_state)
        return OpenDialog(self.url, form, self.version, *first, carried, self.offered)

    def _chosen(self, element: Json, value: str) -> Json:
        known = {one["value"]: one["text"] for one in element.get("options") or []}
        return {"label": known.get(value) or self.offered.get(value) or value, "value": value}

    @property
    def _new_web(self) -> bool:
        return self.version >= (11, 0)


def _new_web(element: Json, value: Any, touched: bool) -> Any:
    """How the web client of 11.6 encodes a value. None omits the key, unless a number was emptied."""
    kind = element["type"]
    if kind == "bool":
        return bool(value)
    if not touched and element.get("data_source") in _PICKED:
        return None
    if kind == "datetime" and not touched and not value and not element.get("optional"):
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return f"{hour:%Y-%m-%dT%H:%M:%SZ}"
    if value in ("", None, []):
        return "" if touched and kind in {"text", "textarea"} and element.get("subtype") != "number" else None
    if element.get("multiselect"):
        return value if isinstance(value, list) else [value]
    if kind == "date" and value == "today":
        return f"{datetime.now(UTC):%Y-%m-%d}"
    if element.get("subtype") == "number" and touched:
        return int(float(value))
    return value


def _default(element: Json) -> Any:
    text = element.get("default") or ""
    if element["type"] == "bool":
        return str(text).lower() == "true"
    if element.get("multiselect"):
        return [one.strip() for one in text.split(",") if one.strip()]
    return text


def _web(element: Json, value: Any) -> Any:
    if element["type"] == "bool":
        return bool(value)
    if element.get("multiselect"):
        return list(value or [])
    if element.get("subtype") == "number":
        return float(value) if value not in {"", None} and float(value) % 1 else _whole(value)
    return "" if value is None else value


def _whole(value: Any) -> Any:
    return "" if value in {"", None} else int(value)


def _mobile(element: Json, value: Any, later: bool) -> Any:
    """How the mobile app encodes a value. None omits the key."""
    if element["type"] == "bool":
        return str(bool(value)).lower() if later else bool(value)
    if element.get("multiselect"):
        return ",".join(str(one) for one in value or [])
    if element.get("subtype") == "number":
        if value in {"", None}:
            return None
        return str(value) if later else _whole(value)
    if element["type"] == "datetime" and value:
        return str(value).replace("Z", ":00.000Z") if str(value).count(":") == 1 else value
    return "" if value is None else value
