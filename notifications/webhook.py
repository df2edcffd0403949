"""
Receives the component's signed reports (design §9). A report is stored, one row per channel, before it is answered.

Signature and age are checked before anything is read from the body. Rows that need their owner's permissions checked
are held for that owner.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import structlog

from core.accounts import Account
from core.errors import InvalidInput, NotVerified
from core.notices import Match, Report
from core.outbox import Content, Parked, Queued
from core.storage_ports import Accounts, ChannelGrants, Outbox, ParkedSubscriptions, WebhookKeys
from core.times import Clock
from notifications.authorization import Claimed, Foreign, Granted, authorize, parked, shared
from notifications.health import ReceivedTests, Rejections
from notifications.schema import packed, read_report

TIMESTAMP = "X-ServiceNow-Timestamp"
KEY = "X-ServiceNow-Key"
SIGNATURE = "X-ServiceNow-Signature"
HEADERS = (TIMESTAMP, KEY, SIGNATURE)

MAX_AGE_SECONDS = 300.0  # either way
_UNIX = re.compile(r"[0-9]{1,12}\Z")
_NOBODY = b"no such key"


class ReportRefused(NotVerified):
    """
    The report isn't the component's, or is too old.

    ``reason`` is the answer: ``unknown_key``, ``bad_mac``, or ``stale``. ``offset`` is how many seconds the sender's
    clock is ahead of ours; None if nothing proves the timestamp.
    """

    def __init__(self, reason: str, offset: float | None = None) -> None:
        super().__init__(f"report: {reason}" + (f", {offset:+.0f} s" if offset is not None else ""))
        self.reason = reason
        self.offset = offset


class Signatures:
    """Verifies requests with the keys that are accepted now."""

    def __init__(self, keys: WebhookKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def check(self, headers: Mapping[str, str], body: bytes) -> float:
        """
        Verify a request and return how many seconds the sender's clock is ahead of ours.

        The signature is checked before the age, because only a valid one says anything about a clock.

        Args:
            headers: Those in `HEADERS`, by these names; "" if missing.

        Raises:
            ReportRefused: With the reason.
        """
        key_id, stamp = headers[KEY], headers[TIMESTAMP]
        key = next((one for one in self._keys.accepted() if one.key_id == key_id), None)
        secret = key.secret.encode() if key is not None else _NOBODY
        mac = hmac.digest(secret, stamp.encode("latin-1", "replace") + b"." + body, hashlib.sha256)
        expected = "v1=" + base64.b64encode(mac).decode()
        holds = hmac.compare_digest(expected.encode(), headers[SIGNATURE].encode("utf-8", "replace"))
        if key is None:
            raise ReportRefused("unknown_key")
        if not holds or not _UNIX.match(stamp):
            raise ReportRefused("bad_mac")
        self._keys.used(key_id)
        offset = int(stamp) - self._clock()
        if abs(offset) > MAX_AGE_SECONDS:
            raise ReportRefused("stale", offset)
        return offset


log = structlog.get_logger(__name__)

_Place = tuple[str, str]  # channel, and the person whose permissions must be checked first, or ""

_PARKED_NOTED = 3600.0  # seconds; precision of the time of a parked subscription's last match


class Intake:
    """
    Args:
        app_url: Our URL. Reports for another one are rejected.
        instance: Origin of the current instance. Accounts of another instance own nothing here.
        tables: Classes whose records can be posted.
        stored: Called after rows were stored, to wake the threads.
    """

    def __init__(
        self,
        signatures: Signatures,
        rejections: Rejections,
        received_tests: ReceivedTests,
        *,
        outbox: Outbox,
        parked: ParkedSubscriptions,
        grants: ChannelGrants,
        accounts: Accounts,
        app_url: str,
        instance: Callable[[], str],
        tables: Collection[str],
        clock: Clock,
        stored: Callable[[], None],
    ) -> None:
        self._signatures = signatures
        self.rejections = rejections
        self._received_tests = received_tests
        self._outbox = outbox
        self._parked = parked
        self._grants = grants
        self._accounts = accounts
        self._app_url = app_url
        self._instance = instance
        self._tables = tables
        self._clock = clock
        self._stored = stored

    def receive(self, headers: Mapping[str, str], body: bytes) -> bool:
        """
        Store a report. It is on disk when this returns. Returns False if it was received before.

        Raises:
            ReportRefused: It isn't the component's, or is too old.
            InvalidInput: It doesn't match the schema, or is meant for another server.
            StorageFailed: It could not be stored.
        """
        try:
            offset = self._signatures.check(headers, body)
        except ReportRefused as refusal:
            if refusal.offset is not None:
                self.rejections.proved(refusal.offset)
            self.rejections.refused(refusal.reason, refusal.log_message)
            raise
        self.rejections.proved(offset)
        try:
            report = read_report(_json(body))
        except InvalidInput as error:
            self.rejections.refused("malformed", error.log_message)
            raise
        if report.server_url.rstrip("/") != self._app_url:
            self.rejections.refused("wrong_server")
            raise InvalidInput({"server_url": "Is not the address of this server."})
        return self.accept(report)

    def accept(self, report: Report) -> bool:
        """Store a report that was verified. See `receive`."""
        if report.test:
            self._received_tests.note(report.test)
        if report.record is None:
            return True
        if self._outbox.known(report.event_id):
            return False
        known_class = shared(report, self._tables)
        if known_class is None:
            log.info("class not shared", table=report.record.table)
            return self._outbox.add(report.event_id, [])
        report = known_class
        assert report.record is not None
        wanted: dict[_Place, list[str]] = {}
        foreign = [found for match in report.matches if (found := self._sort(match, report, wanted)) is not None]
        if foreign:
            self._parked.put(foreign)
        now = self._clock()
        rows: list[tuple[Queued, Content]] = []
        for (channel_id, held_for), sys_ids in wanted.items():
            queued = Queued(
                key=f"{report.event_id}/{channel_id}" + (f"/{held_for}" if held_for else ""),
                event_id=report.event_id,
                channel_id=channel_id,
                table=report.record.table,
                record_id=report.record.sys_id,
                stored_at=now,
                held_for=held_for,
            )
            content = {
                "report": packed(_about(report, channel_id, sys_ids)),
                "claimed" if held_for else "granted": sys_ids,
            }
            rows.append((queued, content))
        added = self._outbox.add(report.event_id, rows)
        if added and rows:
            self._stored()
        return added

    def _sort(self, match: Match, report: Report, wanted: dict[_Place, list[str]]) -> Parked | None:
        """Add the match to the rows that it is for. Returns what to keep if no one with permission asked for it."""
        grant = self._grants.get(match.sys_id)
        owner = self._owner(grant.owner_id if grant is not None else match.user_id)
        match authorize(match, grant, owner, report.events, bool(report.test)):
            case Granted():
                wanted.setdefault((match.channel_id, ""), []).append(match.sys_id)
            case Claimed(owner_id=owner_id):
                wanted.setdefault((match.channel_id, owner_id), []).append(match.sys_id)
            case Foreign(reason=reason):
                return self._foreign(match, reason)
        return None

    def _owner(self, person_id: str) -> Account | None:
        account = self._accounts.get(person_id)
        return account if account is not None and account.instance == self._instance() else None

    def _foreign(self, match: Match, reason: str) -> Parked | None:
        known, now = self._parked.get(match.sys_id), self._clock()
        told_at = known.told_at if known is not None else 0.0
        if known is not None and known.reason == reason and 0 <= now - known.seen_at < _PARKED_NOTED:
            return None
        log.warning("subscription parked", subscription=match.sys_id, reason=reason)
        return parked(match, reason, now, told_at)


def _about(report: Report, channel_id: str, sys_ids: Collection[str]) -> Report:
    """The report with only these subscriptions of the channel."""
    wanted = set(sys_ids)
    return replace(
        report, matches=[one for one in report.matches if one.channel_id == channel_id and one.sys_id in wanted]
    )


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput({"": "Not JSON."}) from error
    if not isinstance(content, dict):
        raise InvalidInput({"": "Not a JSON object."})
    return content
