"""
Reports of update set v2.1 (design §9): unsigned, with a secret in the address that every role holder can
read. So they are hints: nothing of one is believed but the sys_ids of a subscription and a record, and
both are read with the owner's own token before anything is posted: the subscription by the adopter, the
record by delivery.
"""

import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from core.errors import InvalidInput
from core.notice_ports import Outbox
from core.notices import Report, ReportedRecord
from core.outbox import Queued
from core.ports import Clock
from core.storage_ports import ChannelGrants, OldDialect
from core.subscriptions import Grant
from notifications.refusals import Refusals

_MOST_HELD = 500  # rows that wait for one owner to be asked
_MOST_IN_ALL = 5000
PATH = "/plugins/mattermost-plugin-servicenow/api/v1/notification"

_SYS_ID = validate.Regexp(re.compile(r"[0-9a-f]{32}\Z"), error="Not a sys_id.")
_TABLE = validate.Regexp(re.compile(r"[a-z][a-z0-9_]{0,79}\Z"), error="Not a table's name.")
_MATTERMOST_ID = validate.Regexp(re.compile(r"[a-z0-9]{26}\Z"), error="Not an id of Mattermost.")


class _Hint(Schema):
    """Of the sixteen keys those that say where to look; the others are not even read."""

    class Meta:
        unknown = EXCLUDE

    sys_id = fields.Str(required=True, validate=_SYS_ID)
    record_id = fields.Str(required=True, validate=_SYS_ID)
    record_type = fields.Str(required=True, validate=_TABLE)
    mm_channel_id = fields.Str(required=True, validate=_MATTERMOST_ID)
    mm_user_id = fields.Str(required=True, validate=_MATTERMOST_ID)


_SCHEMA = _Hint()


class OldReports:
    """
    Takes hints in.

    Args:
        stored: Called after a row was stored.
    """

    def __init__(
        self,
        switch: OldDialect,
        refusals: Refusals,
        *,
        outbox: Outbox,
        grants: ChannelGrants,
        clock: Clock,
        stored: Callable[[], None],
    ) -> None:
        self._switch = switch
        self._refusals = refusals
        self._outbox = outbox
        self._grants = grants
        self._clock = clock
        self._stored = stored

    def receive(self, secret: str, body: bytes) -> bool:
        """
        Take a hint in; it is on disk when this returns. False where it is not let in: switched off, ended,
        with another secret, or too many wait already.

        Raises:
            InvalidInput: It is not of the old form.
            StorageFailed: The disk did not take it.
        """
        # Read anew each time, so that it ends on its day. v2.1 writes the secret into the address unencoded.
        wanted = self._switch.secret()
        given = (secret, unquote(secret))
        holds = [hmac.compare_digest(one.encode("utf-8", "replace"), wanted.encode()) for one in given]
        if not wanted or not any(holds):
            self._refusals.refused("old_dialect")
            return False
        try:
            hint: dict[str, Any] = _SCHEMA.load(json.loads(body))
        except (ValidationError, ValueError, RecursionError) as error:
            self._refusals.refused("malformed")
            wrong = error.messages_dict if isinstance(error, ValidationError) else {"": "Not JSON."}
            raise InvalidInput({str(name): str(text) for name, text in wrong.items()}) from error
        event_id = secrets.token_hex(16)
        grant = self._grants.get(hint["sys_id"])
        channel_id = grant.channel_id if grant is not None else hint["mm_channel_id"]
        owner_id = grant.owner_id if grant is not None else hint["mm_user_id"]
        held = [row.held_for for row in self._outbox.waiting() if row.held_for]
        if len(held) >= _MOST_IN_ALL or held.count(owner_id) >= _MOST_HELD:
            # Whoever knows the secret can send any number, and each row makes the outbox slower for everybody.
            self._refusals.refused("too_many")
            return False
        queued = Queued(
            key=f"{event_id}/{channel_id}/{owner_id}",
            event_id=event_id,
            channel_id=channel_id,
            table=grant.table if grant is not None else hint["record_type"],
            record_id=hint["record_id"],
            stored_at=self._clock(),
            held_for=owner_id,
        )
        self._outbox.add(event_id, [(queued, {"hint": hint})])
        self._stored()
        return True


def hinted(grant: Grant | None, hint: Mapping[str, str]) -> Report | None:
    """
    A report that says no more than that a record may have changed, for the subscription that *hint* names.

    None where it leads nowhere. v2.1 knows no filters, and would report what a subscription leaves out.
    """
    if grant is None or grant.filter_query or grant.record_id not in {"", hint["record_id"]}:
        return None
    record = ReportedRecord(table=grant.table, sys_id=hint["record_id"], number="")
    return Report(event_id="", occurred_at=0.0, component="", server_url="", record=record)
