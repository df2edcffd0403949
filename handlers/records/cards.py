"""Post and update the card of a record, with the buttons for its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from core.errors import NotPermitted, StorageFailed
from core.instance import Instance
from core.menus import CardKey, Offer
from core.outbox import CardUpdate
from core.records import Record
from core.tables import table_of
from core.upstream_errors import MattermostError, MattermostSilent
from handlers.context import Context
from handlers.idempotency import Attempt
from handlers.registry import calls
from mattermost.cards import record_card, record_link, record_title
from mattermost.markdown import escaped

if TYPE_CHECKING:
    from mattermost.card_buttons import CardButtons
    from servicenow.links import Links

_CARD = "card"
_NAME_CHARACTERS = 100
_TITLE_CHARACTERS = 160

log = structlog.get_logger(__name__)


def card_of(context: Context, record: Record, channel_id: str) -> dict[str, Any]:
    """
    The card as a message attachment.

    Args:
        record: With its table's card columns.
        channel_id: The channel of the card. Its buttons don't work in others.
    """
    return build_card(record, channel_id, context.instance, context.links, context.buttons)


def build_card(
    record: Record, channel_id: str, instance: Instance, links: Links, buttons: CardButtons
) -> dict[str, Any]:
    """As `card_of`, for the worker, which has no context."""
    actions = buttons.write(CardKey(record.table, record.sys_id, record.number, channel_id), actions_of(record))
    address = links.record(record.table, record.sys_id)
    return record_card(record, address, instance.url.partition("://")[2], actions=actions)


def actions_of(record: Record) -> Offer:
    """The actions for the record's table and state."""
    offered = table_of(record.table).offer(record.value("state"))
    return offered.only(lambda action: calls.has(action.path, action.kind))


def shown_version(record: Record) -> dict[str, str]:
    """The version of the record that a card shows, so that an older one doesn't replace it."""
    return {"table": record.table, "sys_id": record.sys_id, "sys_mod_count": record.value("sys_mod_count")}


def post_card_once(
    context: Context,
    attempt: Attempt,
    record: Record,
    *,
    channel_id: str,
    root_id: str,
    did: str,
    message: str = "",
) -> None:
    """
    Post the record's card, unless an earlier submit of the form did, and remember where it is.

    Its first line makes sense on its own, because lists of threads and notifications show nothing else of the post.

    Args:
        did: What the person did with the record, such as ``created``.
        message: Markdown below that line.

    Raises:
        MayNotPost, MattermostRefused: It wasn't posted.
        MattermostSilent: It may have been posted. If the form is sent again, it looks for the post.
    """
    if attempt.has_done(_CARD):
        return
    mark = f"{context.person.id}:{attempt.form_id}"
    sent_before = attempt.may_have_sent(_CARD)
    attempt.begin(_CARD)
    try:
        post_id = context.mattermost.posted_card(channel_id, mark, attempt.since) if sent_before else ""
        post_id = post_id or context.mattermost.post_card(
            channel_id=channel_id,
            root_id=root_id,
            attachment=card_of(context, record, channel_id),
            pending_post_id=mark,
            message="\n\n".join(filter(None, (_headline(context, record, did), message))),
            shows=shown_version(record),
        )
    except MattermostSilent:
        raise
    except (MattermostError, NotPermitted):
        attempt.discard(_CARD)
        raise
    attempt.finish(_CARD)
    try:
        context.stores.cards.add(channel_id, record.sys_id, post_id)
    except StorageFailed as error:
        log.error("card not remembered", sys_id=record.sys_id, reason=error.log_message)


def _headline(context: Context, record: Record, did: str) -> str:
    """Such as ``Amir Agent created [INC0010001](…): No network``. It never changes: Mattermost would mark the post."""
    link = record_link(record, context.links.record(record.table, record.sys_id))
    title = escaped(record_title(record).partition(": ")[2], _TITLE_CHARACTERS)
    return f"{escaped(context.display_name, _NAME_CHARACTERS)} {did} {link}" + (f": {title}" if title else "")


def update_card(context: Context, record: Record, post_id: str, channel_id: str) -> CardUpdate:
    """Make the card at *post_id* show *record*, which must have its table's card columns."""
    try:
        return context.mattermost.update_card(
            post_id=post_id, attachment=card_of(context, record, channel_id), shows=shown_version(record)
        )
    except MattermostError as error:
        log.warning("card not updated", sys_id=record.sys_id, reason=error.log_message)
        return CardUpdate(updated=False)
