"""A record's card with the buttons that fit it, as it is posted and as it is updated."""

from typing import Any

from core.actions import CardKey, offer
from core.records import Record
from handlers.context import Context
from handlers.registry import calls
from mattermost.cards import record_card


def card_of(record: Record, channel_id: str, context: Context) -> dict[str, Any]:
    """
    The message attachment.

    Args:
        record: With what `mattermost.cards.record_card` shows.
        channel_id: Where the card stands; its buttons work nowhere else.
    """
    instance = context.instance.url.partition("://")[2]
    card = record_card(record, context.links.record(record.table, record.sys_id), instance)
    fitting = offer(record.table, record.value("state")).only(lambda action: calls.has(action.path, action.kind))
    buttons = context.buttons.write(CardKey(record.table, record.sys_id, record.number, channel_id), fitting)
    return card | ({"actions": buttons} if buttons else {})
