"""Mattermost as one call may use it: the bot's session, and the person's where the call carries one."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog

from core.calls import Channel, Message, Person
from core.errors import BotNotIn, MayNotPost
from core.mattermost_ports import CardUpdate
from core.ports import Clock
from core.signing import Signer
from core.times import Deadline
from core.upstream_errors import MattermostError, MattermostRefused
from mattermost.access import Access, MayPost
from mattermost.client import MattermostClient
from mattermost.direct_cards import PressedCard, own_post, signed_members
from mattermost.paths import Id, Name, Path, api, apps_plugin
from mattermost.shown import SHOWS, renewed, renewing
from mattermost.threads import read_thread

_FORM = "servicenow_form"  # the property of a card's post that says which form posted it
_CLOCK_MARGIN = 300.0  # seconds that Mattermost's clock may be behind ours
_RUNNING = 2  # of a plugin's states; 0 is "not running" (recorded)

log = structlog.get_logger(__name__)


class MattermostForPerson:
    """
    The port `core.mattermost_ports.Mattermost`.

    Args:
        person_token: The acting user's session of this call, or "" where the call did not expand it.
            It lives ten minutes, is used only inside the call, and never stored.
        pressed: The card whose button is answered, where only that answer can update it.
    """

    def __init__(
        self,
        client: MattermostClient,
        access: Access,
        person: Person,
        *,
        bot_user_id: str,
        bot_token: str,
        person_token: str,
        deadline: Deadline,
        clock: Clock,
        signer: Signer,
        pressed: PressedCard | None = None,
    ) -> None:
        self._client = client
        self._access = access
        self._person = person
        self._bot_user_id = bot_user_id
        self._bot_token = bot_token
        self._person_token = person_token
        self._deadline = deadline
        self._clock = clock
        self._signer = signer
        self._pressed = pressed

    def may_post(self, channel_id: str) -> None:
        self._permission(channel_id)

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
            props[SHOWS] = dict(shows)
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
        if self._pressed is not None and self._pressed.post_id == post_id:
            self._pressed.show(attachment, shows, self._clock())
            return CardUpdate(updated=True)
        with renewing(post_id):
            post = self._as_bot("GET", api("posts", Id(post_id)))
            props = post.get("props") or {}
            shown = props.get(SHOWS)
            # In a direct message of two people the card is a person's post, which is not the bot's to change.
            ours = post.get("user_id") == self._bot_user_id
            same = isinstance(shown, dict) and all(shown.get(one) == shows[one] for one in ("table", "sys_id"))
            if ours and same:
                changed = renewed(props, attachment, shows)
                if changed is not None:
                    self._as_bot("PUT", api("posts", Id(post_id), "patch"), json={"props": changed})
        return CardUpdate(root_id=str(post.get("root_id") or post["id"]), updated=ours and same)

    def direct_channel(self, person_id: str) -> str:
        members = [self._person.id, person_id]
        return str(self._as_person("POST", api("channels", "direct"), json=members)["id"])

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
        elif self._bot_is_member(permission):
            return self._post_as_bot(post)
        # A direct message of two people has no place for the bot: the card is the person's own post.
        members = self._signed_members(permission.channel_id) if permission.type == "G" and "props" in post else ""
        return str(self._as_person("POST", api("posts"), json=own_post(post, self._clock(), members))["id"])

    def _signed_members(self, channel_id: str) -> str:
        rows = self._as_person("GET", api("channels", Id(channel_id), "members"))
        return signed_members(self._signer, channel_id, {str(row["user_id"]) for row in rows})

    def may_manage(self, channel_id: str) -> None:
        self._access.may_manage(self._ask, self._person.id, channel_id)

    def let_bot_in(self, channel_id: str) -> None:
        permission = self._permission(channel_id)
        if self._bot_is_member(permission):
            return
        direct = permission.type in {"D", "G"}
        if direct or not self._bot_joined(permission):
            raise BotNotIn("the bot is no member and may not join", direct=direct)

    def bot_channel(self) -> str:
        found = self._as_bot("POST", api("channels", "direct"), json=[self._bot_user_id, self._person.id])
        return str(found["id"])

    def channels(self) -> Mapping[str, Channel]:
        found: dict[str, Channel] = {}
        for team in self._ask("GET", api("users", Id(self._person.id), "teams")):
            path = api("users", Id(self._person.id), "teams", Id(str(team["id"])), "channels")
            for row in self._ask("GET", path, params={"include_deleted": "true"}):
                found[str(row["id"])] = _channel(row)
        return found

    def channel(self, channel_id: str) -> Channel:
        found = self._ask("GET", api("channels", Id(channel_id)))
        if not self._person_token:
            # Read with the bot's session: the name of a private channel is for its members.
            self._as_bot("GET", api("channels", Id(channel_id), "members", Id(self._person.id)))
        return _channel(found)

    def usernames(self, person_ids: Collection[str]) -> Mapping[str, str]:
        if not person_ids:
            return {}
        rows = self._as_bot("POST", api("users", "ids"), json=sorted(person_ids))
        return {str(row["id"]): str(row["username"]) for row in rows}

    def tell(self, person_id: str, text: str) -> None:
        channel = self._as_bot("POST", api("channels", "direct"), json=[self._bot_user_id, person_id])
        self._as_bot("POST", api("posts"), json={"channel_id": channel["id"], "message": text})

    def thread(self, post_id: str) -> Sequence[Message]:
        return read_thread(self._as_person, post_id, without=self._bot_user_id)

    def file(self, file_id: str, most: int) -> bytes:
        if not self._person_token:
            raise MattermostRefused("file: the call carries no session of the person", 401)
        path = api("files", Id(file_id))
        return self._client.download(path, token=self._person_token, deadline=self._deadline, most=most)

    def username(self, person_id: str) -> str:
        if person_id == self._person.id and self._person.username:
            return self._person.username
        return str(self._as_bot("GET", api("users", Id(person_id)))["username"])

    def admit(self, person_id: str, channel_id: str) -> None:
        permission = self._access.may_post(self._as_person, person_id, channel_id)
        if not self._bot_is_member(permission) and not self._bot_joined(permission):
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
        return self._access.may_post(self._ask, self._person.id, channel_id)

    def _ask(self, method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        """With the person's session, or the bot's where the call carries none."""
        ask = self._as_person if self._person_token else self._as_bot
        return ask(method, path, json=json, params=params)

    def _post_as_bot(self, post: Mapping[str, Any]) -> str:
        return str(self._as_bot("POST", api("posts"), json=post)["id"])

    def _bot_is_member(self, permission: MayPost) -> bool:
        try:
            self._as_bot("GET", api("channels", Id(permission.channel_id), "members", Id(self._bot_user_id)))
        except MattermostRefused:
            return False
        return True

    def _bot_joined(self, permission: MayPost) -> bool:
        """Let the bot join team and channel with the person's own rights."""
        if not self._person_token:
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
        return True

    def _as_bot(self, method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        return self._client.request(
            method, path, token=self._bot_token, deadline=self._deadline, json=json, params=params
        )

    def _as_person(self, method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        if not self._person_token:
            raise MattermostRefused(f"{method} {path.shape}: the call carries no session of the person", 401)
        return self._client.request(
            method, path, token=self._person_token, deadline=self._deadline, json=json, params=params
        )


def _channel(row: Mapping[str, Any]) -> Channel:
    return Channel(
        id=str(row["id"]),
        type=str(row.get("type", "")),
        team_id=str(row.get("team_id") or ""),
        name=str(row.get("name") or ""),
        display_name=str(row.get("display_name") or ""),
        archived=bool(row.get("delete_at")),
    )
