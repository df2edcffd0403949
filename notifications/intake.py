"""
Reports come in: proof, shape, replay, then one row per channel on disk, and only then the answer. What an owner
has to be asked about first is kept apart, in rows that are held for that owner.

A request proves itself before anything of it is read or looked up.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import structlog

from core.accounts import Account
from core.errors import InvalidInput
from core.notice_ports import Outbox, ParkedSubscriptions
from core.notices import Match, Report
from core.outbox import Content, Parked, Queued
from core.ports import Clock
from core.storage_ports import Accounts, ChannelGrants
from notifications.arrivals import Arrivals
from notifications.grants import Claimed, Foreign, Granted, judge
from notifications.refusals import Refusals
from notifications.schema import packed, read_report
from notifications.sharing import shared
from notifications.signatures import ReportRefused, Signatures

log = structlog.get_logger(__name__)

_Place = tuple[str, str]  # channel, and the person whose rights are to be checked first, "" for nobody

_PARKED_NOTED = 3600.0  # seconds; how exact the time of a parked subscription's last match is


class Intake:
    """
    Args:
        app_url: Our address; reports for another one are refused.
        instance: Origin of the instance in force; accounts of another one own nothing here.
        tables: Classes whose records may be posted.
        stored: Called after rows were stored, so that somebody looks at them.
    """

    def __init__(
        self,
        signatures: Signatures,
        refusals: Refusals,
        arrivals: Arrivals,
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
        self.refusals = refusals
        self._arrivals = arrivals
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
        Take a report in; it is on disk when this returns. False for one that came before.

        Raises:
            ReportRefused: It is not the component's, or too old.
            InvalidInput: It is not of the schema, or meant for another server.
            StorageFailed: The disk did not take it.
        """
        try:
            offset = self._signatures.check(headers, body)
        except ReportRefused as refusal:
            if refusal.offset is not None:
                self.refusals.proved(refusal.offset)
            self.refusals.refused(refusal.reason, refusal.log_message)
            raise
        self.refusals.proved(offset)
        try:
            report = read_report(_json(body))
        except InvalidInput as error:
            self.refusals.refused("malformed", error.log_message)
            raise
        if report.server_url.rstrip("/") != self._app_url:
            self.refusals.refused("wrong_server")
            raise InvalidInput({"server_url": "Is not the address of this server."})
        return self.accept(report)

    def accept(self, report: Report) -> bool:
        """As `receive`, of a report that is believed."""
        if report.test:
            self._arrivals.note(report.test)
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
        """Put it where it belongs; what is to be kept of one that nobody who may has asked for."""
        grant = self._grants.get(match.sys_id)
        owner = self._owner(grant.owner_id if grant is not None else match.user_id)
        match judge(match, grant, owner, report.events, bool(report.test)):
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


def parked(match: Match, reason: str, now: float, told_at: float) -> Parked:
    """What is kept of a subscription of which nothing is posted."""
    return Parked(
        sys_id=match.sys_id,
        channel_id=match.channel_id,
        created_by=match.created_by,
        updated_by=match.updated_by,
        reason=reason,
        seen_at=now,
        told_at=told_at,
    )


def _about(report: Report, channel_id: str, sys_ids: Collection[str]) -> Report:
    """What concerns these subscriptions of a channel alone."""
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
