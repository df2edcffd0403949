"""
What the plugin silently removes from bindings and forms (protocol reference §5.3, §6.4).

The problems are reported only to requests for bindings with ``test=1``. Their texts and order are recorded (bindings).
"""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_ONE_OF = '(only) one of  "submit", "form", or "bindings" must be set in a binding'


def clean_form(form: Json, icon_base: str, problems: list[str] | None = None) -> Json:
    """Return the form without invalid fields and options. Appends what was wrong to *problems*."""
    problems = [] if problems is None else problems
    cleaned = {key: value for key, value in form.items() if key != "fields"}
    if icon := form.get("icon"):
        cleaned["icon"] = _icon(icon, icon_base)
        if not cleaned["icon"]:
            problems.append(f'invalid icon path "{icon}" in form')
            del cleaned["icon"]
    if not form.get("submit") and not form.get("source"):
        problems.append("form must define either a submit or a source")
    fields: list[Json] = []
    for one in form.get("fields") or []:
        kept, problem = _field(one, {other["label"] for other in fields}, problems)
        if kept is None:
            problems.append(problem)
        else:
            fields.append(kept)
    if fields:
        cleaned["fields"] = fields
    return cleaned


def _field(given: Json, labels: set[str], problems: list[str]) -> tuple[Json | None, str]:
    name, kind = given.get("name", ""), given.get("type", "")
    label = given.get("label") or name.replace("_", "-")
    if not name:
        return None, f"field with no name, label {label}"
    if _spaced(name):
        return None, f'field name must be a single word: "{name}"'
    if _spaced(label):
        return None, f'label must be a single word: "{label}" (field: {name})'
    if label in labels:
        return None, f'repeated label: "{label}" (field: {name})'
    kept = given | {"type": kind, "label": label}
    if kind == "static_select":
        kept["options"] = _options(given.get("options") or [], name, problems)
        if not kept["options"]:
            return None, f"no options for static select: {name}"
    if kind == "dynamic_select" and not given.get("lookup"):
        return None, f"no lookup call for dynamic select: {name}"
    return kept, ""


def _options(options: list[Json], name: str, problems: list[str]) -> list[Json]:
    """Keep an option as it is: a missing label remains missing, a missing value becomes empty."""
    kept: list[Json] = []
    labels: set[str] = set()
    values: set[str] = set()
    for option in options:
        value = option.get("value", "")
        label = option.get("label") or value
        if not label:
            problems.append(f"option with neither label nor value (field {name})")
        elif label in labels:
            problems.append(f'repeated label "{label}" on select option (field {name})')
        elif value and value in values:
            problems.append(f'repeated value "{value}" on select option (field {name})')
        else:
            labels.add(label)
            values.add(value)
            kept.append(option | {"value": value})
    return kept


@dataclass
class BindingCleaner:
    """
    Cleans the bindings of one app.

    Args:
        granted: The granted locations. A binding is kept if its full path begins with one.
        icon_base: Where relative icons are served from.
        web: Whether ``user_agent_type`` is the web app, whose channel header entries need an icon.
    """

    app_id: str
    granted: list[str]
    icon_base: str
    web: bool = False
    problems: list[str] = field(default_factory=list)

    def clean(self, bindings: list[Json], path: str = "") -> list[Json]:
        """Return the valid ones of *bindings*, which are located at *path*. Adds to ``problems``."""
        return [kept for one in bindings if (kept := self._one(one, path)) is not None]

    def _one(self, given: Json, parent: str) -> Json | None:
        text = given.get("location") or given.get("label") or ""
        location = text.strip()
        if not location:
            return self._dropped(parent, "sub-binding with no location nor label")
        path = f"{parent}/{location}" if parent else "/" + location.lstrip("/")
        if location != text:
            self.problems.append(f"{path}: trimmed whitespace from location")
        if not any(path.startswith(one) for one in self.granted):
            return self._dropped(path, "location is not granted: forbidden")
        binding = given | {"location": location} | ({"app_id": self.app_id} if parent else {})
        if parent.startswith("/command") and not self._command_label(binding, path):
            return None
        if not self._has_icon(binding, parent, path):
            return None
        return self._acted(binding, path)

    def _command_label(self, binding: Json, path: str) -> bool:
        text = binding.get("label") or binding["location"]
        label = text.strip()
        if label != text:
            self.problems.append(f"{path}: trimmed whitespace from label {label}")
        if _spaced(label):
            self.problems.append(f'{path}: command label "{label}" has multiple words')
        binding["label"] = label
        return not _spaced(label)

    def _has_icon(self, binding: Json, parent: str, path: str) -> bool:
        icon = binding.pop("icon", "")
        if icon:
            if address := _icon(icon, self.icon_base):
                binding["icon"] = address
            else:
                self.problems.append(f'{path}: invalid icon path "{icon}" in binding')
        if self.web and parent == "/channel_header" and "icon" not in binding:
            self.problems.append(f"{path}: no icon in channel header binding")
            return False
        return True

    def _acted(self, binding: Json, path: str) -> Json | None:
        actions = [key for key in ("submit", "form", "bindings") if binding.get(key)]
        if len(actions) != 1:
            return self._dropped(path, _ONE_OF)
        if actions == ["bindings"]:
            children = self.clean(binding["bindings"], path)
            return binding | {"bindings": children} if children else None
        if actions == ["form"]:
            return binding | {"form": clean_form(binding["form"], self.icon_base, self.problems)}
        return binding

    def _dropped(self, path: str, why: str) -> Json | None:
        self.problems.append(f"{path}: {why}")
        return None


def _icon(icon: str, base: str) -> str:
    """The URL of an icon. Empty if the path isn't inside the app's static files."""
    if icon.startswith(("http://", "https://")):
        return icon
    return "" if ":" in icon or ".." in icon else f"{base}/{icon.lstrip('/')}"


def _spaced(text: str) -> bool:
    return any(character in text for character in " \t")
