"""
What an opened form carries: where it was opened, and its id. Signed, so that it can be trusted later.

The id is made when a modal opens and becomes the record's ``correlation_id``: one opened form makes
one record, however often and however parallel it is sent.
"""

import uuid
from dataclasses import asdict, dataclass
from typing import Any

from core.calls import Call
from handlers.context import Context

LIFE = 12 * 3600.0  # seconds a form may stay open


@dataclass(frozen=True)
class Opened:
    """One opened form. ``root_id`` is the thread that gets the card, "" for none."""

    form_id: str
    channel_id: str
    root_id: str

    @classmethod
    def of(cls, call: Call) -> "Opened":
        """
        The form that *call* opens or belongs to.

        A command's submit has no state and gets a fresh id; it stands for itself.
        """
        if call.state:
            return cls(**{name: str(call.state.get(name, "")) for name in ("form_id", "channel_id", "root_id")})
        channel_id = call.channel.id if call.channel else ""
        root_id = ""
        if call.post is not None:
            channel_id = call.post.channel_id or channel_id
            root_id = call.post.root_id or call.post.id
        return cls(uuid.uuid4().hex, channel_id, root_id)

    def signed(self, path: str, context: Context, **more: Any) -> str:
        """The state that travels through the client, for the form at *path*; *more* are JSON values."""
        content = asdict(self) | more
        return context.signer.sign(content, person=context.person.id, path=path, expires_at=context.clock() + LIFE)
