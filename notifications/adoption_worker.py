"""
Checks events of subscriptions that were created or changed in ServiceNow, apart from those that can be posted.

Outbox rows that are held for an owner are never claimed for a post. A separate thread checks them with the
owner's permissions and releases or drops them. If someone changes a thousand rows in ServiceNow or sends
hints from v2.1, other people's notifications aren't delayed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from core.errors import StorageFailed
from core.notices import Match, Report
from core.outbox import Content, Queued
from core.storage_ports import Outbox
from core.times import Clock
from core.upstream_errors import MattermostError, ServiceNowError
from notifications.adoption import Adoption, Turn, match_of
from notifications.authorization import Claimed, Granted, Ignored, Verdict
from notifications.health import Health
from notifications.legacy_webhook import report_of_legacy
from notifications.loop import LONGEST_WAIT, Loop
from notifications.schedule import FIRST_RETRY, GIVE_UP_SECONDS, LONGEST_RETRY, MIN_ATTEMPTS
from notifications.schema import unpacked

log = structlog.get_logger(__name__)

AT_ONCE = 4  # owners checked concurrently
ROWS = 100  # of one owner per turn, which one request can read; the last report may exceed it
EVERY = 0.1  # seconds that an owner waits for the next turn, per row


@dataclass
class _Owner:
    """When an owner's rows are checked next, and the number of failures in a row."""

    ready_at: float = 0.0
    failures: int = 0


@dataclass
class _Decided:
    """The results of a turn: keys of rows."""

    released: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    later: str = ""


