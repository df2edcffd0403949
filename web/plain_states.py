"""
The state of a dialog, signed for one person and one hour (design §4, "Plain host").

It can leak: if another integration opens a dialog for the same person, the web client sends what is on the
screen, with its state, to that integration (recorded). So it is only good for one successful submit of one form
about one record, by one person, within the hour.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.errors import NotVerified
from core.signing import Signer
from core.times import Clock

SECONDS = 3600.0
_PATH = "dialog"


@dataclass(frozen=True, kw_only=True)
class DialogState:
    """
    One step of a dialog.

    Attributes:
        id: The same for all steps of a dialog, which can be submitted successfully once.
        state: The form's own state, signed for its path.
        shape: Describes its elements; see `plain_shapes.shape_of`.
        channel_id, post_id: The location of the card.
        direct: Whether the card is in a direct or group message between people. Its members can't change.
    """

    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    path: str
    state: str
    shape: Mapping[str, Any]
    channel_id: str
    post_id: str
    direct: bool = False


class DialogStates:
    """Signs and verifies the states of dialogs."""

    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock

    def sign(self, content: DialogState, person_id: str) -> str:
        """Sign for *person_id*, whose press was verified."""
        expires_at = self._clock() + SECONDS
        return self._signer.sign(asdict(content), person=person_id, path=_PATH, expires_at=expires_at)

    def read(self, state: Any, user_id: Any) -> DialogState:
        """
        Verify a state that this person sent. Both arguments are unchecked JSON.

        Raises:
            NotVerified: We didn't sign it, or signed it for another person.
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
        """The verified state of the form inside."""
        if not opened.state:
            return {}
        return self._signer.verify(opened.state, person=user_id, path=opened.path, now=self._clock())
