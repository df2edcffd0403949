"""
The service in a process that dies: ``python -m tests.contract.crashing CONFIG PORT``, CONFIG as a pickle's path.

Reads one line for each life. ``POINT NUMBER SECONDS`` dies right after the step POINT was done for the NUMBERth
time. ``- 0 SECONDS`` lives until it is killed. Its clock is SECONDS ahead.

Writes the child's process ID and its exit code. Each life is a fork,
so that only the first one has to import the modules.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server

from app import create_app
from mattermost.bot import MattermostBot
from mattermost.person import MattermostForPerson
from servicenow.attachments import AttachmentsClient
from servicenow.client import ServiceNowClient
from servicenow.journal import JournalClient
from storage.form_results import StoredFormResults
from storage.outbox import DeliveredEvents, StoredOutbox
from storage.threads import StoredThreads
from web.logs import configure_logs

# Every step from a report's arrival to its acknowledgment, in order.
POINTS: dict[str, tuple[type, str]] = {
    "stored": (StoredOutbox, "add"),
    "claimed": (StoredOutbox, "claim"),
    "posted": (MattermostBot, "post"),
    "threaded": (StoredThreads, "put"),
    "remembered": (DeliveredEvents, "add"),
    "settled": (StoredOutbox, "ack"),
}

# Additional steps of a form.
FORM_POINTS: dict[str, tuple[type, str]] = {
    "attempt stored": (StoredFormResults, "put"),
    "inserted": (ServiceNowClient, "create"),
    "entry added": (JournalClient, "add"),
    "file attached": (AttachmentsClient, "add"),
    "card posted": (MattermostForPerson, "post_card"),
}


def die_after(point: str, number: int) -> None:
    """End the process without any cleanup after a step's *number*th time."""
    owner, name = (POINTS | FORM_POINTS)[point]
    step: Callable[..., Any] = getattr(owner, name)
    left = [number]

    def dying(*arguments: Any, **more: Any) -> Any:
        result = step(*arguments, **more)
        left[0] -= 1
        if left[0] <= 0:
            os._exit(17)
        return result

    setattr(owner, name, dying)


def live(config: Any, port: int, point: str, number: int, ahead: float) -> None:
    """Serve until the process dies."""
    if point != "-":
        die_after(point, number)
    service = create_app(config, clock=lambda: time.time() + ahead)
    make_server("127.0.0.1", port, service.app, threaded=True).serve_forever()


def main() -> None:
    """Start a life for each line."""
    configure_logs("error", "json")
    with Path(sys.argv[1]).open("rb") as file:
        config = pickle.load(file)
    port = int(sys.argv[2])
    for line in sys.stdin:
        point, number, ahead = line.rsplit(" ", 2)
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the server writes a line a request
            live(config, port, point, int(number), float(ahead))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
