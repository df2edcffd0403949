"""Helpers for unit tests of notices: a signed report, and the stored data that belongs to it."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from core.accounts import Account, Tokens
from core.notices import Match, Report, ReportedRecord, WebhookKey
from core.records import Identity
from core.storage_ports import Stores
from core.subscriptions import Grant
from storage.disk import Disk
from storage.embedded import open_storage
from storage.sealing import derive_keys

NOW = 1_800_000_000.0
INSTANCE = "https://acme.service-now.com"
APP_URL = "https://app.example"
KEY = WebhookKey(key_id="k1", secret="a secret of the component, thirty-two letters")
OWNER, CHANNEL = "o" * 26, "c" * 26
SUBSCRIPTION, RECORD = "5" * 32, "e" * 32

GRANT = Grant(
    sys_id=SUBSCRIPTION,
    owner_id=OWNER,
    channel_id=CHANNEL,
    table="incident",
    events="state",
    name="Mine",
    granted_at=NOW - 1000,
    created_by="abel",
)
MATCH = Match(
    sys_id=SUBSCRIPTION,
    channel_id=CHANNEL,
    user_id=OWNER,
    table="incident",
    record_id="",
    filter_digest="",
    events=("state",),
    options=(),
    created_by="abel",
    updated_by="abel",
    updated_on="2036-01-01 00:00:00",
)
REPORT = Report(
    event_id="e1",
    occurred_at=NOW,
    component="3.0.0",
    server_url=APP_URL,
    record=ReportedRecord(table="incident", sys_id=RECORD, number="INC0000001"),
    events=("state",),
    matches=(MATCH,),
)
ACCOUNT = Account(
    person_id=OWNER,
    instance=INSTANCE,
    tokens=Tokens("a", "r", NOW + 1800, NOW),
    identity=Identity("1" * 32, "abel"),
    connected_at=NOW,
)


@dataclass
class ManualClock:
    """A clock that is set by hand."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Keys:
    """`core.storage_ports.WebhookKeys` that remembers which keys were used."""

    keys: Sequence[WebhookKey] = (replace(KEY, key_id="k2", secret="another secret of thirty-two letters."), KEY)
    seen: list[str] = field(default_factory=list)

    def accepted(self) -> Sequence[WebhookKey]:
        return self.keys

    def used(self, key_id: str) -> None:
        self.seen.append(key_id)


class Unflushed(Disk):
    """A disk that doesn't flush, because no power fails in these tests."""

    def fsync(self, descriptor: int) -> None:
        """Do nothing."""

    def fsync_folder(self, folder: Path) -> None:
        """Do nothing."""


def open_stores(folder: Path, clock: ManualClock) -> Stores:
    """The embedded storage, empty at first."""
    keys = partial(derive_keys, ("a secret of thirty-two characters",))
    return open_storage(f"tinydb://{folder}/data", keys, clock=clock, disk=Unflushed())


def signed(body: bytes, stamp: str, key: WebhookKey = KEY) -> dict[str, str]:
    """The three headers."""
    mac = hmac.new(key.secret.encode(), stamp.encode("latin-1", "replace") + b"." + body, hashlib.sha256).digest()
    return {
        "X-ServiceNow-Timestamp": stamp,
        "X-ServiceNow-Key": key.key_id,
        "X-ServiceNow-Signature": "v1=" + base64.b64encode(mac).decode(),
    }
