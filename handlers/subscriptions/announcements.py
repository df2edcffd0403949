"""Tell a channel what was done with one of its subscriptions."""

from dataclasses import dataclass

import structlog

from core.errors import NotPermitted
from core.subscriptions import Subscription
from core.upstream_errors import MattermostError
from handlers.context import Context
from handlers.subscriptions.text import events_text
from mattermost.cards import subscription_card
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Description:
    """What people read about a subscription. ``subject`` and ``filter`` are Markdown."""

    subject: str
    filter: str = ""


def announce_subscription(
    context: Context, subscription: Subscription, did: str, description: Description, pending_post_id: str
) -> str:
    """
    Post who did what. Return "", or a sentence for the person if it couldn't be posted.

    Args:
        did: What the person did, after the name. ``{place}`` is replaced by "channel" or "conversation".
        pending_post_id: Keeps Mattermost from posting it twice.
    """
    place = place_word(context, subscription.channel_id)
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
            pending_post_id=pending_post_id,
            message=f"**{escaped(name, 100)}** {did}",
        )
    except (MattermostError, NotPermitted) as error:
        log.warning("subscription not announced", subscription=subscription.sys_id, reason=error.log_message)
        return f"\n\nIts {place} was not told: {error.user_message}"
    return ""


def place_word(context: Context, channel_id: str) -> str:
    """``channel``, or ``conversation`` for direct and group messages."""
    try:
        private = context.mattermost.channel(channel_id).type in {"D", "G"}
    except MattermostError:
        private = False
    return "conversation" if private else "channel"
