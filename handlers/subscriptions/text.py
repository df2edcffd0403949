"""Subscriptions described in Markdown, with record text escaped."""

from collections.abc import Mapping

from core.calls import Channel
from core.records import Column, Record
from core.subscriptions import EVENT_LABELS, Event, Filter, PostOption, Subscription
from core.tables import table_of
from handlers.context import Context
from mattermost.markdown import escaped

_TITLE_CHARACTERS = 80

NO_RECORD = "a record that you may not see, or that is gone"
_FILTER_LABELS = {"assignment_group": "assignment group", "category": "category", "cmdb_ci": "configuration item"}


def subject(context: Context, subscription: Subscription, record: Record | None) -> str:
    """``Incident [INC0010001](…): Email is down`` or ``every [Incident](…)``."""
    label = escaped(table_of(subscription.table).label, 60)
    if not subscription.record_id:
        return f"every [{label}]({context.links.list(subscription.table)})"
    if record is None:
        return f"{label}: {NO_RECORD}"
    link = f"[{escaped(record.number, 60)}]({context.links.record(subscription.table, record.sys_id)})"
    title = escaped(record.value("short_description"), _TITLE_CHARACTERS)
    return f"{label} {link}: {title}" if title else f"{label} {link}"


def short_subject(subscription: Subscription, record: Record | None) -> str:
    """The name of the subscription, or else its subject. Plain text, for the label of a choice."""
    if subscription.name:
        return subscription.name
    label = table_of(subscription.table).label
    if not subscription.record_id:
        return f"every {label}"
    return f"{label} {record.number}" if record is not None else f"{label}: one record"


def channel_text(channel: Channel | None) -> str:
    """The name of a channel; None is one that the person can't see."""
    if channel is None:
        return "a channel that you may not see"
    name = "direct messages" if channel.type == "D" else escaped(channel.display_name or channel.name, 64)
    return f"{name} (archived)" if channel.archived else name


def channel_text_of(context: Context, channel_id: str) -> str:
    return channel_text(context.mattermost.visible_channels([channel_id]).get(channel_id))


def creator_text(username: str, subscription: Subscription) -> str:
    """Who created it: *username* if it was through this app, or else the user of ServiceNow."""
    return f"@{escaped(username, 64)}" if username else f"{escaped(subscription.created_by, 64)} (in ServiceNow)"


def events_text(events: tuple[str, ...]) -> str:
    """Labels of the events. Tokens of later versions are shown as they are."""
    labels = [EVENT_LABELS[Event(one)] if one in set(Event) else escaped(one, 40) for one in events]
    return ", ".join(labels) or "none"


def options_text(options: tuple[str, ...]) -> str:
    """What is posted, and where."""
    words = [
        "comment text hidden" if PostOption.HIDE_COMMENT in options else "comment text shown",
        "posts in the channel" if PostOption.IN_CHANNEL in options else "replies in a thread",
    ]
    if PostOption.MENTION_ASSIGNEE in options:
        words.append("mentions the assignee")
    return ", ".join(words)


def filter_text(wanted: Filter, names: Mapping[str, str], columns: Mapping[str, Column]) -> str:
    """
    A filter in words; "" for none.

    Args:
        names: Display values by sys_id, if known.
        columns: For the labels of choices.
    """
    parts = []
    if wanted.priority:
        parts.append(f"priority {_label('priority', wanted.priority, names, columns)} or above")
    for column, label in _FILTER_LABELS.items():
        if value := getattr(wanted, column):
            parts.append(f"{label} {_label(column, value, names, columns)}")
    if wanted.text:
        parts.append(f"text contains “{escaped(wanted.text, 100)}”")
    if wanted.query:
        parts.append(f"query {escaped(wanted.query, 300)}")
    return "; ".join(parts)


def _label(column: str, value: str, names: Mapping[str, str], columns: Mapping[str, Column]) -> str:
    choices = columns[column].choices if column in columns else ()
    label = next((choice.label for choice in choices if choice.value == value), "")
    return escaped(names.get(value) or label or value, 100)
