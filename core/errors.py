"""
Errors a person can meet. Those without a sentence here are raised by one module alone, and stand there.

* AppError                  raised on purpose; carries the words for the person
  x InvalidInput            a field's value cannot be accepted
    + NoSuchRecord
  x UnknownRequest          no handler for what was asked
  x NotVerified             the caller did not prove who is asking
    + OtherSecret           the framework signs with another secret than ours
    + ExpiredState, ExpiredTrigger, ForeignForm, ReportRefused, UsedDialog, UsedTrigger
  x NotPermitted            the person may not do this here
    + AdministratorsOnly
    + GuestsOut             a Mattermost guest, where guests are not let in
    + NotInChannel          not a member of the card's channel
    + MayNotPost            not in this channel
      - ChannelClosed       nobody may, or the bot may not
    + NotShared             not a record of this table
    + BotNotIn              the bot may not post there, and the person may not let it in
    + NotYours              somebody else's, and the person administrates nothing there
    + KeysFromEnvironment, NoKeyRights, NotTheCreator, PluginRuns
  x TurnedOff               an administrator disabled or uninstalled the app
  x NotConfigured           settings are missing
  x NotConnected            no linked ServiceNow account yet
    + Suspended             linked, but ServiceNow refuses its tokens
    + NoAdministrator
  x TooManyRequests         more submits or look-ups a minute than anybody needs   retryable
  x StillWorking            the same form is being saved right now                 retryable
    + SavedBySomebody
  x MayBeSaved              no answer after a write, and looking was no help (`handlers/confirmed.py`)
  x StorageFailed           the disk did not take it
    + Damaged, InUse, Unreadable
  x MattermostError         Mattermost did not do what was asked
    + MattermostSilent      no answer, or 429 or 5xx                               retryable
      - NoBotToken
    + MattermostRefused     4xx
      - RootGone            the thread's first post was deleted
      - NoSuchId            not of an id's form, so Mattermost was not asked
  x ServiceNowError         ServiceNow did not do what was asked
    + Unreachable           refused, no route, TLS: nothing was sent               retryable
      - Silent
    + Unanswered            sent, and no answer in time                            retryable
      - ConnectionLost, GatewayFailed
    + Asleep                a developer instance that hibernates
    + Busy                  429 or 503, or too many of our own calls               retryable
      - Full
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
  x AlreadyThere, Declined, HalfDone, PartlyAdded, SignInFailed, UnknownSignIn, _TooBig

``retryable`` says that the same request may succeed later. A write is never repeated for it
without looking first whether it was saved (``may_have_been_saved``).
"""

import re
from collections.abc import Mapping, Sequence

_MARKUP = re.compile(r"[\[\]<>`*~@#|\\\s\x00-\x1f\u202a-\u202e\u2066-\u2069]+|(?<=:)/+")
_MOST_NAME = 120  # characters of a name that the instance gives


class AppError(Exception):
    """
    Base of everything raised on purpose.

    ``log_message`` (also ``error.log_message``) may name paths and codes, never a token.
    ``user_message`` tells the person what happened and what to do next, as Markdown.
    """

    user_message: str = "Something went wrong. Try again; if it stays, ask an administrator."
    explained: bool = False  # `user_message` is complete, so it needs no reference to the log
    retryable: bool = False
    may_have_been_saved: bool = False
    retry_after: float | None = None  # seconds, where the other side said so

    def __init__(self, log_message: str = "", user_message: str | None = None) -> None:
        super().__init__(log_message)
        self.log_message = log_message
        if user_message is not None:
            self.user_message = user_message

    @property
    def fields(self) -> Mapping[str, str]:
        """Sentences per field name; empty when the error is about no field."""
        return {}


class InvalidInput(AppError):
    """Rejected values: a sentence per field name. *log_message* is a cause that only the log may name."""

    user_message = "Please correct what is marked below. Nothing was saved."

    def __init__(self, fields: Mapping[str, str], user_message: str | None = None, *, log_message: str = "") -> None:
        super().__init__(log_message or f"invalid input in {', '.join(sorted(fields)) or 'the form'}", user_message)
        self.explained = not log_message
        self._fields = dict(fields)

    @property
    def fields(self) -> Mapping[str, str]:
        return self._fields


class UnknownRequest(AppError):
    """Nothing here answers what was asked; *user_message* may suggest the nearest."""

    user_message = "This app does not know that request. Try `/servicenow help`."


