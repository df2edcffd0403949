"""The bot's membership in the channels of one call."""

from collections.abc import Mapping
from typing import Any

import structlog

from core.upstream_errors import MattermostError, MattermostRefused
from mattermost.direct_cards import direct_members
from mattermost.paths import Ask, Id, Path, api
from mattermost.permission_reads import PermissionReads

log = structlog.get_logger(__name__)


class BotMembership:
    """
    Args:
        as_bot, as_person: Requests with the bot's session and with the acting user's.
    """

    def __init__(self, reads: PermissionReads, bot_user_id: str, as_bot: Ask, as_person: Ask) -> None:
        self._reads = reads
        self._bot_user_id = bot_user_id
        self._as_bot = as_bot
        self._as_person = as_person

    def read(self, channel_id: str) -> tuple[Ask, Path]:
        """The request that tells whether the bot is a member, for `PermissionReads.read`."""
        return self._as_bot, api("channels", Id(channel_id), "members", Id(self._bot_user_id))

    def reads_to_post(self, channel_id: str) -> list[tuple[Ask, Path]]:
        """What posting in a direct or group message needs besides the permissions; nothing for other channels."""
        channel = self._reads.known_channel(channel_id)
        if channel is None or channel.type not in {"D", "G"} or direct_members(channel):
            return []
        members = [(self._as_person, _members_path(channel_id))] if channel.type == "G" else []
        return [self.read(channel_id), *members]

    def is_member(self, channel_id: str) -> bool:
        """Whether the bot is a member of the channel."""
        channel = self._reads.known_channel(channel_id)
        if channel is not None and (people := direct_members(channel)):
            return self._bot_user_id in people
        try:
            self._reads.get(*self.read(channel_id))
        except MattermostRefused:
            return False
        return True

    def join(self, team_id: str, channel_id: str) -> bool:
        """Add the bot to the team and the channel with the person's permissions. Returns whether that worked."""
        new_member = {"user_id": self._bot_user_id}
        try:
            self._as_person("POST", api("teams", Id(team_id), "members"), json={"team_id": team_id, **new_member})
            self._as_person("POST", api("channels", Id(channel_id), "members"), json=new_member)
        except MattermostError as error:
            log.info("bot may not join", reason=error.log_message)
            return False
        self._reads.forget(*self.read(channel_id))
        return True

    def members(self, channel_id: str) -> set[str]:
        """User ids of the members of a group message, read with the person's session."""
        rows: list[Mapping[str, Any]] = self._reads.get(self._as_person, _members_path(channel_id))
        return {str(row["user_id"]) for row in rows}


def _members_path(channel_id: str) -> Path:
    return api("channels", Id(channel_id), "members")
