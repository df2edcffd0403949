"""
Changes of a subscription: what differs is sent, the grant follows, the channel is told.

The grant is stored first. Until the row in ServiceNow says the same the two disagree and nothing is
posted; where the row can't be changed the grant goes back to what it was.
"""

from dataclasses import replace

import structlog

from core.calls import Text
from core.errors import AccessDenied, AppError, Broken, ServiceNowError
from core.subscriptions import TABLE, Status, Subscription
from handlers.confirmed import MayBeSaved, NothingSaved
from handlers.context import Context
from handlers.idempotency import Attempt, once
from handlers.subscriptions_announcements import Description, announce, grant_of
from handlers.subscriptions_permissions import NotTheCreator, check_may_manage, counts, is_creator, rows_of
from handlers.subscriptions_saving import AlreadyThere, one_at_a_time
from handlers.subscriptions_text import events_text

log = structlog.get_logger(__name__)

_REASON_CHARACTERS = 255  # of the column


def change(before: Subscription, after: Subscription, description: Description, form_id: str, context: Context) -> str:
    """
    Save what differs; the confirmation. The creator stays who it was. Raises as `create`, and:

    Raises:
        NotYours, NotTheCreator: The person may not change it.
    """

    def work(_attempt: Attempt) -> Text:
        creator = check_may_manage(before, context)
        for channel_id in dict.fromkeys((before.channel_id, after.channel_id)):
            context.mattermost.may_post(channel_id)
        context.mattermost.let_bot_in(after.channel_id)
        if after == before:
            return Text("Nothing was changed.")
        with one_at_a_time(after, context):
            if not after.same_as(before):
                _refuse_twins(after, context)
            update(before, after, context, creator=creator, record_read=True)
        mark = f"{context.person.id}:{form_id}"
        problem = announce(after, "changed a subscription of this {place}", description, mark, context)
        if after.channel_id != before.channel_id:
            announce(before, "moved a subscription away from this {place}", description, f"{mark}:old", context)
        return Text(f"Saved: {description.subject} ({events_text(after.events)}).{problem}")

    return once(form_id, context, work).text


def update(
    before: Subscription, after: Subscription, context: Context, *, creator: bool, record_read: bool = False
) -> Subscription:
    """
    Store the grant and send what differs; as stored. Where that fails all stays as it was.

    Args:
        record_read: The person could read the subscription's record just now.
    """
    granted = context.stores.grants.get(before.sys_id)
    if granted is not None or creator:
        context.stores.grants.put(grant_of(after, context, granted, creator=creator, record_read=record_read))
    try:
        with rows_of(context) as rows:
            return rows.update(before, after)
    except AppError as error:
        if error.may_have_been_saved:
            found = _found(after, error, context)
            if _says(found, after):
                return found
            if not isinstance(error, Broken) or not _says(found, before):
                raise MayBeSaved(f"update unanswered: {error}", context.links.list(TABLE)) from error
        if granted is not None:
            context.stores.grants.put(granted)
        elif creator:
            context.stores.grants.delete(before.sys_id)
        if isinstance(error, AccessDenied) and not creator:
            raise NotTheCreator(error.log_message) from error
        if isinstance(error, Broken):
            raise NothingSaved(error.log_message) from error
        raise


def _found(wanted: Subscription, cause: AppError, context: Context) -> Subscription:
    """What an unanswered change left behind."""
    try:
        with rows_of(context) as rows:
            return rows.get(wanted.sys_id)
    except ServiceNowError as error:
        raise MayBeSaved(f"looking failed: {error}", context.links.list(TABLE)) from cause


def _says(found: Subscription, wanted: Subscription) -> bool:
    """Whether a row says what was wanted, whoever wrote it and when."""
    return replace(found, updated_by=wanted.updated_by, updated_on=wanted.updated_on) == wanted


def _refuse_twins(wanted: Subscription, context: Context) -> None:
    with rows_of(context) as rows:
        others = [one for one in rows.twins(wanted) if one.sys_id != wanted.sys_id and counts(one, context)]
    if others:
        raise AlreadyThere(others[0])


def with_known_state(stored: Subscription, context: Context) -> Subscription:
    """
    What broke is known here first; its creator carries it to the row, where other tools read it.

    One round trip where there is something to tell, none else; a failure waits for the next time.
    """
    grant = context.stores.grants.get(stored.sys_id)
    if grant is None or grant.status != Status.BROKEN or not is_creator(stored, context):
        return stored
    told = replace(stored, status=Status.BROKEN, status_reason=grant.reason[:_REASON_CHARACTERS])
    try:
        with rows_of(context) as rows:
            return rows.update(stored, told)
    except ServiceNowError as error:
        log.warning("broken state not copied", subscription=stored.sys_id, reason=type(error).__name__)
        return stored
