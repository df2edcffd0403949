"""What the plugin drops from bindings and forms without a word (protocol reference §5.3, §6.4)."""

from typing import Any

Json = dict[str, Any]


def clean_form(form: Json, icon_base: str) -> Json:
    """The form with bad fields and options left out."""
    cleaned = dict(form)
    if icon := form.get("icon"):
        cleaned["icon"] = _icon(icon, icon_base)
    labels: set[str] = set()
    fields = []
    for field in form.get("fields") or []:
        name = field.get("name", "")
        label = field.get("label") or name.replace("_", "-")
        if not name or _spaced(name) or _spaced(label) or label in labels:
            continue
        field = {"name": name, "type": ""} | field | {"label": label}
        if field.get("type") == "static_select":
            field["options"] = _options(field.get("options") or [])
            if not field["options"]:
                continue
        if field.get("type") == "dynamic_select" and not field.get("lookup"):
            continue
        labels.add(label)
        fields.append(field)
    cleaned.pop("fields", None)
    if fields:
        cleaned["fields"] = fields
    return cleaned


def _options(options: list[Json]) -> list[Json]:
    """A repeated label or value is dropped; a label without value keeps an empty one; a bare value no label."""
    kept: list[Json] = []
    labels: set[str] = set()
    values: set[str] = set()
    for option in options:
        value = option.get("value", "")
        label = option.get("label") or value
        if not label or label in labels or (value and value in values):
            continue
        labels.add(label)
        values.add(value)
        kept.append(option if value else option | {"value": ""})
    return kept


def clean_bindings(
    app_id: str, bindings: list[Json], granted: list[str], icon_base: str, user_agent: str = ""
) -> tuple[list[Json], list[str]]:
    """The bindings that are left, and what was found wrong."""
    problems: list[str] = []
    kept = _level(bindings, "", "", app_id, granted, icon_base, problems)
    if user_agent == "webapp":  # never so in practice: no client sends `user_agent_type`
        for top in kept:
            if top["location"] == "/channel_header":
                top["bindings"] = [one for one in top.get("bindings", []) if one.get("icon")]
    return kept, problems


def _level(
    bindings: list[Json], path: str, top: str, app_id: str, granted: list[str], icons: str, problems: list[str]
) -> list[Json]:
    kept = []
    for binding in bindings:
        location = str(binding.get("location") or binding.get("label") or "").strip()
        if not location:
            problems.append("sub-binding with no location nor label")
            continue
        full = location if not path else f"{path}/{location}"
        if not any(full.startswith(one) for one in granted):
            problems.append(f"{full}: location is not granted: forbidden")
            continue
        cleaned = _one(binding | {"location": location}, full, top or location, app_id, granted, icons, problems)
        if cleaned is not None:
            kept.append(cleaned if not path else cleaned | {"app_id": app_id})
    return kept


def _one(
    binding: Json, full: str, top: str, app_id: str, granted: list[str], icons: str, problems: list[str]
) -> Json | None:
    inner = full != top
    if top == "/command" and inner:
        label = str(binding.get("label") or binding["location"]).strip()
        if _spaced(label):
            problems.append(f'command label "{label}" has multiple words')
            return None
        binding = binding | {"label": label}
    if icon := binding.get("icon"):
        binding = {key: value for key, value in binding.items() if key != "icon"}
        if address := _icon(icon, icons):
            binding["icon"] = address
    actions = [key for key in ("submit", "form", "bindings") if binding.get(key)]
    if len(actions) != 1:
        problems.append('(only) one of  "submit", "form", or "bindings" must be set in a binding')
        return None
    if actions == ["bindings"]:
        children = _level(binding["bindings"], full, top, app_id, granted, icons, problems)
        return binding | {"bindings": children} if children else None
    if actions == ["form"]:
        return binding | {"form": clean_form(binding["form"], icons)}
    return binding


def _icon(icon: str, base: str) -> str:
    if icon.startswith(("http://", "https://")):
        return icon
    return "" if ":" in icon or ".." in icon else f"{base}/{icon.lstrip('/')}"


def _spaced(text: str) -> bool:
    return any(character in text for character in " \t")
