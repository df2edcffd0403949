"""Requests whose client got no answer and that are carried out later: the fault `late`."""

import threading
from typing import Any

from flask import Flask, request

from sandbox.common import CARRIED_OUT_LATER


class LateRequests:
    """Keeps requests as they came in, until they are released."""

    def __init__(self, app: Flask) -> None:
        self._client = app.test_client
        self._kept: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    @staticmethod
    def now() -> bool:
        """Whether the current request is one that was released."""
        return bool(request.environ.get(CARRIED_OUT_LATER))

    def keep(self) -> None:
        """Keep the current request."""
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
        """Carry out the oldest *most* (all by default), in the order in which they came; their statuses."""
        with self._lock:
            released, self._kept = self._kept[:most], self._kept[len(self._kept[:most]) :]
        return [self._client(use_cookies=False).open(**kept).status_code for kept in released]

    def forget(self) -> None:
        """Nobody carries them out any more."""
        with self._lock:
            self._kept.clear()
