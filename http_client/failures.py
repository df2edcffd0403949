"""
What an exception of requests or urllib3 says about the request: was it sent, and can a retry help?

requests wraps urllib3's exceptions, and urllib3 wraps the reason in `MaxRetryError` and `ProxyError`. The row of the
innermost one counts, because the wrappers say nothing about the request. urllib3 wraps in `ProxyError` even when the
connection breaks after the request went through the proxy.
"""

from enum import Enum

import requests.exceptions as outer
import urllib3.exceptions as inner


class Failure(Enum):
    """Why there is no complete answer."""

    NOT_SENT = "no connection, so the server has not seen the request"
    TIMED_OUT = "sent, and no answer in time; a retry would only add load"
    CONNECTION_LOST = "the connection broke before the answer was complete; a retry can help"
    TOO_LARGE = "the answer exceeds the limit"

    @property
    def may_have_been_saved(self) -> bool:
        """Whether a write may have taken effect."""
        return self is not Failure.NOT_SENT


class ExchangeError(Exception):
    """There is no complete answer. The clients of ServiceNow and Mattermost raise their own errors from it."""

    def __init__(self, failure: Failure, log_message: str) -> None:
        super().__init__(log_message)
        self.failure = failure


# A class that isn't listed has the row of its nearest listed base class. A test checks that every exception of both
# libraries has a row more specific than `OSError`.
FAILURES: dict[type[BaseException], Failure] = {
    # No connection. `NewConnectionError` includes TLS handshakes and proxy tunnels (see `exchange.py`).
    inner.ConnectTimeoutError: Failure.NOT_SENT,
    outer.ConnectTimeout: Failure.NOT_SENT,
    # No connection could be made from this pool or address, or the request itself is invalid.
    inner.EmptyPoolError: Failure.NOT_SENT,
    inner.ClosedPoolError: Failure.NOT_SENT,
    inner.LocationValueError: Failure.NOT_SENT,
    inner.ProxySchemeUnsupported: Failure.NOT_SENT,
    outer.InvalidURL: Failure.NOT_SENT,
    outer.InvalidSchema: Failure.NOT_SENT,
    outer.MissingSchema: Failure.NOT_SENT,
    outer.URLRequired: Failure.NOT_SENT,
    outer.InvalidHeader: Failure.NOT_SENT,
    outer.InvalidJSONError: Failure.NOT_SENT,
    outer.UnrewindableBodyError: Failure.NOT_SENT,
    inner.UnrewindableBodyError: Failure.NOT_SENT,
    inner.TimeoutStateError: Failure.NOT_SENT,
    # Sent, then silence.
    inner.TimeoutError: Failure.TIMED_OUT,
    inner.ReadTimeoutError: Failure.TIMED_OUT,
    outer.Timeout: Failure.TIMED_OUT,
    TimeoutError: Failure.TIMED_OUT,
    # Sent, and the answer is missing, cut or unreadable.
    inner.ProtocolError: Failure.CONNECTION_LOST,
    inner.ProxyError: Failure.CONNECTION_LOST,
    inner.SSLError: Failure.CONNECTION_LOST,
    inner.IncompleteRead: Failure.CONNECTION_LOST,
    inner.InvalidChunkLength: Failure.CONNECTION_LOST,
    inner.DecodeError: Failure.CONNECTION_LOST,
    inner.BodyNotHttplibCompatible: Failure.CONNECTION_LOST,
    inner.InvalidHeader: Failure.CONNECTION_LOST,
    inner.HeaderParsingError: Failure.CONNECTION_LOST,
    inner.ResponseError: Failure.CONNECTION_LOST,
    inner.RequestError: Failure.CONNECTION_LOST,
    inner.FullPoolError: Failure.CONNECTION_LOST,
    outer.ConnectionError: Failure.CONNECTION_LOST,
    outer.SSLError: Failure.CONNECTION_LOST,
    outer.JSONDecodeError: Failure.CONNECTION_LOST,
    outer.ChunkedEncodingError: Failure.CONNECTION_LOST,
    outer.ContentDecodingError: Failure.CONNECTION_LOST,
    outer.StreamConsumedError: Failure.CONNECTION_LOST,
    outer.HTTPError: Failure.CONNECTION_LOST,
    outer.TooManyRedirects: Failure.CONNECTION_LOST,
    outer.RetryError: Failure.CONNECTION_LOST,
    OSError: Failure.CONNECTION_LOST,
}


def failure_of(error: BaseException) -> Failure:
    """The row of *error*, or of what it wraps. An unknown exception counts as sent."""
    kinds = type(_innermost(error)).__mro__
    return next((FAILURES[kind] for kind in kinds if kind in FAILURES), Failure.CONNECTION_LOST)


def name_of(error: BaseException) -> str:
    """The class name for the log. The text of an exception can contain addresses."""
    return type(_innermost(error)).__name__


def _innermost(error: BaseException) -> BaseException:
    if isinstance(error, outer.RequestException) and isinstance(error.__context__, inner.HTTPError):
        return _innermost(error.__context__)
    if isinstance(error, inner.MaxRetryError) and error.reason is not None:
        return _innermost(error.reason)
    if isinstance(error, inner.ProxyError):
        return _innermost(error.original_error)
    return error
