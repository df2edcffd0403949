"""
Reports of update set v2.1 (design §9): unsigned, with a secret in the address that every role holder can
read. So they are hints: nothing of one is believed but the sys_ids of a subscription and a record, and
both are read with the owner's own token before anything is posted.
"""

import hmac
import json
import re
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from core.deadline import Deadline
from core.errors import AccessDenied, InvalidInput, NotConnected, NotInstalled
from core.notice_ports import Outbox
from core.notices import Match, Report, ReportedRecord
from core.outbox import Content, Queued
from core.ports import Clock
from core.records import Record
from core.storage_ports import ChannelGrants, OldDialect
from core.subscriptions import TABLE, digest_of, tokens
from notifications.adoption import COLUMNS, Adoption
from notifications.reading import SECONDS, ServiceNowFor
from notifications.refusals import Refusals

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
        or with another secret.

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
        queued = Queued(
            key=f"{event_id}/{channel_id}",
            event_id=event_id,
            channel_id=channel_id,
            table=grant.table if grant is not None else hint["record_type"],
            record_id=hint["record_id"],
            stored_at=self._clock(),
        )
        self._outbox.add(event_id, [(queued, {"hint": hint})])
        self._stored()
        return True


class Hints:
    """Finds out what a hint is about, with the rights of the subscription's owner."""

    def __init__(self, grants: ChannelGrants, adoption: Adoption, servicenow_for: ServiceNowFor) -> None:
        self._grants = grants
        self._adoption = adoption
        self._servicenow_for = servicenow_for

    def report(self, content: Content) -> tuple[Report, str] | None:
        """
        A report that says no more than that a record may have changed, and the subscription that may have
        it; None where the hint leads nowhere.

        Raises:
            MattermostError, ServiceNowError: It could not be found out; ask later.
        """
        hint = content["hint"]
        grant = self._grants.get(hint["sys_id"])
        row = self._row(grant.owner_id if grant is not None else hint["mm_user_id"], hint["sys_id"])
        if row is None or row.value("is_active") not in {"true", "1"}:
            return None
        match = _match(row)
        found = self._adoption.adopt(match)
        if found is None or found.filter_query or found.record_id not in {"", hint["record_id"]}:
            return None  # v2.1 knows no filters, and would report what the subscription leaves out
        record = ReportedRecord(table=found.table, sys_id=hint["record_id"], number="")
        return Report(event_id="", occurred_at=0.0, component="", server_url="", record=record), found.sys_id

    def _row(self, person_id: str, sys_id: str) -> Record | None:
        servicenow = self._servicenow_for(person_id, Deadline(SECONDS))
        try:
            return servicenow.read_records(TABLE, [sys_id], (*COLUMNS, "is_active")).get(sys_id)
        except (NotConnected, AccessDenied, NotInstalled):
            return None


def _match(row: Record) -> Match:
    return Match(
        sys_id=row.sys_id,
        channel_id=row.value("channel_id"),
        user_id=row.value("user_id"),
        table=row.value("record_type"),
        record_id=row.value("record_id"),
        filter_digest=digest_of(row.value("filter_query")),
        events=tokens(row.value("subscription_events")),
        options=tokens(row.value("options")),
        created_by=row.value("sys_created_by"),
        updated_by=row.value("sys_updated_by"),
        updated_on=row.value("sys_updated_on"),
    )
