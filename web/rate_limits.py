"""Limits per person (design §4): far above what people do, far below what scripts can do."""

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from core.calls import Kind
from core.errors import TooManyRequests

_SUBMITS = RateLimitItemPerMinute(60)
_LOOKUPS = RateLimitItemPerSecond(20)


class PersonLimits:
    """Counts requests per verified person. Forged requests are rejected before and aren't counted."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, person_id: str, kind: Kind) -> None:
        """Raises TooManyRequests."""
        item = {Kind.SUBMIT: _SUBMITS, Kind.LOOKUP: _LOOKUPS}.get(kind)
        if self._enabled and item is not None and not self._limiter.hit(item, kind, person_id):
            raise TooManyRequests(f"more than {item} of kind {kind}")
