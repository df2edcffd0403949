"""How a subscription reads: in lists, details and in what is posted about it. Markdown, record text escaped."""

from collections.abc import Mapping

from core.errors import MattermostError
from core.records import Column, Record
from core.subscriptions import EVENT_LABELS, Event, Filter, Grant, PostOption, Status, Subscription
from core.tables import table_of
from handlers.context import Context
from handlers.subscriptions_permissions import grant_for
from mattermost.markdown import escaped

_TITLE = 80  # characters of a record's title in a line

WAITING = "waiting"
STATUS_LABELS = {
    Status.ACTIVE.value: "active",
    Status.PAUSED.value: "paused",
    Status.BROKEN.value: "broken",
    WAITING: WAITING,
}
NO_RECORD = "a record that you may not see, or that is gone"


def subject(subscription: Subscription, record: Record | None, context: Context) -> str:
    """``Incident [INC0010001](…): what is wrong`` or ``every [Incident](…)``, with links."""
    label = escaped(table_of(subscription.table).label, 60)
    if not subscription.record_id:
        return f"every [{label}]({context.links.list(subscription.table)})"
    if record is None:
        return f"{label}: {NO_RECORD}"
    link = f"[{escaped(record.number, 60)}]({context.links.record(subscription.table, record.sys_id)})"
    title = escaped(record.value("short_description"), _TITLE)
    return f"{label} {link}: {title}" if title else f"{label} {link}"


def short_subject(subscription: Subscription, record: Record | None) -> str:
    """The same as plain text, for the labels of choices: its name, else what it is about."""
    if subscription.name:
        return subscription.name
    label = table_of(subscription.table).label
    if not subscription.record_id:
        return f"every {label}"
    return f"{label} {record.number}" if record is not None else f"{label}: one record"


def place_word(channel_id: str, context: Context) -> str:
    """What people call the place: direct and group messages are no channels to them."""
    try:
        private = context.mattermost.channel(channel_id).type in {"D", "G"}
    except MattermostError:
        private = False
    return "conversation" if private else "channel"


def events_text(events: tuple[str, ...]) -> str:
    """Labels by commas; tokens of later versions as they are."""
    labels = [EVENT_LABELS[Event(one)] if one in set(Event) else escaped(one, 40) for one in events]
    return ", ".join(labels) or "none"


def options_text(options: tuple[str, ...]) -> str:
    """What differs from the usual, and what does not."""
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
        names: What sys_ids and values stand for, where known.
        columns: For the labels of choices.
    """
    parts = []
    if wanted.priority:
        parts.append(f"priority {_label('priority', wanted.priority, names, columns)} or above")
    for column, label in (
        ("assignment_group", "assignment group"),
        ("category", "category"),
        ("cmdb_ci", "configuration item"),
    ):
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


def standing(subscription: Subscription, grant: Grant | None) -> tuple[Status, str]:
    """How it is doing, and why it is broken, "" unless it is. What we know ourselves is newer than the row."""
    if grant is not None and grant.status == Status.BROKEN:
        return Status.BROKEN, grant.reason or subscription.status_reason
    if subscription.status is Status.BROKEN:
        return Status.BROKEN, subscription.status_reason
    if subscription.filter_error and subscription.status is Status.ACTIVE:
        return Status.BROKEN, f"ServiceNow can't evaluate its filter: {subscription.filter_error}"
    return subscription.status, ""


def shown_status(subscription: Subscription, context: Context) -> tuple[str, str]:
    """As `standing`, or that it waits: its row was created or changed past us, and nothing was posted of it."""
    grant = context.stores.grants.get(subscription.sys_id)
    status, reason = standing(subscription, grant)
    if status is Status.ACTIVE and grant_for(subscription, context) is None:
        what = "changed in ServiceNow, not through this app" if grant is not None else "not created through this app"
        return WAITING, f"{what}; nothing is posted until its owner's permissions are checked"
    return status.value, reason


def status_text(subscription: Subscription, context: Context) -> str:
    """The same in words. Markdown."""
    word, reason = shown_status(subscription, context)
    return f"{STATUS_LABELS[word]}{': ' + escaped(reason, 300) if reason else ''}"
