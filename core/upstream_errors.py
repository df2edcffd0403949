"""
Errors of the calls to Mattermost and ServiceNow.

x MattermostError         Mattermost didn't do what we requested
  + MattermostSilent      no answer, or 429 or 5xx                               retryable
    - NoBotToken
  + MattermostRefused     4xx
    - RootPostDeleted       the thread's first post was deleted
    - NoSuchId            not the format of an id, so nothing was sent
x ServiceNowError         ServiceNow didn't do what we requested
  + Unreachable           no connection, so nothing was sent                     retryable
    - CircuitOpen         too many calls got no answer, so we pause
  + Unanswered            sent, but not answered in time                         retryable
    - ConnectionLost, GatewayFailed
  + Hibernating           a developer instance that hibernates
  + Busy                  429 or 503, or too many of our own calls               retryable
    - CallLimitReached    our own limit of concurrent calls
  + Dropped               202: accepted, but usually not done                    retryable
  + Broken                500, or an incomplete or unknown answer                retryable
    - CutShort
  + Misdirected           a login or proxy page instead of data
    - NoInstance
  + CredentialsRefused    401
    - TokenRefused        401 to a token that was just refreshed                 retryable
  + AccessDenied          403: no permission
    - InsertHidden, NotAuthorized, TestDenied
  + Refused               403 by data policy or business rule; has the fields if known
  + NotAccepted           any other 4xx
  + NotSaved              2xx, but not saved: no permission for the field
    - PartlySaved
  + NotFound              404: doesn't exist, or an ACL hides it
    - Gone, NothingMatches
  + NotInstalled          400: the instance doesn't have this table or API
    - OldComponent        the table is from an older update set
    - NoTests, NotSetUp
  + TooLong               414
  + TooLarge              exceeds a size limit of the instance
  + OAuthRefused          the token endpoint rejected the request
  + BeingChanged, NoKey, NothingSaved, NotWritten
"""

import re
from collections.abc import Sequence

from core.errors import AppError

_MARKUP = re.compile(r"[\[\]<>`*~@#|\\\s\x00-\x1f\u202a-\u202e\u2066-\u2069]+|(?<=:)/+")
_MOST_NAME = 120  # characters of a name that the instance gives


class MattermostError(AppError):
    """Mattermost didn't do what we requested."""

    user_message = "Mattermost did not accept this. Try again; if it stays, ask an administrator."


