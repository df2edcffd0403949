"""Workers of the Change Management API: started by one request, and complete by the time their state is requested."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import request

Json = dict[str, Any]
_WAITING, _COMPLETE = 1, 3
_STATES = {_WAITING: "Waiting", _COMPLETE: "Complete"}


class Gone(Exception):
    """The record of the worker doesn't exist anymore."""


@dataclass
class Worker:
    """One worker. `run` returns its payload, if it has one. Raises Gone."""

    kind: str
    asked: Json
    run: Callable[[], Json | None]
    sys_id: str
    payload: Json | None = None
    state: int = _WAITING

    def shown(self) -> Json:
        """The worker as the API returns it."""
        about: Json = {
            "worker": {
                "sysId": self.sys_id,
                "link": f"{request.host_url}api/sn_chg_rest/change/worker/{self.sys_id}",
            },
            "request": json.dumps(self.asked, separators=(",", ":")),
            "state": {"value": self.state, "display_value": _STATES[self.state]},
            "type": self.kind,
            "messages": {"errorMessages": [], "warningMessages": [], "infoMessages": []},
        }
        return about | ({} if self.payload is None else {"payload": self.payload})


class Workers:
    """All workers since startup."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def begin(self, kind: str, asked: Json, run: Callable[[], Json | None]) -> Json:
        """Add a worker that hasn't run yet."""
        worker = Worker(kind, asked, run, uuid.uuid4().hex)
        self._workers[worker.sys_id] = worker
        return worker.shown()

    def finish(self, sys_id: str) -> Json | None:
        """Run the worker, once, and return its state. None if the worker or its record doesn't exist."""
        worker = self._workers.get(sys_id)
        if worker is None:
            return None
        if worker.state != _COMPLETE:
            try:
                worker.payload = worker.run()
            except Gone:
                return None
            worker.state = _COMPLETE
        return worker.shown()
