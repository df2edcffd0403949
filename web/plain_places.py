"""Whether the presser is in the card's channel, and whether the pressed post shows the card's record (design §4)."""

from collections.abc import Mapping
from http import HTTPStatus

from core.errors import NotInChannel, NotVerified
from core.menus import CardKey
from core.signing import Signer
from core.upstream_errors import MattermostRefused
from mattermost.bot_tokens import NoBotToken
from mattermost.card_props import RECORD_PROP
from mattermost.direct_cards import PressedCard, members_of
from mattermost.paths import Path
from mattermost.permission_reads import PermissionReads
from mattermost.plain import PressRequest


def check_member(channel_id: str, reads: PermissionReads) -> None:
    """
    Check that the person is in a channel. Mattermost forwards presses of people outside it (recorded).

    Raises:
        NotInChannel: They aren't, or Mattermost didn't say.
        NoBotToken: The bot has no session to ask with.
    """
    try:
        reads.member(channel_id)
    except MattermostRefused as error:
        raise _not_in_channel(error) from error


def check_presser(pressed: PressRequest, reads: PermissionReads, signer: Signer) -> bool:
    """
    As `check_member`, for a press. True in a direct or group message between people, where the bot can't ask.

    Mattermost sends the channel's name with a press. The name of a direct message says who is in it. Who is in a
    group message is in its cards' buttons; older buttons don't say, so they are answered but can't update the card.
    """
    try:
        reads.member(pressed.channel_id)
    except MattermostRefused as error:
        if error.status == HTTPStatus.FORBIDDEN and pressed.may_be_in(reads.person_id):
            members = members_of(signer, pressed.channel_id, pressed.context)
            if members is None or reads.person_id in members:
                return True
        raise _not_in_channel(error) from error
    return False


def own_card(pressed: PressRequest, signer: Signer) -> PressedCard | None:
    """The pressed card of a direct or group message, if it is known that the presser is in there."""
    if pressed.in_direct or members_of(signer, pressed.channel_id, pressed.context) is not None:
        return PressedCard.of(pressed.post_id, pressed.context)
    return None


def check_post(card: CardKey, reads: PermissionReads, place: Path, *, direct: bool) -> None:
    """
    Check that the post at *place* shows the card's record in the card's channel.

    In a *direct* message between people the card is a person's post, which the bot can't read. There the button's
    token and the channel have to do.

    Raises:
        NotVerified: It shows another record, or is elsewhere.
    """
    try:
        post = reads.get(reads.ask, place)
    except MattermostRefused as error:
        if direct:
            return
        raise NotVerified(f"button: its post can't be read: {error}") from error
    shows = (post.get("props") or {}).get(RECORD_PROP) if isinstance(post, Mapping) else None
    known = shows if isinstance(shows, Mapping) else {}
    if (known.get("table"), known.get("sys_id")) != (card.table, card.sys_id):
        raise NotVerified("button: its card is another record's")
    if post.get("channel_id") != card.channel_id:
        raise NotVerified("button: its post is in another channel")


def _not_in_channel(error: MattermostRefused) -> NotInChannel | NoBotToken:
    if error.status == HTTPStatus.UNAUTHORIZED:
        return NoBotToken(f"refused: {error}")
    return NotInChannel(f"not a member, or not to be found out: {error}")
