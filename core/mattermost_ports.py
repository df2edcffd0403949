"""What handlers need of Mattermost, as Protocols. Which errors a method raises, its docstring names."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.calls import Channel, Message


@dataclass(frozen=True, kw_only=True)
class CardUpdate:
    """
    What became of an update.

    Attributes:
        root_id: The root of the card's thread, "" where Mattermost does not tell.
        updated: Whether the card shows the record as it was given, or newer.
    """

    root_id: str = ""
    updated: bool


class Mattermost(Protocol):
    """
    Mattermost as this call may use it: the bot's session, and the person's where the call carries one.

    All methods raise MattermostSilent and MattermostRefused.
    """

    def post_card(
        self,
        *,
        channel_id: str,
        root_id: str,
        attachment: Mapping[str, Any],
        pending_post_id: str,
        message: str = "",
        shows: Mapping[str, str] | None = None,
    ) -> str:
        """
        Post an attachment after checking that the person may post there; the new post's id.

        *shows* (table, sys_id, sys_mod_count) says which record the card is of, for `update_card`.

        By the bot, which joins with the person's rights where it is no member; where it may not
        (a direct message of two people), as the person.

        Raises:
            MayNotPost: Archived, no member, no right, or a guest where guests are not let in.
        """
        ...

    def posted_card(self, channel_id: str, pending_post_id: str, since: float) -> str:
        """
        The id of the card that an earlier `post_card` with *pending_post_id* posted at or after *since*
        (Unix seconds); "" for none.
        """
        ...

    def update_card(self, *, post_id: str, attachment: Mapping[str, Any], shows: Mapping[str, str]) -> CardUpdate:
        """
        Put *attachment* in place of a card's that the bot posted, unless that card is of another record
        or shows a newer state already; nothing else of the post changes.

        A person's own card is updated by the answer to a press of its button, and by nothing else.
        """
        ...

    def announce(
        self,
        *,
        channel_id: str,
        post_ids: Collection[str],
        attachment: Mapping[str, Any],
        shows: Mapping[str, str],
        root_id: str,
        text: str,
    ) -> bool:
        """
        Update the cards at *post_ids* as `update_card` does, and say *text* in the thread of the first of them, all
        at the same time; whether it was said.

        A card that can't be updated is logged. *root_id* is the thread if no card tells its own; "" for none.

        Raises:
            MayNotPost: The line wasn't posted; the cards are updated.
        """
        ...

    def direct_channel(self, person_id: str) -> str:
        """The channel of direct messages between whoever asks and *person_id*; made with the asker's session."""
        ...

    def person_id(self, username: str) -> str:
        """The id of a user by name, without ``@``. Raises MattermostRefused where there is none."""
        ...

    def reply(self, *, channel_id: str, root_id: str, text: str) -> None:
        """A line by the bot in a thread, after the same check as `post_card`. Raises MayNotPost."""
        ...

    def may_post(self, channel_id: str) -> None:
        """The same check alone. Raises MayNotPost."""
        ...

    def may_manage(self, channel_id: str) -> None:
        """
        Check that the person administrates the channel, its team or the system.

        Raises:
            NotYours: None of them, or not to be found out.
        """
        ...

    def let_bot_in(self, channel_id: str) -> None:
        """
        Have the bot where it may post, with the person's rights where it is no member yet.

        Raises:
            MayNotPost: The person may not post there.
            BotNotIn: The bot is no member and can't become one.
        """
        ...

    def bot_channel(self) -> str:
        """The channel of the person and the bot alone."""
        ...

    def channels(self) -> Mapping[str, Channel]:
        """Channels that the person is in, of every team, archived and direct ones too, by id."""
        ...

    def channel(self, channel_id: str) -> Channel:
        """A channel as the person may read it; MattermostRefused where that is not so."""
        ...

    def visible_channels(self, channel_ids: Collection[str]) -> Mapping[str, Channel]:
        """Channels by id, read at the same time. Those that the person can't see are missing."""
        ...

    def usernames(self, person_ids: Collection[str]) -> Mapping[str, str]:
        """Names by user id; unknown people are missing."""
        ...

    def send_direct_message(self, person_id: str, text: str) -> None:
        """A direct message from the bot."""
        ...

    def thread(self, post_id: str) -> Sequence[Message]:
        """The thread that a message belongs to, oldest first, with the person's own session."""
        ...

    def file(self, file_id: str, most: int) -> bytes:
        """A file's content with the person's own session. Raises MattermostRefused above *most* bytes."""
        ...

    def username(self, person_id: str) -> str:
        """The user's name without ``@``."""
        ...

    def display_name(self, person_id: str) -> str:
        """The user's full name, or what they are called if there is none. No request after `direct_channel`."""
        ...

    def admit(self, person_id: str, channel_id: str) -> None:
        """
        Check with the administrator's own session that *person_id* may post in a channel, and have the bot join it.

        Raises:
            MayNotPost: The person may not, or the bot can't get in.
        """
        ...

    def plugin_runs(self, plugin_id: str) -> bool:
        """Whether a plugin is active, asked with the administrator's own session."""
        ...

    def show_connected(self, connected: bool) -> None:
        """Write the framework's mark, which makes the person's clients ask for their menus again."""
        ...
