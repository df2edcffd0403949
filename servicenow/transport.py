"""Sends a request to the instance, within the limits that protect both sides, and logs how it ended."""

import re
from collections.abc import Mapping
from typing import Any

import structlog

from core.times import Deadline
from core.upstream_errors import Broken, ConnectionLost, ServiceNowError, Unanswered, Unreachable
from http_client.call_limits import CallLimits
from http_client.exchange import HttpClient, HttpResponse
from http_client.failures import ExchangeError, Failure

MOST_BYTES = 8 * 1024 * 1024
_LEAST_SECONDS = 0.25  # with less left, no answer can be expected
_TRANSACTION = re.compile(r't;desc="([0-9a-f]+)"')

log = structlog.get_logger(__name__)


_ERRORS: Mapping[Failure, type[ServiceNowError]] = {
    Failure.NOT_SENT: Unreachable,
    Failure.TIMED_OUT: Unanswered,
    Failure.CONNECTION_LOST: ConnectionLost,
    Failure.TOO_LARGE: Broken,
}


class Transport:
    """
    Args:
        origin: Scheme, host and port of the instance.
        concurrent_calls: In all.
    """

    def __init__(self, origin: str, concurrent_calls: int) -> None:
        self.origin = origin
        self._limits = CallLimits(concurrent_calls)
        self._client = HttpClient(origin, concurrent_calls)

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        person_id: str | None,
        deadline: Deadline,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> HttpResponse:
        """
        Send once, and return the answer whatever its status is.

        Args:
            path: Without a query, because it is logged.
            token: The person's access token. The token endpoint takes its credentials in the body instead.
            person_id: Whose concurrent calls this counts as. None for sign-ins, which aren't limited per person.
            file: Media type and content of the body.

        Raises:
            Unreachable: No connection, so nothing was sent.
            Unanswered: Sent, and no complete answer before the deadline.
            Broken: The answer exceeds 8 MiB.
            CallLimitReached, CircuitOpen: Our own limits, before anything was sent.
        """
        if deadline.left() < _LEAST_SECONDS:
            raise Unreachable("no time left to ask")
        with self._limits.call(person_id, deadline.left() - _LEAST_SECONDS):
            try:
                answer = self._client.send(
                    method,
                    path,
                    token=token,
                    deadline=deadline,
                    limit=MOST_BYTES,
                    params=params,
                    json=json,
                    form=form,
                    file=file,
                )
            except ExchangeError as error:
                log.warning(
                    "servicenow silent", method=method, path=path, failure=error.failure.name, reason=str(error)
                )
                raise _ERRORS[error.failure](str(error)) from error
        level = log.debug if answer.status < 400 else log.warning
        level("servicenow answered", method=method, path=path, status=answer.status, transaction=transaction_of(answer))
        return answer


def transaction_of(answer: HttpResponse) -> str:
    """The id under which ServiceNow's own logs have this request. A 401 has it in ``Server-Timing`` alone."""
    if found := answer.headers.get("X-Transaction-ID"):
        return found
    timing = _TRANSACTION.search(answer.headers.get("Server-Timing", ""))
    return timing[1] if timing else ""
