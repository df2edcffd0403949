"""Look up whether a write that got no answer was saved."""

import math
from collections.abc import Callable
from typing import TypeVar

import structlog

from core.errors import AppError
from core.upstream_errors import AccessDenied, Broken, ServiceNowError

log = structlog.get_logger(__name__)

T = TypeVar("T")

_LONG_HOLD = 3600.0  # seconds; a form that is held for longer is never sent to ServiceNow again


class MayBeSaved(AppError):
    """
    A write got no answer, and the lookup couldn't tell whether it was saved.

    Args:
        records: Where the person can check; *what* is its name.
        held: Seconds during which the same form isn't sent to ServiceNow again.
    """

    def __init__(self, log_message: str, records: str, what: str = "the list", held: float = 0.0) -> None:
        super().__init__(log_message)
        self.user_message = (
            "This may have been saved, but ServiceNow didn't confirm it. "
            f"[Check {what}]({records}) before you send it again."
        )
        if held > _LONG_HOLD:
            self.user_message += " Sending this form again only checks whether it was saved."
        elif held > 0:
            minutes = math.ceil(held / 60)
            until = f"{minutes} minutes" if minutes > 1 else "minute"
            self.user_message += f" For the next {until}, sending this form again only checks whether it was saved."

    may_have_been_saved = True


class NothingSaved(ServiceNowError):
    """ServiceNow failed, and the lookup showed that it saved nothing."""

    user_message = "ServiceNow returned an error and saved nothing. Try again in a minute."
    retryable = True


def may_be_saved(error: BaseException | None) -> bool:
    """Whether the write that raised *error* may have been saved. For a reworded refusal, its cause decides."""
    cause = error.__cause__ if isinstance(error, AccessDenied) else None
    return isinstance(error, AppError) and (error.may_have_been_saved or may_be_saved(cause))


def confirmed(send: Callable[[], T], look: Callable[[], T | None], address: str, what: str = "the list") -> T:
    """
    Return what *send* returns, or what *look* finds if no answer said whether the write was saved.

    Args:
        send: Sends one write; called once.
        look: Returns what the write saved, or None. May raise.
        address, what: Where the person can check, for the message.

    Raises:
        MayBeSaved: There was no answer, and the lookup couldn't tell either.
        NothingSaved: ServiceNow failed and nothing was saved.
        ServiceNowError: Nothing was saved, with the reason.
    """
    try:
        return send()
    except ServiceNowError as error:
        if not may_be_saved(error):
            raise
        log.warning("write unanswered, looking for it", reason=type(error).__name__)
        try:
            found = look()
        except AppError as second:
            raise MayBeSaved(f"looking failed: {second}", address, what) from error
        if found is not None:
            return found
        if isinstance(error, Broken):
            raise NothingSaved(error.log_message) from error  # the transaction has ended and saved nothing
        raise MayBeSaved(f"no answer, nothing found: {error}", address, what) from error
