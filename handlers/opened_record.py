"""
The record that a form or a button is about, and where its card stands. Signed, as everything that comes back.

``sys_mod_count`` is the state of the record that the person saw: what was changed since is shown before
anything is overwritten.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

from core.calls import Call
from core.records import Record
from handlers.context import Context
from handlers.opened import LIFE


@dataclass(frozen=True, kw_only=True)
class OpenedRecord:
    """
    One record, as a form's state or a button carries it.

    Args:
        sys_mod_count: As seen; "" where nobody knows, as for a card that is older than this field.
        channel_id, post_id: Where the card stands; ``post_id`` is "" when the form came from no card.
        root_id: The thread of the card, "" where it is not known.
    """

    table: str
    sys_id: str
    number: str
    sys_mod_count: str = ""
    channel_id: str = ""
    post_id: str = ""
    root_id: str = ""

    @classmethod
    def of(cls, call: Call) -> "OpenedRecord | None":
        """What *call* carries; None for one that names its record otherwise, as commands do."""
        if not call.state.get("sys_id") or not call.state.get("table"):
            return None
        return cls(**{field.name: str(call.state.get(field.name, "")) for field in fields(cls)})

    @classmethod
    def to(cls, record: Record, call: Call) -> "OpenedRecord":
        """*record* as it was just read, opened where *call* comes from."""
        before = cls.of(call)
        channel_id = call.channel.id if call.channel else ""
        return cls(
            table=record.table,
            sys_id=record.sys_id,
            number=record.number,
            sys_mod_count=record.value("sys_mod_count"),
            channel_id=before.channel_id if before else channel_id,
            post_id=before.post_id if before else "",
            root_id=before.root_id if before else "",
        )

    def signed(self, path: str, context: Context, **more: Any) -> str:
        """The state that travels through the client, for the form at *path*; *more* are JSON values."""
        content = asdict(self) | more
        return context.signer.sign(content, person=context.person.id, path=path, expires_at=context.clock() + LIFE)
