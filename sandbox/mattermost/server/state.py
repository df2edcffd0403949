"""The server's state (users, sessions, teams, channels, members, posts), and its permissions."""

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from sandbox.common import Clock

PASSWORD = "sandbox-1"
VERSION = "9.11.0"
_LETTERS = "ybndrfg8ejkmcpqxot1uwisza345h769"  # Mattermost's base32 alphabet

Json = dict[str, Any]

_NOTIFY_USER = {
    "channel": "true",
    "comments": "never",
    "desktop": "mention",
    "desktop_sound": "true",
    "desktop_threads": "all",
    "email": "true",
    "email_threads": "all",
    "first_name": "false",
    "mention_keys": "",
    "push": "mention",
    "push_status": "away",
    "push_threads": "all",
}
_NOTIFY_PROPS = {
    "channel_auto_follow_threads": "off",
    "desktop": "default",
    "email": "default",
    "ignore_channel_mentions": "default",
    "mark_unread": "all",
    "push": "default",
}


def stable_id(text: str) -> str:
    """An ID of 26 characters that is the same after every reset."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:20])
    return "".join(_LETTERS[(number >> (5 * place)) & 31] for place in range(26))


def new_id() -> str:
    """A random ID of 26 characters."""
    return stable_id(secrets.token_hex(16))


@dataclass
class Session:
    """The session of a token. Only app sessions (``app_id``) expire here. ``csrf`` is the token for cookies."""

    user_id: str
    app_id: str = ""
    expires_at: float = float("inf")
    csrf: str = ""


@dataclass
class State:
    """All objects, in dictionaries by ID."""

    clock: Clock
    users: dict[str, Json] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    access_tokens: dict[str, str] = field(default_factory=dict)
    teams: dict[str, Json] = field(default_factory=dict)
    team_members: dict[tuple[str, str], Json] = field(default_factory=dict)
    former_team_members: dict[tuple[str, str], Json] = field(default_factory=dict)
    channels: dict[str, Json] = field(default_factory=dict)
    members: dict[tuple[str, str], Json] = field(default_factory=dict)
    posts: dict[str, Json] = field(default_factory=dict)
    files: dict[str, tuple[Json, bytes]] = field(default_factory=dict)
    threads: dict[tuple[str, str], Json] = field(default_factory=dict)
    pending: dict[str, tuple[str, float]] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    plugins: dict[str, int] = field(default_factory=dict)
    version: str = VERSION
    lock: threading.RLock = field(default_factory=threading.RLock)

    def now(self) -> int:
        """The current time in milliseconds."""
        return int(self.clock.now() * 1000)

    def at_least(self, *numbers: int) -> bool:
        """Whether the server's version is at least this one."""
        return tuple(int(part) for part in self.version.split(".")) >= numbers

    def clear(self) -> None:
        """Remove everything, and return to the default version."""
        for table in (
            self.users, self.sessions, self.access_tokens, self.teams, self.team_members, self.former_team_members,
            self.channels, self.members, self.posts, self.files, self.threads, self.pending, self.pictures,
            self.plugins,
        ):  # fmt: skip
            table.clear()
        self.version = VERSION

    # --- users

    def add_user(self, username: str, first: str, last: str, roles: str = "system_user", bot: bool = False) -> Json:
        """Add a user or bot."""
        now = self.now()
        user: Json = {
            "id": stable_id(f"user {username}"),
            "create_at": now,
            "update_at": now,
            "delete_at": 0,
            "username": username,
            "auth_data": "",
            "auth_service": "",
            "email": f"{username}@example.com" if not bot else f"{username}@localhost",
            "nickname": "",
            "first_name": first,
            "last_name": last,
            "position": "",
            "roles": roles,
            "locale": "en",
            "timezone": {"automaticTimezone": "", "manualTimezone": "", "useAutomaticTimezone": "true"},
            "notify_props": dict(_NOTIFY_USER),
            "last_password_update": now,
            "disable_welcome_email": False,
        }
        user |= {"is_bot": True, "bot_description": f"Bot account for `{first}` App."} if bot else {"remote_id": ""}
        self.users[user["id"]] = user
        return user

    def by_username(self, username: str) -> Json | None:
        """Find a user by username."""
        return next((user for user in self.users.values() if user["username"] == username), None)

    def open_session(self, user_id: str, app_id: str = "", seconds: float | None = None) -> str:
        """Create a session and return its token."""
        token = new_id()
        expires = float("inf") if seconds is None else self.clock.now() + seconds
        self.sessions[token] = Session(user_id, app_id, expires, new_id())
        return token

    def session(self, token: str) -> Session | None:
        """The valid session of a token. Deactivated users have none."""
        found = self.sessions.get(token)
        if found is None or self.clock.now() >= found.expires_at:
            return None
        user = self.users.get(found.user_id)
        return found if user is not None and not user["delete_at"] else None

    def roles(self, user_id: str) -> set[str]:
        """The user's system roles."""
        return set(self.users[user_id]["roles"].split())

    def is_admin(self, user_id: str) -> bool:
        """Whether the user is a system admin."""
        return "system_admin" in self.roles(user_id)

    def is_team_admin(self, user_id: str, team_id: str) -> bool:
        """Whether the user is an admin of the team or the system."""
        member = self.team_members.get((team_id, user_id))
        return self.is_admin(user_id) or (member is not None and bool(member["scheme_admin"]))

    def is_channel_admin(self, user_id: str, channel_id: str) -> bool:
        """Whether the user is an admin of the channel, its team, or the system."""
        channel, member = self.channels.get(channel_id), self.members.get((channel_id, user_id))
        if channel is not None and self.is_team_admin(user_id, channel["team_id"]):
            return True
        return member is not None and bool(member["scheme_admin"])

    # --- teams and channels

    def add_team(self, name: str, display_name: str) -> Json:
        """Add a team."""
        now = self.now()
        team: Json = {
            "id": stable_id(f"team {name}"),
            "create_at": now,
            "update_at": now,
            "delete_at": 0,
            "display_name": display_name,
            "name": name,
            "description": "",
            "email": "",
            "type": "O",
            "company_name": "",
            "allowed_domains": "",
            "invite_id": "",
            "allow_open_invite": False,
            "scheme_id": None,
            "group_constrained": None,
            "policy_id": None,
            "cloud_limits_archived": False,
        }
        self.teams[team["id"]] = team
        return team

    def add_channel(self, name: str, display_name: str, kind: str, team_id: str, creator: str = "") -> Json:
        """Add a channel. ``kind`` is O, P, D or G."""
        now = self.now()
        channel: Json = {
            "id": stable_id(f"channel {team_id} {name}"),
            "create_at": now,
            "update_at": now,
            "delete_at": 0,
            "team_id": team_id,
            "type": kind,
            "display_name": display_name,
            "name": name,
            "header": "",
            "purpose": "",
            "last_post_at": 0,
            "total_msg_count": 0,
            "extra_update_at": 0,
            "creator_id": creator,
            "scheme_id": None,
            "props": None,
            "group_constrained": None,
            "shared": None,
            "total_msg_count_root": 0,
            "policy_id": None,
            "last_root_post_at": 0,
        }
        self.channels[channel["id"]] = channel
        return channel

    def join_team(self, team_id: str, user_id: str) -> Json:
        """Return the user's team membership, and create it if needed."""
        guest = "system_guest" in self.roles(user_id)
        member = {
            "team_id": team_id,
            "user_id": user_id,
            "roles": "team_guest" if guest else "team_user",
            "delete_at": 0,
            "scheme_guest": guest,
            "scheme_user": not guest,
            "scheme_admin": False,
            "explicit_roles": "",
        }
        self.former_team_members.pop((team_id, user_id), None)
        return self.team_members.setdefault((team_id, user_id), member)

    def leave_team(self, team_id: str, user_id: str) -> None:
        """Remove a user from the team and its channels. The membership is remembered with the time of leaving."""
        member = self.team_members.pop((team_id, user_id))
        self.former_team_members[team_id, user_id] = member | {"delete_at": self.now()}
        for channel_id, member_id in list(self.members):
            if member_id == user_id and self.channels[channel_id]["team_id"] == team_id:
                del self.members[channel_id, member_id]

    def join(self, channel_id: str, user_id: str) -> Json:
        """Return the user's channel membership, and create it if needed."""
        guest = "system_guest" in self.roles(user_id)
        member: Json = {
            "channel_id": channel_id,
            "user_id": user_id,
            "roles": "channel_guest" if guest else "channel_user",
            "last_viewed_at": 0,
            "msg_count": 0,
            "mention_count": 0,
            "mention_count_root": 0,
            "urgent_mention_count": 0,
            "msg_count_root": 0,
            "notify_props": dict(_NOTIFY_PROPS),
            "last_update_at": self.now(),
            "scheme_guest": guest,
            "scheme_user": not guest,
            "scheme_admin": False,
            "explicit_roles": "",
        }
        return self.members.setdefault((channel_id, user_id), member)

    def direct(self, one: str, other: str) -> Json:
        """Return the direct channel of two users, and create it if needed."""
        name = "__".join(sorted((one, other)))
        found = next((c for c in self.channels.values() if c["name"] == name and c["type"] == "D"), None)
        channel = found or self.add_channel(name, "", "D", "", one) | {"shared": False}
        self.channels[channel["id"]] = channel
        for person in {one, other}:
            self.join(channel["id"], person)
        return channel

    def group(self, people: set[str]) -> Json:
        """Return the group channel of three or more users, and create it if needed."""
        name = hashlib.sha1("".join(sorted(people)).encode()).hexdigest()
        found = next((c for c in self.channels.values() if c["name"] == name), None)
        label = ", ".join(sorted(str(self.users[one]["username"]) for one in people))
        channel = found or self.add_channel(name, label, "G", "")
        for one in people:
            self.join(channel["id"], one)
        return channel

    def thread(self, root_id: str) -> list[Json]:
        """The root and its replies in the order of creation, including deleted ones."""
        return [post for post in list(self.posts.values()) if root_id in {post["id"], post["root_id"]}]

    def may_read(self, user_id: str, channel_id: str) -> bool:
        """Whether the user is a member of the channel, or of the team of a public channel."""
        channel = self.channels.get(channel_id)
        if channel is None:
            return False
        if (channel_id, user_id) in self.members or self.is_admin(user_id):
            return True
        return channel["type"] == "O" and (channel["team_id"], user_id) in self.team_members

    def may_post(self, user_id: str, channel_id: str) -> bool:
        """Whether a channel role allows posting. Non-members need a system or team role that does (recorded)."""
        member, channel = self.members.get((channel_id, user_id)), self.channels[channel_id]
        if member is not None and "channel_reader" not in member["roles"].split():
            return True
        if self.roles(user_id) & {"system_admin", "system_post_all"}:
            return True
        if channel["type"] == "O" and "system_post_all_public" in self.roles(user_id):
            return True
        in_team = self.team_members.get((channel["team_id"], user_id))
        return in_team is not None and "team_admin" in in_team["roles"].split()

    def team_of(self, channel: Json) -> str:
        """The channel's team. For direct messages, the only team."""
        return channel["team_id"] or next(iter(self.teams))


