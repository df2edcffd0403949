"""Whether a report comes from the component: headers and signature of the signed dialect (design §9)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

from core.errors import NotVerified
from core.ports import Clock
from core.storage_ports import WebhookKeys

TIMESTAMP = "X-ServiceNow-Timestamp"
KEY = "X-ServiceNow-Key"
SIGNATURE = "X-ServiceNow-Signature"
HEADERS = (TIMESTAMP, KEY, SIGNATURE)

MOST_SECONDS = 300.0  # that a request may be old, or ahead
_UNIX = re.compile(r"[0-9]{1,12}\Z")
_NOBODY = b"no such key"


class ReportRefused(NotVerified):
    """
    Not the component's, or not of now.

    ``reason`` is what it is told: ``unknown_key``, ``bad_mac`` or ``stale``. ``offset`` is how many seconds
    its clock is ahead of ours; None where nothing proves the timestamp.
    """

    def __init__(self, reason: str, offset: float | None = None) -> None:
        super().__init__(f"report: {reason}" + (f", {offset:+.0f} s" if offset is not None else ""))
        self.reason = reason
        self.offset = offset


class Signatures:
    """Checks requests against the keys that are accepted now."""

    def __init__(self, keys: WebhookKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def check(self, headers: Mapping[str, str], body: bytes) -> float:
        """
        How many seconds the sender's clock is ahead of ours.

        Args:
            headers: Those of `HEADERS` by their names here; a missing one is "".

        The signature is looked at before the age: only a true one says anything about a clock.

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
        if abs(offset) > MOST_SECONDS:
            raise ReportRefused("stale", offset)
        return offset
