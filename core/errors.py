"""
Errors that people see. An error without a description here is defined in the only module that raises it.

* AppError                  raised on purpose; has a message for the person
  x InvalidInput            a field's value isn't accepted
    + NoSuchRecord
  x UnknownRequest          no handler for the request
  x NotVerified             the request doesn't prove who sent it
    + OtherSecret           the framework signs with a different secret
    + ExpiredState, ExpiredTrigger, ForeignForm, ReportRefused, UsedDialog, UsedTrigger
  x NotPermitted            the person doesn't have permission
    + AdministratorsOnly
    + GuestsNotAllowed      a Mattermost guest, if guests aren't allowed
    + NotInChannel          not a member of the card's channel
    + MayNotPost            the person can't post in the channel
      - ChannelClosed       nobody can, or the bot can't
    + NotShared             a record of a table that isn't shared
    + BotNotInChannel       the bot isn't a member, and the person can't add it
    + NotYours              another person's, and this person is no administrator there
    + KeysFromEnvironment, KeyAccessDenied, NotTheCreator, PluginRuns
  x TurnedOff               an administrator disabled or uninstalled the app
  x NotConfigured           settings are missing
  x NotConnected            no connected ServiceNow account yet
    + Suspended             connected, but ServiceNow rejects its tokens
    + NoAdministrator
  x TooManyRequests         too many submits or lookups per minute                 retryable
  x StillWorking            the same form is being saved right now                 retryable
    + BeingSaved
  x MayBeSaved              no answer to a write, and the lookup failed (`handlers/confirmed.py`)
  x StorageFailed           the disk rejected a change
    + Damaged, InUse, Unreadable
  x AlreadySubscribed, Declined, HalfDone, PartlyAdded, SignInFailed, UnknownSignIn, _TooBig

`core/upstream_errors.py` lists MattermostError and ServiceNowError.

``retryable``: the same request may succeed later. After ``may_have_been_saved``, a write is repeated only after a
lookup showed that it wasn't saved.
"""

from collections.abc import Mapping, Sequence


class AppError(Exception):
    """
    Base class of all errors that are raised on purpose.

    ``log_message`` (also ``str(error)``) can contain paths and codes, but never a token. ``user_message`` is Markdown.
    It tells the person what happened and what to do next.
    """

    user_message: str = "Something went wrong. Try again; if it stays, ask an administrator."
    explained: bool = False  # `user_message` is complete, so it needs no reference to the log
    retryable: bool = False
    may_have_been_saved: bool = False
    retry_after: float | None = None  # seconds, if the server asked for it

    def __init__(self, log_message: str = "", user_message: str | None = None) -> None:
        super().__init__(log_message)
        self.log_message = log_message
        if user_message is not None:
            self.user_message = user_message

    @property
    def fields(self) -> Mapping[str, str]:
        """Messages by field name."""
        return {}


class InvalidInput(AppError):
    """Rejected values, with a message per field name. *log_message* is a cause that people must not see."""

    user_message = "Please correct what is marked below. Nothing was saved."

    def __init__(self, fields: Mapping[str, str], user_message: str | None = None, *, log_message: str = "") -> None:
        super().__init__(log_message or f"invalid input in {', '.join(sorted(fields)) or 'the form'}", user_message)
        self.explained = not log_message
        self._fields = dict(fields)

    @property
    def fields(self) -> Mapping[str, str]:
        return self._fields


class UnknownRequest(AppError):
    """There is no handler for the request. *user_message* can suggest the most similar one."""

    user_message = "This app does not know that request. Try `/servicenow help`."


class NotVerified(AppError):
    """The request has no valid proof of who sent it."""

    user_message = "This request could not be verified, so nothing was done. Reload Mattermost and try again."


class OtherSecret(NotVerified):
    """The framework's token is signed with a different secret."""


class NotPermitted(AppError):
    """The person is known but doesn't have permission."""

    user_message = "You may not do this. Ask an administrator if you think you should."


class AdministratorsOnly(NotPermitted):
    """Only Mattermost system administrators can do this."""

    user_message = "Only a Mattermost system administrator may do this."


class GuestsNotAllowed(NotPermitted):
    """The person is a Mattermost guest, and guests can't use the app (`GUESTS`)."""

    user_message = "Guests can't use ServiceNow here. Ask an administrator."


class NotInChannel(NotPermitted):
    """The person who pressed a card's button isn't a member of its channel, or that can't be checked."""

    user_message = "You aren't a member of this channel, so nothing was done. Join it to use its cards."


class MayNotPost(NotPermitted):
    """The person can't post in the channel. `log_message` has the reason."""

    user_message = "You may not post in this channel. Choose a channel that you can write in."


class NotShared(NotPermitted):
    """The record's class isn't shared here (design §5)."""

    user_message = (
        "Records of this kind are not shown here. An administrator can add their table to the setting `SHARED_TABLES`."
    )


class ChannelClosed(MayNotPost):
    """The bot can't post in the channel: archived, deleted, or it isn't a member. ``user_message`` has the reason."""


class BotNotInChannel(NotPermitted):
    """The bot isn't a member of the channel, and the person doesn't have permission to add it."""

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
    """Only the creator or an administrator of the channel, the team or the system can do this."""

    user_message = (
        "Only who made this subscription, or an administrator of its channel, team or of Mattermost may change it. "
        "Ask one of them."
    )


class TurnedOff(AppError):
    """An administrator disabled or uninstalled the app in Mattermost."""

    user_message = "ServiceNow is turned off on this server."
    explained = True


class NotConfigured(AppError):
    """Settings are missing. Administrators see which ones, and others see whom to ask."""

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
    """The person has no connected ServiceNow account."""

    user_message = "Your ServiceNow account is not connected yet. [Connect it]({connect}), then try again."

    def __init__(self, log_message: str, connect: str) -> None:
        super().__init__(log_message)
        self.user_message = self.user_message.format(connect=connect)


class Suspended(NotConnected):
    """The account is connected, but ServiceNow no longer accepts its tokens."""

    user_message = "ServiceNow no longer accepts your connection. [Connect again]({connect}), then repeat this."


class TooManyRequests(AppError):
    """More requests than a person needs. This protects ServiceNow from scripts."""

    user_message = "That was a lot at once. Wait a minute, then try again; nothing was saved."
    retryable = True


class StillWorking(AppError):
    """An earlier submit of the same form is still being saved."""

    user_message = "This form is being saved already. Wait a moment; the first submit will answer."
    retryable = True


class StorageFailed(AppError):
    """Our own storage could not save a change."""

    user_message = "This could not be stored on our side. Tell an administrator; then try again."
    retryable = True


def with_reference(error: AppError, text: str, reference: str) -> str:
    """*text* for the person, with the log's *reference* if an administrator may need it."""
    return text if error.explained else f"{text} (Reference {reference}.)"
