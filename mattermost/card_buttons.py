"""
The buttons of a card, and the verification of a press (native integrations reference §3; design §4).

A button's `context` never reaches a client, but any user can make the server post a forged one. So it contains our
MAC over table, record, channel and the offered actions. It doesn't expire, because old cards must keep working.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import NotVerified
from core.menus import BY_WORD, Action, CardKey, Offer
from core.signing import Signer

_PATH = "card"
_NEVER = 2.0**53  # the largest time that every JSON reader keeps exactly


@dataclass(frozen=True)
class Pressed:
    """A verified press: which action, on which card."""

    action: Action
    card: CardKey


class CardButtons:
    """
    Args:
        url: Where Mattermost posts presses to.
    """

    def __init__(self, signer: Signer, url: str) -> None:
        self._signer = signer
        self._url = url

    def write(self, card: CardKey, offered: Offer) -> list[dict[str, Any]]:
        """The ``actions`` of an attachment: buttons, and a select with the remaining actions."""
        actions: list[dict[str, Any]] = [
            {
                "id": action.word,
                "type": "button",
                "name": action.label,
                "integration": self._integration(card, [action]),
            }
            for action in offered.buttons
        ]
        if offered.more:
            options = [{"text": action.label, "value": action.word} for action in offered.more]
            actions.append(
                {
                    "id": "more",
                    "type": "select",
                    "name": "More…",
                    "options": options,
                    "integration": self._integration(card, offered.more),
                }
            )
        return actions

    def read(self, context: Any) -> Pressed:
        """
        Verify a press. *context* is unchecked JSON.

        Raises:
            NotVerified: The token isn't ours, or the action wasn't offered.
        """
        token = context.get("card") if isinstance(context, Mapping) else None
        if not isinstance(token, str):
            raise NotVerified("button: no token")
        content = self._signer.verify(token, person="", path=_PATH, now=0.0)
        words = content["actions"]
        word = words[0] if len(words) == 1 else context.get("selected_option")
        if word not in words or word not in BY_WORD:
            raise NotVerified("button: not among those offered")
        return Pressed(BY_WORD[word], CardKey(**content["card"]))

    def _integration(self, card: CardKey, actions: tuple[Action, ...] | list[Action]) -> dict[str, Any]:
        content = {"actions": [action.word for action in actions], "card": vars(card)}
        token = self._signer.sign(content, person="", path=_PATH, expires_at=_NEVER)
        return {"url": self._url, "context": {"card": token}}
