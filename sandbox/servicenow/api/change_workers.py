"""Jobs of the Change Management API: begun by one request, done by the time that somebody asks for them."""

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
    """What the job is about doesn't exist any more."""


@dataclass
class Worker:
    """One job; `run` gives its payload, or None for none. Raises Gone."""

    kind: str
    asked: Json
    run: Callable[[], Json | None]
    sys_id: str
    payload: Json | None = None
    state: int = _WAITING

    def shown(self) -> Json:
        """As the API tells about it."""
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
    """All jobs since the start."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def begin(self, kind: str, asked: Json, run: Callable[[], Json | None]) -> Json:
        """A new job, waiting."""
        worker = Worker(kind, asked, run, uuid.uuid4().hex)
        self._workers[worker.sys_id] = worker
        return worker.shown()

    def finish(self, sys_id: str) -> Json | None:
        """Do the job, once, and tell about it; None where there is none, or nothing that it is about."""
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
