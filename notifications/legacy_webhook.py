"""
Receives reports of update set v2.1 (design §9).

They are unsigned, and everyone with the role can read the secret in their URL. So each is only a hint: nothing is
believed but the sys_ids of a subscription and a record. Both are read with the owner's token before anything is
posted, the subscription by `adoption`, the record by `delivery`.
"""

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from core.errors import InvalidInput
from core.notices import Report, ReportedRecord
from core.outbox import Queued
from core.storage_ports import ChannelGrants, LegacyWebhookSecret, Outbox
from core.subscriptions import Grant
from core.times import Clock
from notifications.health import Rejections
from notifications.schema import MATTERMOST_ID, SYS_ID, TABLE_NAME

_MOST_HELD = 500  # rows that wait for the check of one owner's permissions
_MOST_IN_ALL = 5000
PATH = "/plugins/mattermost-plugin-servicenow/api/v1/notification"


class _Hint(Schema):
    """The keys that identify a subscription and a record. The others are ignored."""

    class Meta:
        unknown = EXCLUDE

    sys_id = fields.Str(required=True, validate=SYS_ID)
    record_id = fields.Str(required=True, validate=SYS_ID)
    record_type = fields.Str(required=True, validate=TABLE_NAME)
    mm_channel_id = fields.Str(required=True, validate=MATTERMOST_ID)
    mm_user_id = fields.Str(required=True, validate=MATTERMOST_ID)


_SCHEMA = _Hint()


class LegacyWebhook:
    """
    Args:
        stored: Called after a row was stored.
    """

    def __init__(
        self,
        switch: LegacyWebhookSecret,
        rejections: Rejections,
        *,
        outbox: Outbox,
        grants: ChannelGrants,
        clock: Clock,
        stored: Callable[[], None],
    ) -> None:
        self._switch = switch
        self._rejections = rejections
        self._outbox = outbox
        self._grants = grants
        self._clock = clock
        self._stored = stored

    def receive(self, secret: str, body: bytes) -> bool:
        """
        Store a hint. It is on disk when this returns. Returns False if it is rejected: turned off, expired, another
        secret, or too many are waiting.

        Raises:
            InvalidInput: It isn't a report of v2.1.
            StorageFailed: It could not be stored.
        """
        # Read it each time, so that it expires on time. v2.1 writes the secret into the URL unencoded.
        wanted = self._switch.secret()
        given = (secret, unquote(secret))
        holds = [hmac.compare_digest(one.encode("utf-8", "replace"), wanted.encode()) for one in given]
        if not wanted or not any(holds):
            self._rejections.refused("legacy_webhook")
            return False
        try:
            hint: dict[str, Any] = _SCHEMA.load(json.loads(body))
        except (ValidationError, ValueError, RecursionError) as error:
            self._rejections.refused("malformed")
            wrong = error.messages_dict if isinstance(error, ValidationError) else {"": "Not JSON."}
            raise InvalidInput({str(name): str(text) for name, text in wrong.items()}) from error
        event_id = secrets.token_hex(16)
        grant = self._grants.get(hint["sys_id"])
        channel_id = grant.channel_id if grant is not None else hint["mm_channel_id"]
        owner_id = grant.owner_id if grant is not None else hint["mm_user_id"]
        held = [row.held_for for row in self._outbox.waiting() if row.held_for]
        if len(held) >= _MOST_IN_ALL or held.count(owner_id) >= _MOST_HELD:
            # Anyone who knows the secret can send any number, and each row makes the outbox slower for everyone.
            self._rejections.refused("too_many")
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


def report_of_legacy(grant: Grant | None, hint: Mapping[str, str]) -> Report | None:
    """
    A report that only says that a record may have changed, for the subscription that *hint* names.

    None if the hint leads to nothing. v2.1 has no filters, so it also reports what a subscription excludes.
    """
    if grant is None or grant.filter_query or grant.record_id not in {"", hint["record_id"]}:
        return None
    record = ReportedRecord(table=grant.table, sys_id=hint["record_id"], number="")
    return Report(event_id="", occurred_at=0.0, component="", server_url="", record=record)
