"""
An open dialog in a client's hands: what it sends of it, as the web client or as the mobile app would.

The two encode values differently, and once more after a first step (native integrations reference §2.7).
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

Json = dict[str, Any]
Client = Literal["web", "mobile"]


@dataclass
class OpenDialog:
    """
    Attributes:
        url: Where submissions go, whatever the step.
        form: The dialog as it is drawn now.
        callback_id: The first step's, which the web client keeps sending.
        carried: What earlier steps were filled with; every step sends it again.
    """

    url: str
    form: Json
    callback_id: str = ""
    carried: Json = field(default_factory=dict)

    @classmethod
    def of_event(cls, told: Json) -> Self:
        """From the content of an ``open_dialog`` event."""
        return cls(str(told["url"]), told["dialog"], str(told["dialog"].get("callback_id", "")))

    @property
    def names(self) -> list[str]:
        """The elements' names, in order."""
        return [str(one["name"]) for one in self.form.get("elements") or []]

    def element(self, name: str) -> Json:
        """One element. Raises KeyError where the dialog has none of that name."""
        for one in self.form.get("elements") or []:
            if one["name"] == name:
                return dict(one)
        raise KeyError(f"the dialog has {self.names}, not {name}")

    def submission(self, values: Json, client: Client = "web") -> Json:
        """
        Everything drawn, as it is sent: what is given, else the default, else what an untouched element sends.

        Values are given as Python has them: text, bool, numbers, lists of values. Raises KeyError for a name that is
        not in the dialog.
        """
        for name in values:
            self.element(name)
        later = bool(self.carried)
        sent = dict(self.carried)
        for one in self.form.get("elements") or []:
            value = values.get(one["name"], _default(one))
            encoded = _web(one, value) if client == "web" else _mobile(one, value, later)
            if encoded is not None:
                sent[one["name"]] = encoded
        return sent

    def body(self, submission: Json, client: Client = "web", url: str = "") -> Json:
        """A request to the server but for where it is sent from."""
        callback = self.callback_id if client == "web" else self.form.get("callback_id", "")
        return {
            "url": url or self.url,
            "callback_id": callback,
            "state": self.form.get("state", ""),
            "submission": submission,
            "user_id": "",
            "cancelled": False,
        }

    def step(self, answer: Json, submission: Json) -> "OpenDialog":
        """The next form, from an answer of type form to *submission*. Raises KeyError where there is none."""
        return OpenDialog(self.url, answer["form"], self.callback_id, {**self.carried, **submission})

    def refreshed(self, answer: Json) -> "OpenDialog":
        """The same step drawn anew. Raises KeyError where the answer has no form."""
        return OpenDialog(self.url, answer["form"], self.callback_id, self.carried)


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
    """None: the key is left out."""
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
