"""
Settings that administrators change while the service runs: the instance, the webhook's keys, the legacy webhook.

Whatever the environment sets can't be changed here.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from core.errors import NotPermitted, StorageFailed
from core.instance import SETTING_NAMES, Instance
from core.notices import WebhookKey
from core.storage_ports import SavedSettings
from core.times import Clock

UNUSED_SECONDS = 86_400.0  # after which an old key is retired
_USE_STORED_SECONDS = 600.0  # how often the time of last use is stored
LEGACY_SECONDS = 30 * 86_400.0  # until the legacy webhook turns off by itself
_INSTANCE_SETTING = "instance"
_KEYS_SETTING = "webhook_keys"
_LEGACY_SETTING = "old_dialect"
_OWN = ("key_id", "secret", "made_at")

Parts = TypeVar("Parts")


class LiveInstance(Generic[Parts]):
    """
    The ServiceNow instance in use, and the objects that depend on it.

    When the instance changes, they are all built again and replaced together. A running call keeps those that it
    started with, so a token never goes to another origin.

    Args:
        environment: Settings from the environment, which can't be changed here.
        build: Makes the objects for an instance. Called at the start and at each change.
    """

    def __init__(self, environment: Instance, saved: SavedSettings, build: Callable[[Instance], Parts]) -> None:
        self.environment = environment
        self._saved = saved
        self._build = build
        self._lock = threading.Lock()
        self.current: Parts = build(self._in_force())

    def set(self, instance: Instance) -> None:
        """
        Store *instance* and use it from now on, except for what the environment sets.

        Raises:
            StorageFailed: Not stored, and nothing changed.
        """
        with self._lock:
            kept = {part: getattr(instance, part) for part in SETTING_NAMES if not getattr(self.environment, part)}
            self._saved.put(_INSTANCE_SETTING, kept)
            self.current = self._build(self._in_force())

    def _in_force(self) -> Instance:
        saved = self._saved.get(_INSTANCE_SETTING)
        return Instance(
            **{
                one.name: getattr(self.environment, one.name) or str(saved.get(one.name, ""))
                for one in fields(Instance)
            }
        )


class KeysFromEnvironment(NotPermitted):
    """The keys are set in the environment and can't be changed here."""

    user_message = (
        "The webhook keys are set by `WEBHOOK_SECRETS` in the service's environment, and that is where they "
        "change: put a new key in front of the old one, restart the service, then write it to ServiceNow here."
    )


class KeyRing:
    """
    The keys that the component in ServiceNow signs with. They rotate without an outage.

    We accept a new key before ServiceNow has it. We accept the old key until the new one has been used and the old one
    hasn't been used for a day. ServiceNow's outbox sends again what we refuse meanwhile, so the two sides can change in
    any order.

    Args:
        environment: Keys set in the environment, newest first. They are always accepted.
    """

    def __init__(self, environment: Sequence[WebhookKey], saved: SavedSettings, clock: Clock) -> None:
        self._environment = tuple(environment)
        self._saved = saved
        self._clock = clock
        self._lock = threading.Lock()
        content = saved.get(_KEYS_SETTING)
        self._used: dict[str, float] = dict(content.get("used", {}))
        self._stored_use = dict(self._used)
        self._own = [WebhookKey(**row) for row in content.get("keys", [])]

    def accepted(self) -> Sequence[WebhookKey]:
        """Newest first; from memory."""
        return [self._with_use(key) for key in (*self._environment, *self._live())]

    def used(self, key_id: str) -> None:
        """Record that a request was signed with this key. Stored every ten minutes; if the disk fails, in memory."""
        now = self._clock()
        self._used[key_id] = now
        if now - self._stored_use.get(key_id, 0.0) < _USE_STORED_SECONDS:
            return
        with self._lock:
            self._stored_use[key_id] = now
            try:
                self._store(self._live())
            except StorageFailed:
                pass  # the storage logs it, and the report that was signed with this key is still accepted

    @property
    def newest(self) -> WebhookKey | None:
        """The key that ServiceNow should sign with; None before the first key is created."""
        return next(iter(self.accepted()), None)

    def make(self, keep: str) -> WebhookKey:
        """
        Create a key and accept it from now on, together with at most one older key.

        Args:
            keep: Id of the older key, which is the one that ServiceNow signs with; "" for none.

        Raises:
            KeysFromEnvironment: The keys are set in the environment.
            StorageFailed: Nothing changed.
        """
        if self._environment:
            raise KeysFromEnvironment("WEBHOOK_SECRETS is set")
        now = self._clock()
        day = datetime.fromtimestamp(now, UTC)
        key = WebhookKey(key_id=f"{day:%Y%m%d}-{secrets.token_hex(3)}", secret=secrets.token_hex(32), made_at=now)
        with self._lock:
            live = self._live()
            stays = [one for one in live if one.key_id == keep] or live[:1]
            self._store([key, *stays])
        return key

    def _live(self) -> list[WebhookKey]:
        """Our keys without the retired ones."""
        now, live = self._clock(), self._own[:1]
        for key in self._own[1:]:
            newest = live[0]
            last = max(self._used.get(key.key_id, 0.0), newest.made_at)
            if not self._used.get(newest.key_id) or now - last <= UNUSED_SECONDS:
                live.append(key)
        return live

    def _with_use(self, key: WebhookKey) -> WebhookKey:
        return replace(key, used_at=self._used.get(key.key_id, 0.0))

    def _store(self, own: list[WebhookKey]) -> None:
        known = {key.key_id for key in (*self._environment, *own)}
        used = {key_id: at for key_id, at in dict(self._used).items() if key_id in known}
        rows = [{name: value for name, value in asdict(key).items() if name in _OWN} for key in own]
        self._saved.put(_KEYS_SETTING, {"keys": rows, "used": used})
        self._own, self._used = own, used


class LegacyWebhookSwitch:
    """
    Whether we accept requests of update set v2.1 (design §9): off, or on for 30 days at a time.

    The secret is part of a URL and everyone with the role can read it. So it is a separate secret, and a request that
    carries it is only a hint.
    """

    def __init__(self, saved: SavedSettings, clock: Clock) -> None:
        self._saved = saved
        self._clock = clock

    def secret(self) -> str:
        """The secret that requests must carry; "" while it is off."""
        return str(self._saved.get(_LEGACY_SETTING)["secret"]) if self.ends_at else ""

    @property
    def ends_at(self) -> float:
        """When it turns off by itself, Unix seconds; 0.0 while it is off."""
        ends_at = float(self._saved.get(_LEGACY_SETTING).get("ends_at", 0.0))
        return ends_at if self._clock() < ends_at else 0.0

    def switch_on(self) -> None:
        """Turn it on for 30 days from now. Renewing keeps the secret. Raises StorageFailed."""
        secret = self.secret() or secrets.token_hex(32)
        self._saved.put(_LEGACY_SETTING, {"secret": secret, "ends_at": self._clock() + LEGACY_SECONDS})

    def switch_off(self) -> None:
        """Refuse such requests. Raises StorageFailed."""
        self._saved.put(_LEGACY_SETTING, {})
