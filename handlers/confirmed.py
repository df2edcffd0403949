"""A write without an answer: look for what it wrote before saying anything."""

import math
from collections.abc import Callable
from typing import TypeVar

import structlog

from core.errors import AccessDenied, AppError, Broken, ServiceNowError

log = structlog.get_logger(__name__)

T = TypeVar("T")

_LONG_HOLD = 3600.0  # seconds; a form that is held for longer is never sent to ServiceNow again


class MayBeSaved(AppError):
    """
    A write went unanswered, and it could not be found out whether it was saved.

    Args:
        records: Where the person can check; *what* is its name.
        held: Seconds for which the same form is not sent to ServiceNow again.
    """

    def __init__(self, detail: str, records: str, what: str = "the list", held: float = 0.0) -> None:
        super().__init__(detail)
        self.tell = (
            "ServiceNow did not say whether it saved this, so it may have been saved. "
            f"[Look at {what}]({records}) before you send it again."
        )
        if held > _LONG_HOLD:
            self.tell += " Sending this form again only looks for it."
        elif held > 0:
            minutes = math.ceil(held / 60)
            until = f"{minutes} minutes" if minutes > 1 else "minute"
            self.tell += f" For the next {until}, sending this form again only looks for it."

    may_have_been_saved = True


class NothingSaved(ServiceNowError):
    """ServiceNow failed, and looking showed that it saved nothing."""

    tell = "ServiceNow had a fault of its own and saved nothing. Try again in a minute."
    retryable = True


def may_be_saved(error: BaseException) -> bool:
    """Whether *error* leaves open if its write was saved; a refusal that was reworded counts by its cause."""
    cause = error.__cause__ if isinstance(error, AccessDenied) else None
    return isinstance(error, AppError) and (error.may_have_been_saved or (cause is not None and may_be_saved(cause)))


def confirmed(send: Callable[[], T], look: Callable[[], T | None], address: str, what: str = "the list") -> T:
    """
    What *send* returns, or what *look* finds if no answer said whether it was saved.

    Args:
        send: One write; never repeated here.
        look: What the write left behind, or None. May raise.
        address, what: Where the person can check, for the message.

    Raises:
        MayBeSaved: No answer, and looking did not tell either.
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
            raise NothingSaved(str(error)) from error  # the transaction is over and left nothing behind
        raise MayBeSaved(f"no answer, nothing found: {error}", address, what) from error
