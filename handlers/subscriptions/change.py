"""
Change a stored subscription.

The grant is stored first, and nothing is posted until the row matches it. If the row can't be changed, the grant is
restored.
"""

from dataclasses import replace

from core.calls import Text
from core.errors import AppError
from core.subscriptions import TABLE, Subscription
from core.upstream_errors import AccessDenied
from handlers.confirmed import MayBeSaved, confirmed
from handlers.context import Context
from handlers.idempotency import Attempt, once
from handlers.subscriptions.announcements import Description, announce_subscription
from handlers.subscriptions.duplicates import AlreadySubscribed, find_duplicates, one_at_a_time
from handlers.subscriptions.permissions import NotTheCreator, check_may_manage, new_grant, rows_of
from handlers.subscriptions.text import events_text


def change(context: Context, before: Subscription, after: Subscription, description: Description, form_id: str) -> str:
    """
    Save what differs and return the confirmation.

    Raises:
        NotYours, NotTheCreator: The person can't change it. Otherwise as `create`.
    """

    def work(_attempt: Attempt) -> Text:
        creator = check_may_manage(context, before)
        for channel_id in dict.fromkeys((before.channel_id, after.channel_id)):
            context.mattermost.may_post(channel_id)
        context.mattermost.let_bot_in(after.channel_id)
        if after == before:
            return Text("Nothing was changed.")
        with one_at_a_time(context, after):
            if not after.same_as(before):
                others = [one for one in find_duplicates(context, after) if one.sys_id != after.sys_id]
                if others:
                    raise AlreadySubscribed(others[0])
            update(context, before, after, creator=creator, record_read=True)
        post_id = f"{context.person.id}:{form_id}"
        problem = announce_subscription(context, after, "changed a subscription of this {place}", description, post_id)
        if after.channel_id != before.channel_id:
            announce_subscription(
                context, before, "moved a subscription away from this {place}", description, f"{post_id}:old"
            )
        return Text(f"Saved: {description.subject} ({events_text(after.events)}).{problem}")

    return once(context, form_id, work).text


def update(
    context: Context, before: Subscription, after: Subscription, *, creator: bool, record_read: bool = False
) -> Subscription:
    """
    Store the grant and send what differs.

    Args:
        creator: Whether the person created the subscription.
        record_read: Whether the person could read its record just now.
    """
    grants = context.stores.grants
    granted = grants.get(before.sys_id)
    if granted is not None or creator:
        grants.put(new_grant(context, after, granted, creator=creator, record_read=record_read))
    try:
        return confirmed(
            send=lambda: _update_row(context, before, after),
            look=lambda: _find_update(context, before, after),
            address=context.links.list(TABLE),
        )
    except MayBeSaved:
        raise
    except AppError as error:
        if granted is not None:
            grants.put(granted)
        elif creator:
            grants.delete(before.sys_id)
        if isinstance(error, AccessDenied) and not creator:
            raise NotTheCreator(error.log_message) from error
        raise


def _update_row(context: Context, before: Subscription, after: Subscription) -> Subscription:
    with rows_of(context) as rows:
        return rows.update(before, after)


def _find_update(context: Context, before: Subscription, after: Subscription) -> Subscription | None:
    """
    The row if it equals *after*; None if it still equals *before*.

    Raises:
        MayBeSaved: It equals neither, because somebody else changed it.
    """
    with rows_of(context) as rows:
        found = rows.get(before.sys_id)
    stamped = replace(found, updated_by=after.updated_by, updated_on=after.updated_on)
    if stamped == after:
        return found
    if stamped == before:
        return None
    raise MayBeSaved("the row is neither as before nor as sent", context.links.list(TABLE))
