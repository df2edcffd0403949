"""Delayed requests: the fault `late` answers 504, and the request is carried out later."""

import threading
from typing import Any

from flask import Flask, request

from sandbox.common import CARRIED_OUT_LATER


class DelayedRequests:
    """Holds requests until they are released."""

    def __init__(self, app: Flask) -> None:
        self._client = app.test_client
        self._kept: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    @staticmethod
    def now() -> bool:
        """Whether the current request was delayed and is being carried out now."""
        return bool(request.environ.get(CARRIED_OUT_LATER))

    def keep(self) -> None:
        """Hold the current request."""
        kept: dict[str, Any] = {
            "path": request.full_path,
            "base_url": request.host_url,
            "method": request.method,
            "headers": list(request.headers),
            "data": request.get_data(),
            "environ_overrides": {CARRIED_OUT_LATER: True},
        }
        with self._lock:
            self._kept.append(kept)

    def release(self, most: int | None = None) -> list[int]:
        """Carry out the oldest *most* requests (all by default) in order. Returns their statuses."""
        with self._lock:
            released, self._kept = self._kept[:most], self._kept[len(self._kept[:most]) :]
        return [self._client(use_cookies=False).open(**kept).status_code for kept in released]

    def forget(self) -> None:
        """Drop all held requests."""
        with self._lock:
            self._kept.clear()