class AdoptionWorker:
    """
    Args:
        muted: Whether nothing can be read as anyone now because the app is turned off.
        released: Called after rows were released, so that they get posted.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        adoption: Adoption,
        health: Health,
        muted: Callable[[], bool],
        clock: Clock,
        released: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._adoption = adoption
        self._health = health
        self._muted = muted
        self._clock = clock
        self._released = released
        self._owners: dict[str, _Owner] = {}
        self.loop = Loop("adoption", self._round)

    def _held(self) -> Mapping[str, list[Queued]]:
        """Held rows by owner, in order of arrival."""
        held: dict[str, list[Queued]] = {}
        for row in self._outbox.waiting():
            if row.held_for:
                held.setdefault(row.held_for, []).append(row)
        return held

    def _left(self, owner_id: str, now: float) -> float:
        """Seconds until an owner's next turn; 0 if the clock was set back."""
        left = self._owners.get(owner_id, _Owner()).ready_at - now
        return left if 0 < left <= LONGEST_RETRY else 0.0

    def _round(self) -> float:
        """Run a turn for every owner who is due. Returns the seconds until the next round."""
        now, held = self._clock(), self._held()
        if self._muted():
            self._give_up_late(held, now)
            return LONGEST_WAIT
        self._owners = {owner_id: known for owner_id, known in self._owners.items() if owner_id in held}
        due = {owner_id: rows for owner_id, rows in held.items() if not self._left(owner_id, now)}
        if not due:
            return min((self._left(owner_id, now) for owner_id in held), default=LONGEST_WAIT)
        with ThreadPoolExecutor(min(AT_ONCE, len(due)), "adoption") as pool:
            for turn in [pool.submit(self._turn, owner_id, rows) for owner_id, rows in due.items()]:
                turn.result()
        return 0.0

    def _turn(self, owner_id: str, rows: Sequence[Queued]) -> None:
        owner = self._owners.setdefault(owner_id, _Owner())
        turn, decided, began = self._adoption.turn(owner_id), _Decided(), self._clock()
        asked = self._decide(turn, rows, decided)
        self._adoption.park(turn.refusals)
        self._health.asking(decided.later)
        now = self._clock()
        owner.ready_at = began + EVERY * asked
        if decided.later:
            owner.ready_at = now + min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(owner.failures, 30))
            owner.failures += 1
            log.info("adoption postponed", owner=owner_id, reason=decided.later)
            if owner.failures >= MIN_ATTEMPTS:
                self._give_up([row.key for row in rows if now - row.stored_at > GIVE_UP_SECONDS], decided)
        else:
            owner.failures = 0
        if decided.released or decided.dropped:
            self._outbox.release(decided.released, decided.dropped)
        if decided.released:
            self._released()

    def _give_up_late(self, held: Mapping[str, Sequence[Queued]], now: float) -> None:
        """Drop what has waited for more than a day while the app is turned off."""
        decided = _Decided(later="turned off by an administrator")
        self._give_up(
            (row.key for rows in held.values() for row in rows if now - row.stored_at > GIVE_UP_SECONDS), decided
        )
        if decided.dropped:
            self._outbox.release([], decided.dropped)

    def _give_up(self, old: Iterable[str], decided: _Decided) -> None:
        lost = [key for key in old if key not in decided.released and key not in decided.dropped]
        if lost:
            log.error("reports given up", rows=len(lost), reason=decided.later)
            decided.dropped += lost
            self._health.given_up(len(lost))

    def _decide(self, turn: Turn, rows: Sequence[Queued], decided: _Decided) -> int:
        """Decide what can be decided now. Returns the number of rows read from ServiceNow."""
        wanted: dict[str, None] = {}
        contents: dict[str, Content | None] = {}
        for row in rows:
            if len(wanted) >= ROWS:
                break
            contents |= self._outbox.opened([row.key])
            with _isolated(row, decided):
                wanted.update(dict.fromkeys(self._to_ask(contents.get(row.key))))
        try:
            if wanted:
                turn.read(list(wanted))
        except ServiceNowError as error:
            decided.later = error.log_message
            return len(wanted)
        for row in rows[: len(contents)]:
            with _isolated(row, decided):
                adopted = self._adopted(turn, contents[row.key])
                (decided.released if adopted else decided.dropped).append(row.key)
        return len(wanted)

    def _to_ask(self, content: Content | None) -> Sequence[str]:
        """Subscriptions whose rows have to be read."""
        if content is None:
            return ()
        if "hint" in content:
            return (content["hint"]["sys_id"],)
        report, claimed = _claims(content)
        return [one.sys_id for one in claimed if isinstance(self._verdict(one, report), Claimed)]

    def _adopted(self, turn: Turn, content: Content | None) -> bool:
        """
        Whether the owner's permissions allow the row to be posted. Rows that can't be decrypted are left to delivery.

        Raises:
            MattermostError, ServiceNowError: Try again.
        """
        if content is None:
            return True
        if "hint" in content:
            hint = content["hint"]
            found = turn.row(hint["sys_id"])
            if found is None or found.value("is_active") not in {"true", "1"}:
                return False
            match = match_of(found)
            adopted = self._settled(turn, match, self._adoption.verdict(match, match.events, False))
            return adopted and report_of_legacy(self._adoption.grants.get(match.sys_id), hint) is not None
        report, claimed = _claims(content)
        # Not any() over a generator: each claim has to be granted or refused.
        each = [self._settled(turn, one, self._verdict(one, report)) for one in claimed]
        return any(each)

    def _verdict(self, match: Match, report: Report) -> Verdict:
        verdict = self._adoption.verdict(match, report.events, bool(report.test))
        return Ignored() if isinstance(verdict, Claimed) and self._adoption.refused(match) else verdict

    @staticmethod
    def _settled(turn: Turn, match: Match, verdict: Verdict) -> bool:
        return turn.adopt(match) if isinstance(verdict, Claimed) else isinstance(verdict, Granted)


def _claims(content: Content) -> tuple[Report, list[Match]]:
    report, claimed = unpacked(content["report"]), set(content["claimed"])
    return report, [one for one in report.matches if one.sys_id in claimed]


@contextmanager
def _isolated(row: Queued, decided: _Decided) -> Iterator[None]:
    """Keep an error in one row from affecting others. The row is retried, and dropped in the end."""
    try:
        yield
    except StorageFailed:
        raise  # affects all rows
    except (MattermostError, ServiceNowError) as error:
        decided.later = error.log_message
    except Exception as error:
        log.error("report can't be checked", row=row.key, exc_info=error)
        decided.later = f"could not be looked at: {type(error).__name__}"
