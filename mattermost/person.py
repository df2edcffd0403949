"""Mattermost for one call: with the bot's session, and with the person's if the call carries one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import structlog

from core.calls import Channel, Message, Person
from core.errors import BotNotIn, MayNotPost
from core.mattermost_ports import CardUpdate
from core.ports import Clock
from core.signing import Signer
from core.upstream_errors import MattermostError, MattermostRefused
from mattermost.access import Access, MayPost
from mattermost.card_props import RECORD_PROP, post_lock, updated_props
from mattermost.direct_cards import PressedCard, direct_members, own_post, signed_members
from mattermost.paths import Ask, Id, Name, Path, api, apps_plugin
from mattermost.permission_reads import PermissionReads, read_channel
from mattermost.session import Session
from mattermost.threads import read_thread

_FORM = "servicenow_form"  # the property of a card's post that says which form posted it
_CLOCK_MARGIN = 300.0  # seconds that Mattermost's clock may be behind ours
_RUNNING = 2  # of a plugin's states; 0 is "not running" (recorded)

log = structlog.get_logger(__name__)


class MattermostForPerson:
    """
    The port `core.mattermost_ports.Mattermost`.

    Args:
        as_bot: The bot's session.
        as_person: The acting user's session, without a token if the call didn't expand it. It lives ten minutes,
            is used only inside the call, and is never stored.
        reads: What this call has read about the person's permissions, and will.
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
        self._clock = clock
        self._signer = signer
        self._pressed = pressed
        self._bot_channel = ""

    def may_post(self, channel_id: str) -> None:
        # Who asks this alone lets the bot in next.
        self._access.may_post(self._reads, channel_id, (self._as_bot, self._bot_member_path(channel_id)))

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
        params = {"since": str(int((since - _CLOCK_MARGIN) * 1000))}
        found = self._ask("GET", api("channels", Id(channel_id), "posts"), params=params)
        posts = (found.get("posts") or {}).values()
        mine = (str(post["id"]) for post in posts if (post.get("props") or {}).get(_FORM) == pending_post_id)
        return next(mine, "")

    def reply(self, *, channel_id: str, root_id: str, text: str) -> None:
        permission = self._permission(channel_id)
        self._post({"channel_id": permission.channel_id, "root_id": root_id, "message": text}, permission)

    def update_card(self, *, post_id: str, attachment: Mapping[str, Any], shows: Mapping[str, str]) -> CardUpdate:
        if self._is_pressed(post_id):
            return self._show_pressed(attachment, shows)
        return self._update(post_id, attachment, shows)

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
        if not post_ids and not root_id:
            return False
        updates: list[Future[CardUpdate]] = []
        roots: list[Future[str]] = []
        for post_id in post_ids:
            if self._is_pressed(post_id):
                self._show_pressed(attachment, shows)
                continue
            root: Future[str] = Future()
            roots.append(root)
            updates.append(self._access.parallel.start(self._updating(post_id, attachment, shows, root)))
        try:
            root_id = self._root(channel_id, roots) or root_id
            if not root_id:
                return False
            self.reply(channel_id=channel_id, root_id=root_id, text=text)
            return True
        finally:
            for update in updates:
                try:
                    update.result()
                except MattermostError as error:
                    log.warning("card not updated", sys_id=shows["sys_id"], reason=error.log_message)

    def _root(self, channel_id: str, roots: Sequence["Future[str]"]) -> str:
        """The root of the first card that tells; what `reply` needs to know is read meanwhile."""
        self._reads.read(*self._reads.paths(channel_id), *self._membership_paths(channel_id))
        return next(filter(None, (root.result() for root in roots)), "")

    def _updating(
        self, post_id: str, attachment: Mapping[str, Any], shows: Mapping[str, str], root: "Future[str]"
    ) -> Callable[[], CardUpdate]:
        """An update that sets *root* as soon as the card was read, before it is written."""

        def work() -> CardUpdate:
            try:
                return self._update(post_id, attachment, shows, root.set_result)
            finally:
                if not root.done():
                    root.set_result("")

        return work

    def _update(
        self,
        post_id: str,
        attachment: Mapping[str, Any],
        shows: Mapping[str, str],
        found_root: Callable[[str], None] = lambda _: None,
    ) -> CardUpdate:
        with post_lock(post_id):
            post = self._as_bot("GET", api("posts", Id(post_id)))
            root_id = str(post.get("root_id") or post["id"])
            found_root(root_id)
            props = post.get("props") or {}
            shown = props.get(RECORD_PROP)
            # In a direct message of two people the card is a person's post, which is not the bot's to change.
            ours = post.get("user_id") == self._bot_user_id
            same = isinstance(shown, dict) and all(shown.get(one) == shows[one] for one in ("table", "sys_id"))
            if ours and same:
                changed = updated_props(props, attachment, shows)
                if changed is not None:
                    self._as_bot("PUT", api("posts", Id(post_id), "patch"), json={"props": changed})
        return CardUpdate(root_id=root_id, updated=ours and same)

    def _is_pressed(self, post_id: str) -> bool:
        return self._pressed is not None and self._pressed.post_id == post_id

    def _show_pressed(self, attachment: Mapping[str, Any], shows: Mapping[str, str]) -> CardUpdate:
        assert self._pressed is not None
        self._pressed.show(attachment, shows, self._clock())
        return CardUpdate(updated=True)

    def direct_channel(self, person_id: str) -> str:
        members = [self._person.id, person_id]
        opening = self._access.parallel.start(lambda: self._as_person("POST", api("channels", "direct"), json=members))
        self._reads.read((self._as_bot, api("users", Id(person_id))))  # for `display_name`
        channel = read_channel(opening.result())
        self._reads.know_channel(channel)
        return channel.id

    def person_id(self, username: str) -> str:
        return str(self._as_bot("GET", api("users", "username", Name(username)))["id"])

    def _post(self, post: Mapping[str, Any], permission: MayPost) -> str:
        if permission.type not in {"D", "G"}:
            try:
                return self._post_as_bot(post)
            except MattermostRefused as error:
                log.info("bot may not post yet", reason=error.log_message)
            if self._bot_joined(permission):
                return self._post_as_bot(post)
        elif self._bot_is_member(permission.channel_id):
            return self._post_as_bot(post)
        # A direct message of two people has no place for the bot: the card is the person's own post.
        members = self._signed_members(permission.channel_id) if permission.type == "G" and "props" in post else ""
        return str(self._as_person("POST", api("posts"), json=own_post(post, self._clock(), members))["id"])

    def _signed_members(self, channel_id: str) -> str:
        rows = self._reads.get(self._as_person, self._members_path(channel_id))
        return signed_members(self._signer, channel_id, {str(row["user_id"]) for row in rows})

    def may_manage(self, channel_id: str) -> None:
        self._access.may_manage(self._reads, channel_id)

    def let_bot_in(self, channel_id: str) -> None:
        permission = self._access.may_post(self._reads, channel_id, (self._as_bot, self._bot_member_path(channel_id)))
        if self._bot_is_member(channel_id):
            return
        direct = permission.type in {"D", "G"}
        if direct or not self._bot_joined(permission):
            raise BotNotIn("the bot is no member and may not join", direct=direct)

    def bot_channel(self) -> str:
        if not self._bot_channel:
            found = self._as_bot("POST", api("channels", "direct"), json=[self._bot_user_id, self._person.id])
            channel = read_channel(found)
            self._reads.know_channel(channel)
            self._bot_channel = channel.id
        return self._bot_channel

    def channels(self) -> Mapping[str, Channel]:
        found: dict[str, Channel] = {}
        for team in self._ask("GET", api("users", Id(self._person.id), "teams")):
            path = api("users", Id(self._person.id), "teams", Id(str(team["id"])), "channels")
            for row in self._ask("GET", path, params={"include_deleted": "true"}):
                found[str(row["id"])] = read_channel(row)
        return found

    def channel(self, channel_id: str) -> Channel:
        if self._as_person.token:
            return self._reads.channel(channel_id)
        # Read with the bot's session: the name of a private channel is for its members.
        self._reads.read(*self._reads.paths(channel_id))
        self._reads.member(channel_id)
        return self._reads.channel(channel_id)

    def visible_channels(self, channel_ids: Collection[str]) -> Mapping[str, Channel]:
        self._reads.read_channels(channel_ids, members=not self._as_person.token)
        found: dict[str, Channel] = {}
        for channel_id in channel_ids:
            with suppress(MattermostError):
                found[channel_id] = self.channel(channel_id)
        return found

    def usernames(self, person_ids: Collection[str]) -> Mapping[str, str]:
        if not person_ids:
            return {}
        rows = self._as_bot("POST", api("users", "ids"), json=sorted(person_ids))
        return {str(row["id"]): str(row["username"]) for row in rows}

    def send_direct_message(self, person_id: str, text: str) -> None:
        channel = self._as_bot("POST", api("channels", "direct"), json=[self._bot_user_id, person_id])
        self._as_bot("POST", api("posts"), json={"channel_id": channel["id"], "message": text})

    def thread(self, post_id: str) -> Sequence[Message]:
        return read_thread(self._as_person, post_id, without=self._bot_user_id)

    def file(self, file_id: str, most: int) -> bytes:
        return self._as_person.download(api("files", Id(file_id)), most)

    def username(self, person_id: str) -> str:
        if person_id == self._person.id and self._person.username:
            return self._person.username
        return str(self._as_bot("GET", api("users", Id(person_id)))["username"])

    def display_name(self, person_id: str) -> str:
        user = self._reads.get(self._as_bot, api("users", Id(person_id)))
        full = f"{user.get('first_name') or ''} {user.get('last_name') or ''}".strip()
        return full or str(user.get("nickname") or user["username"])

    def admit(self, person_id: str, channel_id: str) -> None:
        permission = self._access.may_post(self._access.reads(self._as_person, person_id), channel_id)
        if not self._bot_is_member(permission.channel_id) and not self._bot_joined(permission):
            raise MayNotPost("the bot can't join")

    def plugin_runs(self, plugin_id: str) -> bool:
        found = self._as_person("GET", api("plugins", "statuses"))
        rows = found if isinstance(found, list) else []
        return any(row.get("plugin_id") == plugin_id and row.get("state") == _RUNNING for row in rows)

    def show_connected(self, connected: bool) -> None:
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
        return self._access.may_post(self._reads, channel_id, *self._membership_paths(channel_id))

    def _membership_paths(self, channel_id: str) -> list[tuple[Ask, Path]]:
        """What posting in a direct or group message needs to know besides; nothing elsewhere."""
        channel = self._reads.known_channel(channel_id)
        if channel is None or channel.type not in {"D", "G"} or direct_members(channel):
            return []
        listed = [(self._as_person, self._members_path(channel_id))] if channel.type == "G" else []
        return [(self._as_bot, self._bot_member_path(channel_id)), *listed]

    def _post_as_bot(self, post: Mapping[str, Any]) -> str:
        return str(self._as_bot("POST", api("posts"), json=post)["id"])

    def _bot_member_path(self, channel_id: str) -> Path:
        return api("channels", Id(channel_id), "members", Id(self._bot_user_id))

    def _members_path(self, channel_id: str) -> Path:
        return api("channels", Id(channel_id), "members")

    def _bot_is_member(self, channel_id: str) -> bool:
        channel = self._reads.known_channel(channel_id)
        if channel is not None and (people := direct_members(channel)):
            return self._bot_user_id in people
        try:
            self._reads.get(self._as_bot, self._bot_member_path(channel_id))
        except MattermostRefused:
            return False
        return True

    def _bot_joined(self, permission: MayPost) -> bool:
        """Let the bot join team and channel with the person's own rights."""
        if not self._as_person.token:
            return False
        team, channel = permission.team_id, permission.channel_id
        try:
            self._as_person(
                "POST",
                api("teams", Id(team), "members"),
                json={"team_id": team, "user_id": self._bot_user_id},
            )
            self._as_person("POST", api("channels", Id(channel), "members"), json={"user_id": self._bot_user_id})
        except MattermostError as error:
            log.info("bot may not join", reason=error.log_message)
            return False
        self._reads.forget(self._as_bot, self._bot_member_path(channel))
        return True