class NotVerified(AppError):
    """The request lacks a proof of who is asking, or the proof is false."""

    user_message = "This request could not be verified, so nothing was done. Reload Mattermost and try again."


class OtherSecret(NotVerified):
    """The framework's token is signed with another secret than ours."""


class NotPermitted(AppError):
    """The person is known, and may not do this."""

    user_message = "You may not do this. Ask an administrator if you think you should."


class AdministratorsOnly(NotPermitted):
    """Only a Mattermost system administrator may do this."""

    user_message = "Only a Mattermost system administrator may do this."


class GuestsOut(NotPermitted):
    """A guest of Mattermost, and guests may not use the app here (`GUESTS`)."""

    user_message = "Guests can't use ServiceNow here. Ask an administrator."


class NotInChannel(NotPermitted):
    """Whoever pressed a card's button is no member of its channel, or nobody can tell."""

    user_message = "You aren't a member of this channel, so nothing was done. Join it to use its cards."


class MayNotPost(NotPermitted):
    """The person may not post in the channel; `log_message` says why."""

    user_message = "You may not post in this channel. Choose a channel that you can write in."


class NotShared(NotPermitted):
    """A record of a class that is not shared here (design §5)."""

    user_message = (
        "Records of this kind are not shown here. An administrator can add their table to the setting `SHARED_TABLES`."
    )


class ChannelClosed(MayNotPost):
    """The bot can't post in the channel: archived, deleted, or it isn't a member; ``user_message`` says which."""


class BotNotIn(NotPermitted):
    """The bot is no member of the channel, and could not be let in with the person's rights."""

    user_message = (
        "The ServiceNow bot is not in this channel and you may not add it. Ask somebody who manages the channel "
        "to run `/invite @servicenow` there, then try again; nothing was saved."
    )
    user_message_for_direct_channels = (
        "The ServiceNow bot takes no part in direct and group messages, so it can't post here. Choose a channel, or "
        "have the notices sent to you alone; nothing was saved."
    )

    def __init__(self, log_message: str, *, direct: bool = False) -> None:
        super().__init__(log_message)
        if direct:
            self.user_message = self.user_message_for_direct_channels


class NotYours(NotPermitted):
    """Only its creator or an administrator of the channel, the team or the system may do this."""

    user_message = (
        "Only who made this subscription, or an administrator of its channel, team or of Mattermost may change it. "
        "Ask one of them."
    )


class TurnedOff(AppError):
    """An administrator disabled or uninstalled the app in Mattermost."""

    user_message = "ServiceNow is turned off on this server."
    explained = True


class NotConfigured(AppError):
    """Settings are missing; administrators are told which, everybody else whom to ask."""

    user_message = "ServiceNow is not set up here yet. Ask a Mattermost system administrator to finish it."

    def __init__(self, missing: Sequence[str], administrator: bool = False) -> None:
        super().__init__(f"not configured: {', '.join(missing)}")
        self.missing = tuple(missing)
        if administrator:
            items = "\n".join(f"- `{name}`" for name in self.missing)
            self.user_message = (
                f"ServiceNow is not set up here yet. These settings are missing:\n{items}\n\n"
                "Set them with `/servicenow configure`, or in the service's environment."
            )


class NotConnected(AppError):
    """The person has no linked ServiceNow account."""

    user_message = "Your ServiceNow account is not connected yet. [Connect it]({connect}), then try again."

    def __init__(self, log_message: str, connect: str) -> None:
        super().__init__(log_message)
        self.user_message = self.user_message.format(connect=connect)


class Suspended(NotConnected):
    """The account is linked, but ServiceNow no longer accepts its tokens."""

    user_message = "ServiceNow no longer accepts your connection. [Connect again]({connect}), then repeat this."


class TooManyRequests(AppError):
    """More than one person needs; protects ServiceNow from scripts."""

    user_message = "That was a lot at once. Wait a minute, then try again; nothing was saved."
    retryable = True


class StillWorking(AppError):
    """The same form is being saved by an earlier submit."""

    user_message = "This form is being saved already. Wait a moment; the first submit will answer."
    retryable = True


class StorageFailed(AppError):
    """Our own storage did not take a change."""

    user_message = "This could not be stored on our side. Tell an administrator; then try again."
    retryable = True


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


class Unanswered(ServiceNowError):
    """The request was sent, and no (whole) answer came in time."""

    user_message = "ServiceNow did not answer in time. Try again in a minute."
    retryable = True
    may_have_been_saved = True


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
