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
    + KeysFromEnvironment, KeyAccessDenied, NotTheCreator, PluginRuns
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
  x AlreadyThere, Declined, HalfDone, PartlyAdded, SignInFailed, UnknownSignIn, _TooBig

`core/upstream_errors.py` draws MattermostError and ServiceNowError.

``retryable`` says that the same request may succeed later. A write is never repeated for it
without looking first whether it was saved (``may_have_been_saved``).
"""

from collections.abc import Mapping, Sequence


class AppError(Exception):
    """
    Base of everything raised on purpose.

    ``log_message`` (also ``str(error)``) may name paths and codes, never a token.
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


def with_reference(error: AppError, text: str, reference: str) -> str:
    """*text* for the person, with the log's *reference* if an administrator may need it."""
    return text if error.explained else f"{text} (Reference {reference}.)"
