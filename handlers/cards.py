"""A record's card with the buttons that fit it, as it is posted and as it is updated."""

from typing import Any

import structlog

from core.errors import NotPermitted, StorageFailed
from core.instance import Instance
from core.mattermost_ports import Buttons, CardUpdate
from core.menus import CardKey
from core.ports import Links
from core.records import Record
from core.tables import table_of
from core.upstream_errors import MattermostError, MattermostSilent
from handlers.context import Context
from handlers.idempotency import Attempt
from handlers.registry import calls
from mattermost.cards import record_card, record_link, record_title
from mattermost.markdown import escaped

_CARD = "card"
_NAME_CHARACTERS = 100
_TITLE_CHARACTERS = 160

log = structlog.get_logger(__name__)


def card_of(context: Context, record: Record, channel_id: str) -> dict[str, Any]:
    """
    The message attachment.

    Args:
        record: With what `mattermost.cards.record_card` shows.
        channel_id: Where the card stands; its buttons work nowhere else.
    """
    return drawn(record, channel_id, context.instance, context.links, context.buttons)


def drawn(record: Record, channel_id: str, instance: Instance, links: Links, buttons: Buttons) -> dict[str, Any]:
    """As `card_of`, outside any call."""
    fitting = (
        table_of(record.table).offer(record.value("state")).only(lambda action: calls.has(action.path, action.kind))
    )
    actions = buttons.write(CardKey(record.table, record.sys_id, record.number, channel_id), fitting)
    address = links.record(record.table, record.sys_id)
    return record_card(record, address, instance.url.partition("://")[2], actions=actions)


def shown_by(record: Record) -> dict[str, str]:
    """What a card says about itself, so that a later change finds out whether it is newer."""
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
    Post the record's card, unless an earlier submit of the form did, and remember where it stands.

    Its first line makes sense on its own: lists of threads and notifications show nothing else of the post.

    Args:
        did: What the person did with the record, such as ``created``.
        message: Markdown below that line.

    Raises:
        MayNotPost, MattermostRefused: It was not posted.
        MattermostSilent: It may have been posted; the form, sent again, looks for it.
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
            shows=shown_by(record),
        )
    except MattermostSilent:
        raise
    except (MattermostError, NotPermitted):
        attempt.undone(_CARD)
        raise
    attempt.finish(_CARD)
    try:
        context.stores.cards.add(channel_id, record.sys_id, post_id)
    except StorageFailed as error:
        log.error("card not remembered", sys_id=record.sys_id, reason=error.log_message)


def _headline(context: Context, record: Record, did: str) -> str:
    """``Amir Agent created [INC0010001](…): what is wrong``; Mattermost marks a post as edited if it ever changes."""
    link = record_link(record, context.links.record(record.table, record.sys_id))
    title = escaped(record_title(record).partition(": ")[2], _TITLE_CHARACTERS)
    return f"{escaped(context.display_name, _NAME_CHARACTERS)} {did} {link}" + (f": {title}" if title else "")


def update_card(context: Context, record: Record, post_id: str, channel_id: str) -> CardUpdate:
    """
    Let the card at *post_id* show *record*.

    *record* needs its table's card columns: one that lacks some would make the card forget them.
    """
    try:
        return context.mattermost.update_card(
            post_id=post_id, attachment=card_of(context, record, channel_id), shows=shown_by(record)
        )
    except MattermostError as error:
        log.warning("card not updated", sys_id=record.sys_id, reason=error.log_message)
        return CardUpdate(updated=False)
