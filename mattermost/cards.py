"""
How a record looks in a channel: one message attachment. Pure.

Record text is data: escaped, defused and cut here and nowhere else. The linked title is drawn as
plain text by the clients, everything else as Markdown (native integrations reference §3.1).
"""

from typing import Any

from core.base import table_label
from core.records import Identity, Record
from mattermost.markdown import escaped, plain

_FIELDS = (
    ("state", "State"),
    ("priority", "Priority"),
    ("assigned_to", "Assigned to"),
    ("assignment_group", "Assignment group"),
)
# Colour of the bar by priority: 1 critical … 5 planning; grey where a table has none.
_COLOURS = {"1": "#d24b4e", "2": "#e07f2d", "3": "#d9a62e", "4": "#3d7fc4", "5": "#7b8794"}
_NO_COLOUR = "#7b8794"

_TITLE_CHARACTERS = 200
_FIELD_CHARACTERS = 300


def record_card(record: Record, address: str, instance: str) -> dict[str, Any]:
    """
    The card of a record: title with link, four fields, footer, colour by priority.

    Args:
        record: With display values of state, priority, assigned_to and assignment_group.
        address: Where the title leads.
        instance: Name of the instance for the footer, such as ``acme.service-now.com``.
    """
    title = record_title(record)
    shown = [(label, record.display(column)) for column, label in _FIELDS]
    fields = [
        {"title": label, "value": escaped(text, _FIELD_CHARACTERS) or "–", "short": True} for label, text in shown
    ]
    facts = ", ".join(f"{label}: {plain(text, _FIELD_CHARACTERS)}" for label, text in shown if text)
    return {
        "fallback": f"{title} ({facts})" if facts else title,
        "color": _COLOURS.get(record.value("priority"), _NO_COLOUR),
        "title": title,
        "title_link": address,
        "fields": fields,
        "footer": f"{table_label(record.table)} | {instance}",
    }


def record_title(record: Record) -> str:
    """``INC0010001: what is wrong``, as plain text."""
    return plain(f"{record.number}: {record.value('short_description')}", _TITLE_CHARACTERS)


def record_link(record: Record, address: str) -> str:
    """A Markdown link to the record with its number as text."""
    return f"[{escaped(record.number, 60)}]({address})"


def person_line(identity: Identity) -> str:
    """``**Abel Tuter** (`abel.tuter`)``; a sentence where ServiceNow does not say who it is."""
    if not identity.known:
        return "an account that ServiceNow does not name"
    return f"**{escaped(identity.name or identity.user_name, 100)}** ({escaped(identity.user_name, 100)})"
