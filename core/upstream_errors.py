"""
Errors of the two servers that the service depends on: what Mattermost and ServiceNow answered, or that they didn't.

x MattermostError         Mattermost did not do what was asked
  + MattermostSilent      no answer, or 429 or 5xx                               retryable
    - NoBotToken
  + MattermostRefused     4xx
    - RootGone            the thread's first post was deleted
    - NoSuchId            not of an id's form, so Mattermost was not asked
x ServiceNowError         ServiceNow did not do what was asked
  + Unreachable           refused, no route, TLS: nothing was sent               retryable
    - CircuitOpen         too many calls went unanswered, so we pause
  + Unanswered            sent, and no answer in time                            retryable
    - ConnectionLost, GatewayFailed
  + Asleep                a developer instance that hibernates
  + Busy                  429 or 503, or too many of our own calls               retryable
    - CallLimitReached    our own limit of concurrent calls
  + Dropped               202: accepted and thrown away                          retryable
  + Broken                500, a cut answer, or one of no known shape            retryable
    - CutShort
  + Misdirected           a login or proxy page instead of data
    - NoInstance
  + CredentialsRefused    401
    - TokenRefused        401 to a token that was just refreshed                 retryable
  + AccessDenied          403: closed table, no right
    - InsertHidden, NotAuthorized, TestDenied
  + Refused               403 by data policy or business rule; names fields where it can
  + NotAccepted           any other 4xx
  + NotKept               2xx, but what was written is not there: no right to the field
    - PartlyKept
  + NotFound              404: no such record, or an ACL hides it
    - Gone, NothingMatches
  + NotInstalled          400: no such table or API on the instance
    - OldComponent        the table is there as an older update set made it
    - NoTests, NotSetUp
  + TooLong               414
  + TooLarge              more bytes than the instance takes at once
  + OAuthRefused          the token endpoint refused
  + BeingChanged, NoKey, NothingSaved, NotWritten
"""

import re
from collections.abc import Sequence

from core.errors import AppError

_MARKUP = re.compile(r"[\[\]<>`*~@#|\\\s\x00-\x1f\u202a-\u202e\u2066-\u2069]+|(?<=:)/+")
_MOST_NAME = 120  # characters of a name that the instance gives


class MattermostError(AppError):
    """Mattermost did not do what was asked."""

    user_message = "Mattermost did not accept this. Try again; if it stays, ask an administrator."