class MattermostSilent(MattermostError):
    """
    No answer from Mattermost, or one that asks us to try again later.

    ``status`` is 0 if there is no answer. ``retry_after`` is in seconds, if Mattermost sent it.
    """

    user_message = "Mattermost is not answering our service right now. Try again in a minute."
    retryable = True

    def __init__(self, log_message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(log_message)
        self.status = status
        self.retry_after = retry_after

    @property
    def concerns_all(self) -> bool:
        """Whether other requests would fail too: no answer, no valid token, or too many requests."""
        return self.status in {0, 401, 429}


class MattermostRefused(MattermostError):
    """Mattermost answered 4xx, with this ``status`` and ``error_id``."""

    def __init__(self, log_message: str, status: int, error_id: str = "") -> None:
        super().__init__(log_message)
        self.status = status
        self.error_id = error_id


class RootPostDeleted(MattermostRefused):
    """The root post was deleted, so replies to it are rejected."""


class NoSuchId(MattermostRefused):
    """The value isn't a Mattermost id, so nothing was sent. It isn't logged, because it can be anything."""

    def __init__(self) -> None:
        super().__init__("not an id of Mattermost", 404, "servicenow.no_such_id")


class ServiceNowError(AppError):
    """ServiceNow didn't do what we requested."""

    user_message = "ServiceNow could not do this. Try again; if it stays, ask an administrator."


class Unreachable(ServiceNowError):
    """There was no connection, so nothing was sent."""

    user_message = "ServiceNow can't be reached right now. Nothing was saved; try again in a minute."
    retryable = True


class CircuitOpen(Unreachable):
    """Several calls got no answer, so ServiceNow isn't called for some seconds."""

    user_message = "ServiceNow has stopped answering. Nothing was saved; try again in about 15 seconds."


class Unanswered(ServiceNowError):
    """The request was sent, but there was no complete answer in time."""

    user_message = "ServiceNow did not answer in time. Try again in a minute."
    retryable = True
    may_have_been_saved = True


class ConnectionLost(Unanswered):
    """The connection broke before the answer was complete. This doesn't mean that the instance is slow."""


class GatewayFailed(Unanswered):
    """502 or 504: a gateway got no answer from the instance, which may still be working on the request."""


class Hibernating(ServiceNowError):
    """A developer instance hibernates. Only a sign-in at the developer site wakes it."""

    user_message = (
        "The ServiceNow instance is asleep (developer instances hibernate). Nothing was saved. "
        "Somebody has to wake it by signing in at ServiceNow's developer site; then try again."
    )


class Busy(ServiceNowError):
    """ServiceNow asked for a pause of ``retry_after`` seconds, or our own limit of calls is reached."""

    user_message = "ServiceNow is busy. Nothing was saved; try again in a minute."
    retryable = True

    def __init__(self, log_message: str, retry_after: float | None = None) -> None:
        super().__init__(log_message)
        self.retry_after = retry_after


class CallLimitReached(Busy):
    """Our own limit of concurrent calls. A retry would only lengthen the queue."""


class Dropped(ServiceNowError):
    """202: accepted without an answer. In practice the request is lost."""

    user_message = "ServiceNow put this off and did not say whether it was done. Try again in a minute."
    retryable = True
    may_have_been_saved = True


class Broken(ServiceNowError):
    """ServiceNow had an internal error, or its answer was incomplete or unknown."""

    user_message = "ServiceNow returned an error. Try again in a minute."
    retryable = True
    may_have_been_saved = True


class CutShort(Broken):
    """The answer is incomplete. A read can be repeated."""


class Misdirected(ServiceNowError):
    """The answer is a web page (sign-in, proxy, maintenance) instead of data."""

    user_message = (
        "ServiceNow answered with a web page instead of data. Ask an administrator to check "
        "the instance's address and its sign-in rules."
    )


class CredentialsRefused(ServiceNowError):
    """
    401, which has the same answer for every cause. The client has already retried with a new token.

    ``foreign``: the answer wasn't ServiceNow's JSON, so another server may have sent it.
    """

    user_message = "ServiceNow does not accept your connection. Run `/servicenow connect` and try again."

    def __init__(self, log_message: str, *, foreign: bool = False) -> None:
        super().__init__(log_message)
        self.foreign = foreign


class TokenRefused(CredentialsRefused):
    """401 to a new token. This can be temporary, so the account stays connected."""

    user_message = (
        "ServiceNow rejected your connection, although it had just renewed it. "
        "Nothing was saved; try again in a minute."
    )
    retryable = True


class AccessDenied(ServiceNowError):
    """403: the account doesn't have permission, or the table isn't open to web services."""

    user_message = "ServiceNow says that your account may not do this. Ask your ServiceNow administrator for the right."


class InsertHidden(AccessDenied):
    """403 to an insert. The row may exist, but its creator can't read it (KB2697679)."""

    may_have_been_saved = True


class Refused(ServiceNowError):
    """
    403 by a data policy or business rule, which rejected the values.

    ``labels`` are the labels of mandatory fields in ServiceNow's form. ``rule`` is the name of the business rule, or
    "". Markdown is removed from both, because they come from the instance and ``user_message`` is Markdown.
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
    """Any other 4xx, such as a 400 of the component."""


class NotSaved(ServiceNowError):
    """ServiceNow reported success but didn't save the value, as it does for fields without write permission."""

    user_message = (
        "ServiceNow did not keep this: your account may not write that field, or its rules forbid the value. "
        "Ask your ServiceNow administrator."
    )


class NotFound(ServiceNowError):
    """404: the record doesn't exist, or an ACL hides it. ServiceNow doesn't tell which."""

    user_message = (
        "ServiceNow has no such record, or your account may not see it. Check which one you mean, or ask your "
        "ServiceNow administrator."
    )


class NotInstalled(ServiceNowError):
    """400: the instance doesn't have this table or API."""

    user_message = "The ServiceNow instance lacks something this needs. Ask an administrator."


class OldComponent(NotInstalled):
    """The table is from update set v2.1. ``sys_id`` is the row that was inserted anyway and has to be removed."""

    user_message = (
        "The ServiceNow side is of an older version, so nothing was saved. Ask a Mattermost system administrator "
        "to run `/servicenow setup` and to have the current update set installed."
    )

    def __init__(self, log_message: str, sys_id: str) -> None:
        super().__init__(log_message)
        self.sys_id = sys_id


class TooLong(ServiceNowError):
    """414: the URL is longer than ServiceNow accepts (about 8 kB)."""

    user_message = "That is too long for ServiceNow to search. Use fewer or shorter words."


class TooLarge(ServiceNowError):
    """Exceeds a size limit, for example of files. The instance doesn't tell what the limit is."""

    user_message = "That is larger than this ServiceNow takes. Nothing was saved; try something smaller."


class OAuthRefused(ServiceNowError):
    """The token endpoint rejected the request. ServiceNow has the same answer for every cause."""

    user_message = (
        "ServiceNow refused the sign-in. Try to connect again; if it stays, ask an administrator to check "
        "the OAuth client, its secret and its redirect address."
    )


def _words(name: str) -> str:
    """A name from the instance without Markdown, on one line."""
    return " ".join(_MARKUP.sub(" ", name).split())[:_MOST_NAME]
