"""What follows from a subscription that is saved: the grant that we keep, and what its channel is told."""

from dataclasses import dataclass

import structlog

from core.errors import MattermostError, NotPermitted
from core.subscriptions import Grant, Subscription
from handlers.context import Context
from handlers.subscriptions_text import events_text, place_word
from mattermost.cards import subscription_card
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Description:
    """What people read of a subscription. ``subject`` and ``filter`` are Markdown."""

    subject: str
    filter: str = ""


def grant_of(
    subscription: Subscription,
    context: Context,
    granted: Grant | None = None,
    *,
    creator: bool = True,
    record_read: bool = False,
) -> Grant:
    """
    What the owner may have posted from now on.

    Args:
        granted: What was granted so far; its owner stays.
        creator: Whether the person made the subscription, and so owns what nobody owned.
        record_read: The person could read its record just now.
    """
    owner_id = granted.owner_id if granted else ""
    same_record = granted is not None and (granted.table, granted.record_id) == (
        subscription.table,
        subscription.record_id,
    )
    return Grant(
        sys_id=subscription.sys_id,
        owner_id=owner_id or (context.person.id if creator else ""),
        channel_id=subscription.channel_id,
        table=subscription.table,
        record_id=subscription.record_id,
        filter_query=subscription.filter_query,
        events=",".join(subscription.events),
        options=",".join(subscription.options),
        name=subscription.name,
        status=subscription.status.value,
        reason=subscription.status_reason,
        granted_at=context.clock(),
        created_by=(granted.created_by if granted else "") or (subscription.created_by if creator else ""),
        record_read=bool(subscription.record_id)
        and ((creator and record_read) or (same_record and granted is not None and granted.record_read)),
        version=granted.version + 1 if granted else 1,
    )


def announce(subscription: Subscription, did: str, description: Description, mark: str, context: Context) -> str:
    """
    Tell the channel who did what; why it could not be told as a further sentence, "" when it was.

    Args:
        did: What the person did, to follow the name, with ``{place}`` for what people call the channel.
    """
    place = place_word(subscription.channel_id, context)
    did = did.format(place=place)
    facts = [("Follows", description.subject), ("Events", events_text(subscription.events))]
    if description.filter:
        facts.append(("Only", description.filter))
    if subscription.name:
        facts.insert(0, ("Name", escaped(subscription.name, 100)))
    name = context.display_name
    card = subscription_card(f"{name} {did}", facts, subscription.sys_id)
    try:
        context.mattermost.post_card(
            channel_id=subscription.channel_id,
            root_id="",
            attachment=card,
            pending_post_id=mark,
            message=f"**{escaped(name, 100)}** {did}",
        )
    except (MattermostError, NotPermitted) as error:
        log.warning("subscription not announced", subscription=subscription.sys_id, reason=error.log_message)
        return f"\n\nIts {place} was not told: {error.user_message}"
    return ""
