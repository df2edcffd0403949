"""
What a dialog carries, signed for one person and one hour (design §4, "Plain host").

It can leak: when another integration opens a dialog for the same person, the web client sends what is on the
screen, with its state, to that integration (recorded). So it is worth little: one successful submit of one form
about one record, in the name of one person, soon.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.errors import NotVerified
from core.ports import Clock
from core.signing import Signer

SECONDS = 3600.0
_PATH = "dialog"


@dataclass(frozen=True, kw_only=True)
class DialogState:
    """
    One step of a dialog.

    Attributes:
        id: The same for all steps of a dialog, which is submitted successfully once.
        state: The form's own, signed for its path.
        shape: What `plain_forms.shape_of` says of its elements.
        channel_id, post_id: The card behind it.
        direct: Whether the card is in a direct or group message, which people neither join nor leave.
    """

    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    path: str
    state: str
    shape: Mapping[str, Any]
    channel_id: str
    post_id: str
    direct: bool = False


class DialogStates:
    """Makes and reads what dialogs carry."""

    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock

    def sign(self, content: DialogState, person_id: str) -> str:
        """For *person_id*, whose press was verified."""
        expires_at = self._clock() + SECONDS
        return self._signer.sign(asdict(content), person=person_id, path=_PATH, expires_at=expires_at)

    def read(self, state: Any, user_id: Any) -> DialogState:
        """
        What we signed for this very person; both are unchecked JSON.

        Raises:
            NotVerified: It is not ours, or another person's.
            ExpiredState: The dialog was open for more than an hour.
        """
        if not isinstance(state, str) or not isinstance(user_id, str) or not user_id:
            raise NotVerified("dialog: no state or nobody")
        content = self._signer.verify(state, person=user_id, path=_PATH, now=self._clock())
        try:
            return DialogState(**content)
        except TypeError as error:
            raise NotVerified("dialog: a state of an earlier version") from error

    def form_state(self, opened: DialogState, user_id: str) -> dict[str, Any]:
        """The form's own state inside."""
        if not opened.state:
            return {}
        return self._signer.verify(opened.state, person=user_id, path=opened.path, now=self._clock())
