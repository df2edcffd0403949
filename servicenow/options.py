"""Rows as choices of a look-up. Pure."""

from collections.abc import Iterable

from core.fields import Option


def unique(found: Iterable[Option]) -> list[Option]:
    """Options with unique labels, for clients drop the second: namesakes show the end of their sys_id."""
    options: dict[str, Option] = {}
    for option in found:
        if not option.label.strip() or not option.value:
            continue  # a field that the person may not read
        label = option.label if option.label not in options else f"{option.label} · {option.value[-6:]}"
        options[label] = Option(label, option.value)
    return list(options.values())
