"""Builds the context of a call: what is expanded, at which level, and the errors (protocol reference §3.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.mattermost.apps.protocol.errors import PluginError
from sandbox.mattermost.apps.protocol.registry import PLUGIN, App, Registry
from sandbox.mattermost.server.attachments import shown
from sandbox.mattermost.server.state import State

Json = dict[str, Any]

_LEVELS = {"", "id", "summary", "all"}
_USER_SUMMARY = (
    "id", "delete_at", "username", "auth_service", "email", "nickname", "first_name", "last_name", "position",
    "roles", "locale", "timezone", "disable_welcome_email", "is_bot", "bot_description",
)  # fmt: skip
_USER_ZERO = {"delete_at": 0, "timezone": None, "disable_welcome_email": False}
_CHANNEL_SUMMARY = ("id", "delete_at", "team_id", "type", "display_name", "name")
_POST_SUMMARY = ("id", "type", "user_id", "channel_id", "root_id", "message")
_TEAM_SUMMARY = ("id", "display_name", "name", "description", "email", "type")
_OMITTED_POST = ("metadata", "remote_id")  # omitted by Go if they are empty
_KEYS = {
    "acting_user", "acting_user_access_token", "app", "locale", "channel", "channel_member", "team", "team_member",
    "post", "root_post", "user", "oauth2_app", "oauth2_user",
}  # fmt: skip


class Missing(Exception):
    """A key can't be expanded. Fails the call only if the key is required."""


@dataclass(frozen=True)
class UserAgentContext:
    """The context that the client sent: IDs to expand, and the two keys that are passed on."""

    user_id: str
    channel_id: str = ""
    team_id: str = ""
    post_id: str = ""
    root_post_id: str = ""
    user_agent: str = ""
    track_as_submit: bool = False


def echoed(expand: Json) -> Json:
    """The levels as the app receives them: without unknown keys and empty levels."""
    return {key: level for key, level in expand.items() if key in _KEYS and level}


