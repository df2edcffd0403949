"""Whether requests in the dialect of update set v2.1 are taken: off, or on until a day (design §9)."""

import secrets

from core.ports import Clock
from core.storage_ports import SavedSettings

SECONDS = 30 * 86_400.0  # it stays on, unless renewed
_SAVED_AS = "old_dialect"


class OldDialectSwitch:
    """
    `core.storage_ports.OldDialect`, and how administrators switch it.

    The secret travels in an address and is readable by every role holder, so it is one of its own that
    proves little: what comes with it is a hint and no more.
    """

    def __init__(self, saved: SavedSettings, clock: Clock) -> None:
        self._saved = saved
        self._clock = clock

    def secret(self) -> str:
        """As the port says."""
        return str(self._saved.get(_SAVED_AS)["secret"]) if self.ends_at else ""

    @property
    def ends_at(self) -> float:
        """When it goes off by itself, Unix seconds; 0.0 while it is off."""
        ends_at = float(self._saved.get(_SAVED_AS).get("ends_at", 0.0))
        return ends_at if self._clock() < ends_at else 0.0

    def switch_on(self) -> None:
        """On for 30 days from now; the secret stays while it is renewed. Raises StorageFailed."""
        secret = self.secret() or secrets.token_hex(32)
        self._saved.put(_SAVED_AS, {"secret": secret, "ends_at": self._clock() + SECONDS})

    def switch_off(self) -> None:
        """Refuse such requests from now on. Raises StorageFailed."""
        self._saved.put(_SAVED_AS, {})
