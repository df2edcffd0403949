"""Subscribe a channel to a record that somebody has just made, as the switch in its form asks for."""

import structlog

from core.errors import AppError
from core.records import Record
from core.subscriptions import Event, Subscription
from handlers.confirmed import MayBeSaved
from handlers.context import Context
from handlers.subscriptions_announcements import Description
from handlers.subscriptions_saving import create
from handlers.subscriptions_text import place_word, subject

log = structlog.get_logger(__name__)

# What one wants to see of a record of one's own (spec §7.4).
EVENTS = (Event.STATE, Event.PRIORITY, Event.COMMENTED, Event.ASSIGNED_TO, Event.ASSIGNMENT_GROUP)


def subscribed(record: Record, channel_id: str, form_id: str, context: Context) -> str:
    """Subscribe the channel to *record*; how that went, as a sentence. The record stays whatever happens."""
    wanted = Subscription(
        channel_id=channel_id,
        user_id=context.person.id,
        table=record.table,
        record_id=record.sys_id,
        events=tuple(event.value for event in EVENTS),
    )
    try:
        return create(wanted, Description(subject(wanted, record, context)), form_id, context)
    except AppError as error:
        log.warning("new record not subscribed", table=record.table, sys_id=record.sys_id, reason=error.log_message)
        place = place_word(channel_id, context)
        if isinstance(error, MayBeSaved):
            return (
                f"It was created, but we couldn't confirm whether this {place} is subscribed to it. "
                "`/servicenow subscriptions list` shows it if it is."
            )
        return f"It was created, but this {place} was not subscribed to it: {error.user_message}"
