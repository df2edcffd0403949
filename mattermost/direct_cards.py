"""
Cards in direct and group messages between people (design §8).

The bot can't join those channels, so the card is a person's own post. The bot can neither read nor change it. The card
says when it was made, and only the answer to a press of one of its buttons can update it.

The bot can't find out who is in a group message, and Mattermost forwards presses by people outside it. So the buttons
carry a signed list of the members, which never change in a group message.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core.calls import Channel
from core.errors import NotVerified
from core.signing import Signer
from mattermost.card_props import RECORD_PROP

_NAME = re.compile(r"([a-z0-9]{26})__([a-z0-9]{26})")  # of a direct message
_PATH = "members of a group message"
_NEVER = 2.0**53  # the largest time that every JSON reader keeps exactly

_KEPT = "kept"  # beside the token of each button: what an update would lose
_MOST = 16_383  # characters of a message
_TEXTS = ("message", "pretext", "members")


def direct_members(channel: Channel) -> frozenset[str]:
    """The two people of a direct message, read from its name; empty for other channels."""
    found = _NAME.fullmatch(channel.name) if channel.type == "D" else None
    return frozenset(found.groups()) if found else frozenset()


def signed_members(signer: Signer, channel_id: str, person_ids: Collection[str]) -> str:
    """A signed list of a group message's members, for the buttons of its cards."""
    content = {"channel": channel_id, "members": sorted(person_ids)}
    return signer.sign(content, person="", path=_PATH, expires_at=_NEVER)


def members_of(signer: Signer, channel_id: str, context: Mapping[str, Any]) -> frozenset[str] | None:
    """
    The members that the button lists, or None if it lists none.

    Raises:
        NotVerified: The list isn't signed by us, or is of another channel.
    """
    kept = context.get(_KEPT)
    token = kept.get("members") if isinstance(kept, Mapping) else None
    if not token:
        return None
    content = signer.verify(str(token), person="", path=_PATH, now=0.0)
    if content["channel"] != channel_id:
        raise NotVerified("button: members of another channel")
    return frozenset(content["members"])


def own_post(post: Mapping[str, Any], now: float, members: str = "") -> dict[str, Any]:
    """
    *post* with a card that only presses can update: the footer says when it was made, the buttons carry its texts.

    Args:
        members: The result of `signed_members` in a group message.
    """
    props = post.get("props") or {}
    kept = {"message": str(post.get("message") or ""), "members": members}
    cards = [
        _own(card, kept | {"pretext": str(card.get("pretext") or "")}, now) for card in props.get("attachments", [])
    ]
    return {**post, "props": {**props, "attachments": cards}} if cards else dict(post)


@dataclass
class PressedCard:
    """
    The card whose button was pressed.

    Attributes:
        kept: Texts of the post that its buttons carry.
        update: The post's new content for the answer, or None.
    """

    post_id: str
    kept: Mapping[str, str] = field(repr=False)
    update: dict[str, Any] | None = None

    @classmethod
    def of(cls, post_id: str, context: Mapping[str, Any]) -> "PressedCard":
        """From the `context` of a verified button."""
        kept = context.get(_KEPT)
        found = kept if isinstance(kept, Mapping) else {}
        return cls(post_id, {name: str(found.get(name) or "")[:_MOST] for name in _TEXTS})

    def show(self, attachment: Mapping[str, Any], shows: Mapping[str, str], now: float) -> None:
        """Update the card in the answer. An answer without the message would remove it, and the props with it."""
        pretext = {"pretext": self.kept["pretext"]} if self.kept["pretext"] else {}
        card = _own({**pretext, **attachment}, dict(self.kept), now)
        self.update = {"message": self.kept["message"], "props": {"attachments": [card], RECORD_PROP: dict(shows)}}


def _own(card: Mapping[str, Any], kept: Mapping[str, str], now: float) -> dict[str, Any]:
    made = f"as of {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC"
    footer = f"{card['footer']} | {made}" if card.get("footer") else made
    actions = [_keeping(action, kept) for action in card.get("actions", [])]
    return {**card, "footer": footer} | ({"actions": actions} if actions else {})


def _keeping(action: Mapping[str, Any], kept: Mapping[str, str]) -> dict[str, Any]:
    integration = action.get("integration") or {}
    context = {**(integration.get("context") or {}), _KEPT: dict(kept)}
    return {**action, "integration": {**integration, "context": context}}