class Expander:
    """Builds the context of calls."""

    def __init__(self, state: State, registry: Registry, site: Callable[[], str]) -> None:
        self._state = state
        self._registry = registry
        self._site = site

    def context(self, app: App, agent: UserAgentContext, expand: Json) -> Json:
        """
        Build the context that the app receives.

        Raises:
            PluginError: ``failed to expand context: …``.
        """
        base = f"{self._site()}{PLUGIN}/apps/{app.app_id}"
        context: Json = {"app_id": ""}
        if agent.user_agent:
            context["user_agent"] = agent.user_agent
        if agent.track_as_submit:
            context["track_as_submit"] = True
        context |= {
            "mattermost_site_url": self._site(),
            "developer_mode": True,
            "app_path": f"{PLUGIN}/apps/{app.app_id}",
            "bot_user_id": app.bot_user_id,
        }
        if app.may("act_as_bot"):
            context["bot_access_token"] = self._registry.token(app, app.bot_user_id)
        oauth2: Json = {}
        expand = echoed(expand)
        if expand and not (app.may("act_as_bot") or app.may("act_as_user")):
            raise _failed("apps without any ActAs* permission can't expand: unauthorized")
        for key, level in expand.items():
            self._expand(app, agent, key, str(level), context, oauth2, base)
        self._consistent(agent, context)
        context["oauth2"] = oauth2
        return context

    def _expand(
        self, app: App, agent: UserAgentContext, key: str, text: str, context: Json, oauth2: Json, base: str
    ) -> None:
        required, level = text.startswith("+"), text.removeprefix("+")
        if level not in _LEVELS:
            raise _failed(f'"{level}" is not a known expand level')
        if not level:
            return
        if not app.enabled:
            raise _failed(f"app is disabled by the administrator: {app.app_id}: forbidden")
        try:
            self._one(app, agent, key, level, context, oauth2, base)
        except Missing as error:
            if required:
                raise _failed(f"failed to expand required {key}: {error}") from error

    def _one(
        self, app: App, agent: UserAgentContext, key: str, level: str, context: Json, oauth2: Json, base: str
    ) -> None:
        match key, level:
            case "acting_user", _:
                context[key] = self._user(agent.user_id, level)
            case "acting_user_access_token", "all":
                self._need(app, "act_as_user", "use Mattermost REST API as connected users")
                if not agent.user_id:
                    raise Missing("no user ID to expand")
                context[key] = self._registry.token(app, agent.user_id)
            case "app", "summary" | "all":
                context[key] = self._app(app, agent, level)
            case "locale", _:
                context[key] = self._state.users.get(agent.user_id, {}).get("locale") or "en"
            case "channel", _:
                context[key] = self._channel(app, agent, level)
            case "channel_member", _:
                member = self._state.members.get((agent.channel_id, agent.user_id))
                context[key] = _member(member, level, "channel_id")
            case "team", _:
                context[key] = self._team(app, agent, level)
            case "team_member", _:
                member = self._state.team_members.get((agent.team_id, agent.user_id))
                context[key] = _member(member, level, "team_id")
            case "post", _:
                context[key] = self._post(app, agent, agent.post_id, level)
            case "root_post", _:
                context[key] = self._post(app, agent, agent.root_post_id, level, "root post")
            case "user", _:
                raise Missing("no user ID to expand")
            case "oauth2_app", "all":
                self._need(app, "remote_oauth2", "use a remote (3rd party) OAuth2 and store secrets")
                oauth2 |= app.oauth2_app
                oauth2["connect_url"] = f"{base}/oauth2/remote/connect"
                oauth2["complete_url"] = f"{base}/oauth2/remote/complete"
            case "oauth2_user", "all":
                self._need(app, "remote_oauth2", "use a remote (3rd party) OAuth2 and store secrets")
                if agent.user_id in app.oauth2_users:
                    oauth2["user"] = app.oauth2_users[agent.user_id]

    def _user(self, user_id: str, level: str) -> Json:
        user = self._state.users.get(user_id)
        if user is None:
            raise Missing("no user ID to expand")
        if level == "id":
            return dict.fromkeys(_USER_SUMMARY[:-2], "") | _USER_ZERO | {"id": user["id"]}
        if level == "all":
            return {key: value for key, value in user.items() if key not in {"auth_data", "last_password_update"}}
        return {key: user[key] for key in _USER_SUMMARY if key in user}

    def _app(self, app: App, agent: UserAgentContext, level: str) -> Json:
        bot = self._state.users[app.bot_user_id]
        about: Json = {
            "app_id": app.app_id,
            "version": app.manifest.get("version", ""),
            "bot_user_id": app.bot_user_id,
            "bot_username": bot["username"],
            "remote_oauth2": {},
        }
        if level == "all":
            about["deploy_type"] = "http"
            if agent.user_id and self._state.is_admin(agent.user_id):
                about["webhook_secret"] = app.webhook_secret
        return about

    def _reader(self, app: App, agent: UserAgentContext) -> str:
        """The user whose permissions apply: the acting user, or the bot if the app may not act as users."""
        return agent.user_id if app.may("act_as_user") and agent.user_id else app.bot_user_id

    def _channel(self, app: App, agent: UserAgentContext, level: str) -> Json:
        if not agent.channel_id:
            raise Missing("no channel ID to expand")
        channel, reader = self._state.channels.get(agent.channel_id), self._reader(app, agent)
        readable = channel is not None and self._state.may_read(reader, agent.channel_id)
        if channel is not None and level == "id":
            # Without permission the app still gets the bare ID, with the team that the client sent (recorded).
            return _stripped(channel if readable else channel | {"team_id": agent.team_id}, ("id", "team_id"))
        if channel is None or not readable:
            public = "public_" if channel is not None and channel["type"] == "O" else ""
            raise Missing(
                f"id: {agent.channel_id}: : You do not have the appropriate permissions., "
                f"userId={reader}, permission=read_{public}channel"
            )
        return dict(channel) if level == "all" else _stripped(channel, _CHANNEL_SUMMARY)

    def _team(self, app: App, agent: UserAgentContext, level: str) -> Json:
        if not agent.team_id:
            raise Missing("no team ID to expand")
        team = self._state.teams.get(agent.team_id)
        if team is None or (agent.team_id, self._reader(app, agent)) not in self._state.team_members:
            raise Missing(f"failed to get team {agent.team_id}")
        if level == "all":
            return dict(team)
        return _stripped(team, ("id",) if level == "id" else _TEAM_SUMMARY)

    def _post(self, app: App, agent: UserAgentContext, post_id: str, level: str, what: str = "post") -> Json:
        if not post_id:
            raise Missing(f"no {what} ID to expand")
        post, reader = self._state.posts.get(post_id), self._reader(app, agent)
        if post is None or post["delete_at"]:
            why = f'resource "Post" not found, id: {post_id}'
            raise Missing(f"failed to get post {post_id}: : Unable to get the post., {why}")
        if not self._state.may_read(reader, post["channel_id"]):
            why = f"userId={reader}, permission=read_channel_content"
            raise Missing(f"failed to get post {post_id}: : You do not have the appropriate permissions., {why}")
        if level == "all":
            return shown(post)
        kept = _stripped(post, ("id",) if level == "id" else _POST_SUMMARY)
        return {key: value for key, value in kept.items() if key not in _OMITTED_POST}

    @staticmethod
    def _need(app: App, permission: str, words: str) -> None:
        if not app.may(permission):
            raise Missing(f"{app.app_id} does not have permission to {words}: forbidden")

    @staticmethod
    def _consistent(agent: UserAgentContext, context: Json) -> None:
        """Runs on the stripped objects, so level `id` of a post, or of a direct channel, fails here."""
        check = "failed post-expand consistency check: expanded"
        channel, post = context.get("channel"), context.get("post")
        if post is not None and agent.channel_id and post.get("channel_id", "") != agent.channel_id:
            raise _failed(
                f"{check} post's channel ID {post.get('channel_id', '')} is different from user agent "
                f"context {agent.channel_id}"
            )
        if channel is None or not agent.team_id or channel.get("type") in {"D", "G"}:
            return
        if channel.get("team_id", "") != agent.team_id:
            raise _failed(
                f"{check} channel's team ID {channel.get('team_id', '')} is different from user agent "
                f"context {agent.team_id}"
            )


def _member(member: Json | None, level: str, place: str) -> Json:
    if member is None:
        raise Missing(f"no {place.removesuffix('_id')} member to expand")
    return _stripped(member, ("user_id", place)) if level == "id" else member


def _failed(text: str) -> PluginError:
    return PluginError(f"failed to expand context: {text}")


def _stripped(full: Json, keep: tuple[str, ...]) -> Json:
    """The struct with every other field at its zero value, as Go writes it."""
    zero: dict[type, Any] = {int: 0, str: "", bool: False}
    kept = {key: value if key in keep else zero.get(type(value)) for key, value in full.items()}
    return kept | {"shared": None} if "shared" in kept and "shared" not in keep else kept  # a pointer in Go