class MattermostSilent(MattermostError):
    """
    No answer from Mattermost, or one that asks to come later.

    ``status`` is 0 without an answer; ``retry_after`` is in seconds, where Mattermost said so.
    """

    user_message = "Mattermost is not answering our service right now. Try again in a minute."
    retryable = True

    def __init__(self, log_message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(log_message)
        self.status = status
        self.retry_after = retry_after

    @property
    def concerns_all(self) -> bool:
        """Whether any other request would fare the same now: no answer, no live token, too many requests."""
        return self.status in {0, 401, 429}


class MattermostRefused(MattermostError):
    """Mattermost answered 4xx; ``status`` and ``error_id`` are its own."""

    def __init__(self, log_message: str, status: int, error_id: str = "") -> None:
        super().__init__(log_message)
        self.status = status
        self.error_id = error_id


class RootGone(MattermostRefused):
    """The first post of the thread is gone, so nothing can reply to it."""


class NoSuchId(MattermostRefused):
    """The value isn't a Mattermost id, so nothing was sent. It isn't logged, because it can be anything."""

    def __init__(self) -> None:
        super().__init__("not an id of Mattermost", 404, "servicenow.no_such_id")


class ServiceNowError(AppError):
    """ServiceNow did not do what was asked."""

    user_message = "ServiceNow could not do this. Try again; if it stays, ask an administrator."


class Unreachable(ServiceNowError):
    """No connection came about, so nothing was sent."""

    user_message = "ServiceNow can't be reached right now. Nothing was saved; try again in a minute."
    retryable = True


class CircuitOpen(Unreachable):
    """ServiceNow left several calls unanswered, so it isn't called for some seconds."""

    user_message = "ServiceNow has stopped answering. Nothing was saved; try again in about 15 seconds."


class Unanswered(ServiceNowError):
    """The request was sent, and no (whole) answer came in time."""

    user_message = "ServiceNow did not answer in time. Try again in a minute."
    retryable = True
    may_have_been_saved = True


class ConnectionLost(Unanswered):
    """The connection broke before the answer was complete. It doesn't mean that the instance is slow."""


class GatewayFailed(Unanswered):
    """502 or 504: a gateway got no answer from the instance, which may still be working on the request."""


class Asleep(ServiceNowError):
    """A developer instance hibernates; only a sign-in at the developer site wakes it."""

    user_message = (
        "The ServiceNow instance is asleep (developer instances hibernate). Nothing was saved. "
        "Somebody has to wake it by signing in at ServiceNow's developer site; then try again."
    )


class Busy(ServiceNowError):
    """ServiceNow asked for a pause of ``retry_after`` seconds, or our own share of it is used up."""

    user_message = "ServiceNow is busy. Nothing was saved; try again in a minute."
    retryable = True

    def __init__(self, log_message: str, retry_after: float | None = None) -> None:
        super().__init__(log_message)
        self.retry_after = retry_after


class CallLimitReached(Busy):
    """Our own limit of concurrent calls. A retry would only lengthen the queue."""


class Dropped(ServiceNowError):
    """202: taken without an answer, and by experience thrown away."""

    user_message = "ServiceNow put this off and did not say whether it was done. Try again in a minute."
    retryable = True
    may_have_been_saved = True


class Broken(ServiceNowError):
    """ServiceNow failed inside, or its answer was cut or of no known shape."""

    user_message = "ServiceNow returned an error. Try again in a minute."
    retryable = True
    may_have_been_saved = True


class CutShort(Broken):
    """The transaction ended, but its answer was cut. A read can be repeated."""


class Misdirected(ServiceNowError):
    """A page for people (sign-in, proxy, maintenance) came instead of data."""

    user_message = (
        "ServiceNow answered with a web page instead of data. Ask an administrator to check "
        "the instance's address and its sign-in rules."
    )


class CredentialsRefused(ServiceNowError):
    """
    401: ServiceNow answers every cause alike. The client retries once with a fresh token first.

    ``foreign`` says that it was not in ServiceNow's JSON, so something else may have answered.
    """

    user_message = "ServiceNow does not accept your connection. Run `/servicenow connect` and try again."

    def __init__(self, log_message: str, *, foreign: bool = False) -> None:
        super().__init__(log_message)
        self.foreign = foreign


class TokenRefused(CredentialsRefused):
    """401 to a token that ServiceNow had issued a moment before: it may pass, so the account stays connected."""

    user_message = (
        "ServiceNow rejected your connection, although it had just renewed it. "
        "Nothing was saved; try again in a minute."
    )
    retryable = True


class AccessDenied(ServiceNowError):
    """403: the account may not do this, or the table is closed to web services."""

    user_message = "ServiceNow says that your account may not do this. Ask your ServiceNow administrator for the right."


class InsertHidden(AccessDenied):
    """403 to an insert. The row may exist where its creator can't read it (KB2697679)."""

    may_have_been_saved = True


class Refused(ServiceNowError):
    """
    403 by a data policy or a business rule: the account is fine, the values are not.

    ``labels`` are the form labels of mandatory fields as ServiceNow names them; a capability
    maps them to its own fields. ``rule`` is the business rule's name, or "". Both come from the instance
    and lose what Markdown would read, for ``user_message`` is Markdown.
    """

    def __init__(self, log_message: str, labels: Sequence[str] = (), rule: str = "") -> None:
        super().__init__(log_message)
        self.labels = tuple(_words(label) for label in labels)
        self.rule = _words(rule)
        ask = "or ask your ServiceNow administrator."
        if self.labels:
            self.user_message = (
                f"ServiceNow demands more: {', '.join(self.labels)}. Nothing was saved; fill it in, {ask}"
            )
        elif self.rule:
            self.user_message = f"ServiceNow's rule “{self.rule}” refused this. Nothing was saved; change it, {ask}"
        else:
            self.user_message = f"ServiceNow refused these values. Nothing was saved; change them, {ask}"


class NotAccepted(ServiceNowError):
    """4xx of no kind that is known, such as a 400 of the component."""


class NotKept(ServiceNowError):
    """ServiceNow answered well and did not keep what was written, as it does for fields without right."""

    user_message = (
        "ServiceNow did not keep this: your account may not write that field, or its rules forbid the value. "
        "Ask your ServiceNow administrator."
    )


class NotFound(ServiceNowError):
    """404: no such record, or an ACL hides it; ServiceNow does not say which."""

    user_message = (
        "ServiceNow has no such record, or your account may not see it. Check which one you mean, or ask your "
        "ServiceNow administrator."
    )


class NotInstalled(ServiceNowError):
    """400: the instance has no such table or API."""

    user_message = "The ServiceNow instance lacks something this needs. Ask an administrator."


class OldComponent(NotInstalled):
    """The table is as update set 2.1 made it. ``sys_id`` is the row that was made all the same, to be removed."""

    user_message = (
        "The ServiceNow side is of an older version, so nothing was saved. Ask a Mattermost system administrator "
        "to run `/servicenow setup` and to have the current update set installed."
    )

    def __init__(self, log_message: str, sys_id: str) -> None:
        super().__init__(log_message)
        self.sys_id = sys_id


class TooLong(ServiceNowError):
    """414: the address grew over what ServiceNow takes (about 8 kB)."""

    user_message = "That is too long for ServiceNow to search. Use fewer or shorter words."


class TooLarge(ServiceNowError):
    """More bytes than the instance takes at once, such as a file over its limit; it names that limit to nobody."""

    user_message = "That is larger than this ServiceNow takes. Nothing was saved; try something smaller."


class OAuthRefused(ServiceNowError):
    """The token endpoint refused; ServiceNow gives the same answer for every cause."""

    user_message = (
        "ServiceNow refused the sign-in. Try to connect again; if it stays, ask an administrator to check "
        "the OAuth client, its secret and its redirect address."
    )


def _words(name: str) -> str:
    """A name from the instance as plain words, on one line."""
    return " ".join(_MARKUP.sub(" ", name).split())[:_MOST_NAME]