# The permissions that matter here. The real lists are longer.
ROLES: dict[str, list[str]] = {
    "system_admin": ["manage_system", "create_post", "read_channel", "view_team"],
    "system_user": ["create_direct_channel", "view_members"],
    "system_guest": ["create_direct_channel"],
    "team_user": ["view_team", "list_team_channels", "join_public_channels", "add_user_to_team"],
    "team_guest": ["view_team"],
    "team_admin": ["manage_team", "manage_channel_roles"],
    "channel_user": ["read_channel", "create_post", "edit_post", "manage_public_channel_members"],
    "channel_guest": ["read_channel", "create_post"],
    "channel_reader": ["read_channel"],
    "channel_admin": ["manage_channel_roles"],
}


def seed(state: State) -> None:
    """Add the demo's users, team and channels."""
    people = (
        ("admin", "Ada", "Admin"),
        ("agent", "Amir", "Agent"),
        ("agent2", "Aiko", "Agent"),
        ("requester", "Rosa", "Requester"),
        ("approver", "Piet", "Approver"),
        ("newcomer", "Nora", "Newcomer"),
    )
    team = state.add_team("sandbox", "Sandbox")
    channels = {
        name: state.add_channel(name, label, kind, team["id"])
        for name, label, kind in (
            ("town-square", "Town Square", "O"),
            ("service-desk", "Service Desk", "O"),
            ("operations", "Operations", "P"),
            ("archive", "Archive", "O"),
        )
    }
    for username, first, last in people:
        roles = "system_user system_admin" if username == "admin" else "system_user"
        user = state.add_user(username, first, last, roles)
        state.join_team(team["id"], user["id"])
        for name in ("town-square", "service-desk", "archive"):
            state.join(channels[name]["id"], user["id"])
        if username in {"admin", "approver"}:
            state.join(channels["operations"]["id"], user["id"])
    channels["archive"]["delete_at"] = state.now()
