"""
Create a subscription: its row in ServiceNow, its grant in our storage, and the announcement in its channel.

A form creates one subscription (`handlers/idempotency.py`). Duplicates are looked up after the row is inserted, because
only ServiceNow knows all rows. The newer duplicate is deleted.
"""

from dataclasses import astuple

import structlog

from core.calls import Text
from core.errors import AppError, StorageFailed
from core.records import Record
from core.subscriptions import TABLE, Event, Subscription
from core.times import raw_of
from core.upstream_errors import OldComponent, ServiceNowError
from handlers.confirmed import MayBeSaved
from handlers.context import Context
from handlers.idempotency import Attempt, once
from handlers.subscriptions.announcements import Description, announce_subscription, place_word
from handlers.subscriptions.duplicates import AlreadySubscribed, check_granted, find_duplicates, one_at_a_time
from handlers.subscriptions.permissions import new_grant, rows_of
from handlers.subscriptions.text import events_text, subject

log = structlog.get_logger(__name__)

# For an incident whose form also subscribes the channel (spec §7.4).
_EVENTS_OF_NEW_RECORD = (Event.STATE, Event.PRIORITY, Event.COMMENTED, Event.ASSIGNED_TO, Event.ASSIGNMENT_GROUP)
_CLOCK_MARGIN = 300.0  # seconds that the instance's clock may be behind ours


class HalfDone(AppError):
    """ServiceNow has a row that could be neither granted nor deleted."""

    def __init__(self, log_message: str, sys_id: str) -> None:
        super().__init__(
            log_message,
            "This could not be finished, and ServiceNow kept a row of it that posts nothing. "
            f"Remove it with `/servicenow subscriptions delete {sys_id}`, then try again.",
        )


def create_subscription(context: Context, wanted: Subscription, description: Description, form_id: str) -> str:
    """
    Save *wanted*, which was checked, and return the confirmation.

    Raises:
        AlreadySubscribed: The same subscription exists.
        MayNotPost, BotNotInChannel: The person or the bot can't post in the channel; nothing was saved.
        NotSetUp, NotAuthorized, OldComponent, ServiceNowError: Nothing was saved.
        MayBeSaved: ServiceNow didn't answer, and the lookup couldn't tell.
        HalfDone: Not saved, but a row remains.
    """

    def work(attempt: Attempt) -> Text:
        context.mattermost.let_bot_in(wanted.channel_id)
        with one_at_a_time(context, wanted):
            check_granted(context, wanted)
            stored = attempt.write(
                "row",
                send=lambda: _insert(context, wanted),
                look=lambda _digest: _find_inserted(context, wanted, attempt.since),
                content="\n".join(map(str, astuple(wanted))),
                address=context.links.list(TABLE),
            )
            try:
                _check_oldest(context, stored)
                _grant(context, stored)
            except AppError:
                attempt.discard("row")
                raise
        problem = announce_subscription(
            context, stored, "subscribed this {place}", description, f"{context.person.id}:{form_id}"
        )
        log.info("subscribed", subscription=stored.sys_id, person=context.person.id)
        return Text(f"Subscribed: {description.subject} ({events_text(stored.events)}).{problem}")

    return once(context, form_id, work).text


def subscribe_to_new(context: Context, record: Record, channel_id: str, form_id: str) -> str:
    """Subscribe the channel to *record*, which was just created. Return a sentence that says how it went."""
    wanted = Subscription(
        channel_id=channel_id,
        user_id=context.person.id,
        table=record.table,
        record_id=record.sys_id,
        events=tuple(event.value for event in _EVENTS_OF_NEW_RECORD),
    )
    try:
        return create_subscription(context, wanted, Description(subject(context, wanted, record)), form_id)
    except AppError as error:
        log.warning("new record not subscribed", table=record.table, sys_id=record.sys_id, reason=error.log_message)
        place = place_word(context, channel_id)
        if isinstance(error, MayBeSaved):
            return (
                f"It was created, but we couldn't confirm whether this {place} is subscribed to it. "
                "`/servicenow subscriptions list` shows it if it is."
            )
        return f"It was created, but this {place} was not subscribed to it: {error.user_message}"


def _insert(context: Context, wanted: Subscription) -> Subscription:
    try:
        with rows_of(context) as rows:
            return rows.insert(wanted)
    except OldComponent as error:
        _delete(context, error.sys_id)
        raise


def _find_inserted(context: Context, wanted: Subscription, first_sent: float) -> Subscription | None:
    """The row that an earlier submit of this form inserted."""
    since = raw_of(first_sent - _CLOCK_MARGIN)
    found = find_duplicates(context, wanted)
    return next((one for one in found if one.user_id == context.person.id and one.created_on >= since), None)


def _check_oldest(context: Context, stored: Subscription) -> None:
    """If there is an older duplicate, delete *stored* and raise AlreadySubscribed."""
    try:
        oldest = next(iter(find_duplicates(context, stored)), stored)
    except ServiceNowError as error:
        # Duplicates are harmless: a channel gets one post per change, no matter how many subscriptions match.
        log.warning("duplicates not looked up", subscription=stored.sys_id, reason=type(error).__name__)
        return
    if oldest.sys_id != stored.sys_id:
        _delete(context, stored.sys_id)
        raise AlreadySubscribed(oldest)


def _grant(context: Context, stored: Subscription) -> None:
    try:
        context.stores.grants.put(new_grant(context, stored, record_read=True))
    except StorageFailed:
        _delete(context, stored.sys_id)
        raise


def _delete(context: Context, sys_id: str) -> None:
    try:
        with rows_of(context) as rows:
            rows.delete(sys_id)
    except ServiceNowError as error:
        raise HalfDone(f"row {sys_id} not removed: {error}", sys_id) from error
