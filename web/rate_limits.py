"""How often one person may ask (design §4): far above what people do, far below what scripts can."""

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from core.calls import Kind
from core.errors import TooManyRequests

_SUBMITS = RateLimitItemPerMinute(60)
_LOOKUPS = RateLimitItemPerSecond(20)


class PersonLimits:
    """Counted per verified person; forged requests never get here and use nobody's share up."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, person_id: str, kind: Kind) -> None:
        """Raises TooManyRequests."""
        item = {Kind.SUBMIT: _SUBMITS, Kind.LOOKUP: _LOOKUPS}.get(kind)
        if self._enabled and item is not None and not self._limiter.hit(item, kind, person_id):
            raise TooManyRequests(f"more than {item} of kind {kind}")
