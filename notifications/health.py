"""How notices are doing, for administrators: from memory, counted since the process began."""

from core.notice_ports import Outbox
from core.notices import DeliveryHealth
from core.ports import Clock
from notifications.arrivals import Arrivals
from notifications.refusals import Refusals


class Health:
    """`core.storage_ports.Deliveries`; intake and worker tell it what they did."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self.refusals = Refusals(clock)
        self.arrivals = Arrivals()
        self._outbox = outbox
        self._clock = clock
        self._delivered = 0
        self._delivered_at = 0.0
        self._given_up = 0
        self._asking = ""

    def delivered(self, rows: int) -> None:
        """So many rows were posted just now."""
        self._delivered += rows
        self._delivered_at = self._clock()

    def given_up(self, rows: int) -> None:
        """So many rows will never be posted."""
        self._given_up += rows

    def asking(self, trouble: str) -> None:
        """Why owners of subscriptions could not be asked just now, "" where they could."""
        self._asking = trouble

    def health(self) -> DeliveryHealth:
        """As the port says."""
        rows = self._outbox.waiting()
        failing = sorted((one for one in self._outbox.batches() if one.reason), key=lambda one: one.claimed_at)
        return DeliveryHealth(
            waiting=len(rows),
            oldest_at=min((row.stored_at for row in rows), default=0.0),
            delivered_at=self._delivered_at,
            refused_at=self.refusals.at,
            refused_reason=self.refusals.reason,
            clock_offset=self.refusals.clock_offset,
            refused=self.refusals.counts(),
            delivered=self._delivered,
            given_up=self._given_up,
            trouble=failing[0].reason if failing else self._asking,
        )
