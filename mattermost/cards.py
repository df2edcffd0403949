"""
Renders a record as a message attachment. Pure.

Record text is escaped and shortened here and nowhere else. Clients render the linked title as plain text and everything
else as Markdown (native integrations reference §3.1).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.records import Identity, Record
from core.tables import table_of
from mattermost.markdown import escaped, plain

NOTHING = "N/A"

# Color of the bar by priority, 1 critical to 5 planning; gray if there is none.
_COLORS = {"1": "#d24b4e", "2": "#e07f2d", "3": "#d9a62e", "4": "#3d7fc4", "5": "#7b8794"}
_NO_COLOR = "#7b8794"
_TIMES = {"start_date", "end_date"}

_TITLE_CHARACTERS = 200
_FIELD_CHARACTERS = 300


def record_card(
    record: Record,
    address: str,
    instance: str,
    *,
    actions: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """
    The card of a record: linked title, its table's fields, footer, color by priority.

    Args:
        record: Has raw and display values of its table's card columns.
        address: Target of the title's link.
        instance: Name of the instance for the footer, such as ``acme.service-now.com``.
        actions: Buttons in the host's format.
    """
    title = record_title(record)
    shown = record_fields(record)
    facts = ", ".join(f"{label}: {plain(text, _FIELD_CHARACTERS)}" for label, text in shown if text)
    card: dict[str, Any] = {
        "fallback": f"{title} ({facts})" if facts else title,
        "color": _COLORS.get(record.value("priority"), _NO_COLOR),
        "title": title,
        "title_link": address,
        "fields": [
            {"title": label, "value": escaped(text, _FIELD_CHARACTERS) or NOTHING, "short": True}
            for label, text in shown
        ],
        "footer": f"{table_of(record.table).label} | {instance}",
    }
    if actions:
        card["actions"] = [dict(action) for action in actions]
    return card


def record_fields(record: Record) -> list[tuple[str, str]]:
    """Labels and texts of the card's fields, unescaped; "" for an empty or unreadable column."""
    return [(label, _text(record, column)) for column, label in table_of(record.table).card]


def record_summary(record: Record, address: str, most: int = 99) -> str:
    """The card as Markdown, for places without attachments: linked title and the first *most* fields."""
    title = escaped(record.value("short_description"), _TITLE_CHARACTERS)
    lines = [f"**{record_link(record, address)}: {title or NOTHING}**", ""]
    fields = record_fields(record)[:most]
    lines += [f"- {label}: {escaped(text, _FIELD_CHARACTERS) or NOTHING}" for label, text in fields]
    return "\n".join(lines)


def _text(record: Record, column: str) -> str:
    """The text of a column. Times are in UTC, because a card's readers are in different time zones."""
    if column in _TIMES:
        raw = record.value(column)
        return f"{raw[:16]} UTC" if raw else ""
    return record.display(column)


def subscription_card(summary: str, facts: Sequence[tuple[str, str]], sys_id: str) -> dict[str, Any]:
    """
    The details of a created, changed or deleted subscription, for the post that announces it.

    Args:
        summary: Who did what, as plain text for push notifications.
        facts: Title and Markdown of each line.
    """
    return {
        "fallback": plain(summary, _FIELD_CHARACTERS),
        "color": _NO_COLOR,
        "fields": [{"title": title, "value": text, "short": False} for title, text in facts],
        "footer": f"Subscription {sys_id}",
    }


def record_title(record: Record) -> str:
    """``INC0010001: short description`` as plain text."""
    return plain(f"{record.number}: {record.value('short_description')}", _TITLE_CHARACTERS)


def record_link(record: Record, address: str) -> str:
    """A Markdown link to the record with its number as text."""
    return f"[{escaped(record.number, 60)}]({address})"


def person_line(identity: Identity) -> str:
    """``**Abel Tuter** (`abel.tuter`)``, or a sentence if ServiceNow doesn't identify the person."""
    if not identity.known:
        return "an account that ServiceNow does not name"
    return f"**{escaped(identity.name or identity.user_name, 100)}** ({escaped(identity.user_name, 100)})"
