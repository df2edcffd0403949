"""Mattermost for one call: with the bot's session, and with the person's if the call carries one."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from core.calls import Channel, Message, Person
from core.errors import BotNotInChannel, MayNotPost
from core.outbox import CardUpdate
from core.signing import Signer
from core.times import Clock
from core.upstream_errors import MattermostError, MattermostRefused
from mattermost.access import Access, MayPost
from mattermost.bot_membership import BotMembership
from mattermost.card_props import RECORD_PROP
from mattermost.card_updates import CardUpdater
from mattermost.direct_cards import PressedCard, direct_members, own_post, signed_members
from mattermost.paths import Id, Name, api, apps_plugin
from mattermost.permission_reads import PermissionReads, read_channel
from mattermost.session import Session
from mattermost.threads import read_thread

_FORM = "servicenow_form"  # prop of a card's post: the id of the form that posted it
_CLOCK_MARGIN = 300.0  # seconds that Mattermost's clock can be behind ours
_RUNNING = 2  # of a plugin's states; 0 is "not running" (recorded)

log = structlog.get_logger(__name__)


class MattermostForPerson:
    """
    Mattermost for one call of one person. All methods raise MattermostSilent and MattermostRefused.

    Args:
        as_bot: The bot's session.
        as_person: The acting user's session, without a token if the call didn't expand it. It lives ten minutes,
            is used only inside the call, and is never stored.
        reads: This call's reads about the person's permissions.
        pressed: The card whose button was pressed, if only the answer to the press can update it.
    """

    def __init__(
        self,
        access: Access,
        person: Person,
        reads: PermissionReads,
        *,
        bot_user_id: str,
        as_bot: Session,
        as_person: Session,
        clock: Clock,
        signer: Signer,
        pressed: PressedCard | None = None,
    ) -> None:
        self._access = access
        self._person = person
        self._reads = reads
        self._bot_user_id = bot_user_id
        self._as_bot = as_bot
        self._as_person = as_person
        self._ask = reads.ask  # the person's session, or the bot's if the call carries none
        self._bot = BotMembership(reads, bot_user_id, as_bot, as_person)
        self._cards = CardUpdater(as_bot, bot_user_id, access.parallel, clock, pressed)
        self._clock = clock
        self._signer = signer
        self._bot_channel = ""

    def may_post(self, channel_id: str) -> None:
        """Check that the person can post in the channel. Raises MayNotPost."""
        # Callers that only check this let the bot in next, so its membership is read at the same time.
        self._access.may_post(self._reads, channel_id, self._bot.read(channel_id))

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
        Post an attachment after checking that the person can post there, and return the post's ID.

        The bot posts it and joins the channel with the person's permissions if necessary. In a direct message of two
        people it is the person's own post.

        Args:
            shows: The record on the card (table, sys_id, sys_mod_count), for `update_card`.

        Raises:
            MayNotPost: The channel is archived, or the person isn't a member, lacks permission, or is a guest where
                guests aren't allowed.
        """
        permission = self._permission(channel_id)
        props: dict[str, Any] = {"attachments": [dict(attachment)], _FORM: pending_post_id}
        if shows:
            props[RECORD_PROP] = dict(shows)
        post = {
            "channel_id": permission.channel_id,
            "root_id": root_id,
            "pending_post_id": pending_post_id,
            "message": message,
            "props": props,
        }
        return self._post(post, permission)

    def posted_card(self, channel_id: str, pending_post_id: str, since: float) -> str:
        """The ID of the card that `post_card` posted with *pending_post_id* after *since* (Unix seconds), or ""."""
        params = {"since": str(int((since - _CLOCK_MARGIN) * 1000))}
        found = self._ask("GET", api("channels", Id(channel_id), "posts"), params=params)
        posts = (found.get("posts") or {}).values()
        mine = (str(post["id"]) for post in posts if (post.get("props") or {}).get(_FORM) == pending_post_id)
        return next(mine, "")

    def reply(self, *, channel_id: str, root_id: str, text: str) -> None:
        """A reply by the bot in a thread, after the same check as `post_card`. Raises MayNotPost."""
        permission = self._permission(channel_id)
        self._post({"channel_id": permission.channel_id, "root_id": root_id, "message": text}, permission)

    def update_card(self, *, post_id: str, attachment: Mapping[str, Any], shows: Mapping[str, str]) -> CardUpdate:
        """
        Replace the attachment of a card, unless the card is of another record or shows a newer state.

        Only the bot's posts are updated. A person's own card changes only in the answer to a press of its button.
        """
        return self._cards.update(post_id, attachment, shows)

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
        Update the cards at *post_ids* and reply with *text* in the thread of the first one, all at the same time.

        Returns whether the reply was posted. A card that can't be updated is logged.

        Args:
            root_id: The thread to use if no card tells its own. "" for none.

        Raises:
            MayNotPost: The reply wasn't posted; the cards are updated.
        """
        if not post_ids and not root_id:
            return False
        with self._cards.updating(post_ids, attachment, shows) as root_of_cards:
            self._reads.read(*self._reads.paths(channel_id), *self._bot.reads_to_post(channel_id))
            root_id = root_of_cards() or root_id
            if not root_id:
                return False
            self.reply(channel_id=channel_id, root_id=root_id, text=text)
            return True

    def direct_channel(self, person_id: str) -> str:
        """The direct message channel of the person and *person_id*. Created with the person's session."""
        members = [self._person.id, person_id]
        opening = self._access.parallel.start(lambda: self._as_person("POST", api("channels", "direct"), json=members))
        self._reads.read((self._as_bot, api("users", Id(person_id))))  # for `display_name`
        channel = read_channel(opening.result())
        self._reads.know_channel(channel)
        return channel.id

    def person_id(self, username: str) -> str:
        """The ID of the user with this name, without ``@``. Raises MattermostRefused if there is no such user."""
        return str(self._as_bot("GET", api("users", "username", Name(username)))["id"])

    def _post(self, post: Mapping[str, Any], permission: MayPost) -> str:
        if permission.type not in {"D", "G"}:
            try:
                return self._post_as_bot(post)
            except MattermostRefused as error:
                log.info("bot may not post yet", reason=error.log_message)
            if self._bot.join(permission.team_id, permission.channel_id):
                return self._post_as_bot(post)
        elif self._bot.is_member(permission.channel_id):
            return self._post_as_bot(post)
        # The bot can't join a direct message between people, so the card is the person's own post.
        members = ""
        if permission.type == "G" and "props" in post:
            members = signed_members(self._signer, permission.channel_id, self._bot.members(permission.channel_id))
        return str(self._as_person("POST", api("posts"), json=own_post(post, self._clock(), members))["id"])

    def may_manage(self, channel_id: str) -> None:
        """
        Check that the person is a channel, team or system admin.

        Raises:
            NotYours: They aren't, or it can't be determined.
        """
        self._access.may_manage(self._reads, channel_id)

    def let_bot_in(self, channel_id: str) -> None:
        """
        Check that the person can post, and add the bot to the channel with their permissions if necessary.

        Raises:
            MayNotPost: The person can't post there.
            BotNotInChannel: The bot isn't a member and can't become one.
        """
        permission = self._access.may_post(self._reads, channel_id, self._bot.read(channel_id))
        if self._bot.is_member(channel_id):
            return
        direct = permission.type in {"D", "G"}
        if direct or not self._bot.join(permission.team_id, channel_id):
            raise BotNotInChannel("the bot is no member and may not join", direct=direct)

    def bot_channel(self) -> str:
        """The direct message channel of the person and the bot."""
        if not self._bot_channel:
            found = self._as_bot("POST", api("channels", "direct"), json=[self._bot_user_id, self._person.id])
            channel = read_channel(found)
            self._reads.know_channel(channel)
            self._bot_channel = channel.id
        return self._bot_channel

    def channels(self) -> Mapping[str, Channel]:
        """The person's channels in all teams by ID, including archived channels and direct messages."""
        found: dict[str, Channel] = {}
        for team in self._ask("GET", api("users", Id(self._person.id), "teams")):
            path = api("users", Id(self._person.id), "teams", Id(str(team["id"])), "channels")
            for row in self._ask("GET", path, params={"include_deleted": "true"}):
                found[str(row["id"])] = read_channel(row)
        return found

    def channel(self, channel_id: str) -> Channel:
        """A channel that the person can read. Raises MattermostRefused for others."""
        if self._as_person.token:
            return self._reads.channel(channel_id)
        # The bot can read channels that the person can't, so check that the person is a member.
        self._reads.read(*self._reads.paths(channel_id))
        self._reads.member(channel_id)
        return self._reads.channel(channel_id)

    def visible_channels(self, channel_ids: Collection[str]) -> Mapping[str, Channel]:
        """Channels by ID, read concurrently. Those that the person can't see are missing."""
        self._reads.read_channels(channel_ids, members=not self._as_person.token)
        found: dict[str, Channel] = {}
        for channel_id in channel_ids:
            with suppress(MattermostError):
                found[channel_id] = self.channel(channel_id)
        return found

    def usernames(self, person_ids: Collection[str]) -> Mapping[str, str]:
        """User names by user ID. Unknown users are missing."""
        if not person_ids:
            return {}
        rows = self._as_bot("POST", api("users", "ids"), json=sorted(person_ids))
        return {str(row["id"]): str(row["username"]) for row in rows}

    def send_direct_message(self, person_id: str, text: str) -> None:
        """A direct message from the bot."""
        channel = self._as_bot("POST", api("channels", "direct"), json=[self._bot_user_id, person_id])
        self._as_bot("POST", api("posts"), json={"channel_id": channel["id"], "message": text})

    def thread(self, post_id: str) -> Sequence[Message]:
        """The thread of a message, oldest first, read with the person's session."""
        return read_thread(self._as_person, post_id, without=self._bot_user_id)

    def file(self, file_id: str, most: int) -> bytes:
        """A file's content, read with the person's session. Raises MattermostRefused above *most* bytes."""
        return self._as_person.download(api("files", Id(file_id)), most)

    def username(self, person_id: str) -> str:
        """The user name without ``@``."""
        if person_id == self._person.id and self._person.username:
            return self._person.username
        return str(self._as_bot("GET", api("users", Id(person_id)))["username"])

    def display_name(self, person_id: str) -> str:
        """The user's full name, or else their nickname or user name. No request after `direct_channel`."""
        user = self._reads.get(self._as_bot, api("users", Id(person_id)))
        full = f"{user.get('first_name') or ''} {user.get('last_name') or ''}".strip()
        return full or str(user.get("nickname") or user["username"])

    def admit(self, person_id: str, channel_id: str) -> None:
        """
        Check with the administrator's session that *person_id* can post in a channel, and add the bot to it.

        Raises:
            MayNotPost: The person can't post, or the bot can't be added.
        """
        permission = self._access.may_post(self._access.reads(self._as_person, person_id), channel_id)
        if not self._bot.is_member(channel_id) and not self._bot.join(permission.team_id, channel_id):
            raise MayNotPost("the bot can't join")

    def plugin_runs(self, plugin_id: str) -> bool:
        """Whether a plugin is running. Read with the administrator's session."""
        found = self._as_person("GET", api("plugins", "statuses"))
        rows = found if isinstance(found, list) else []
        return any(row.get("plugin_id") == plugin_id and row.get("state") == _RUNNING for row in rows)

    def show_connected(self, connected: bool) -> None:
        """Store the framework's connection state, so that the person's clients reload their menus."""
        # Only the person's own app session may write this record (protocol reference §8).
        self._as_person(
            "POST", apps_plugin("api", "v1", "oauth2", "user"), json={"connected": True} if connected else {}
        )

    def _permission(self, channel_id: str) -> MayPost:
        channel = self._reads.known_channel(channel_id)
        people = direct_members(channel) if channel is not None else frozenset()
        if self._as_person.token and self._person.id in people and self._bot_user_id not in people:
            # The person posts this themselves, so Mattermost checks their permissions.
            return self._access.may_post_in_own_name(self._reads, channel_id)
        return self._access.may_post(self._reads, channel_id, *self._bot.reads_to_post(channel_id))

    def _post_as_bot(self, post: Mapping[str, Any]) -> str:
        return str(self._as_bot("POST", api("posts"), json=post)["id"])
