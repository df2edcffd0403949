"""
Unread counts per channel and per thread, with collapsed reply threads always on.

A member's ``msg_count`` is how many of the channel's ``total_msg_count`` were read. A thread has a state for each
follower: the root's author, everyone who replied, and everyone mentioned in it. See ``SendNotifications`` in
https://github.com/mattermost/mattermost/blob/master/server/channels/app/notification.go.
"""

import json

from sandbox.mattermost.server.attachments import shown
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.mentions import mentioned, named
from sandbox.mattermost.server.state import Json, State

_COUNTS = ("msg_count", "msg_count_root")
_MENTIONS = ("mention_count", "mention_count_root", "urgent_mention_count")
_PRIVATE = {"notify_props", "last_password_update"}


class Unread:
    """Counts unread posts and mentions."""

    def __init__(self, state: State, hub: Hub) -> None:
        self._state = state
        self._hub = hub

    def posted(self, post: Json) -> set[str]:
        """Count a new post, and return the users it mentions. The caller holds the state's lock."""
        people = mentioned(self._state, post, self._hub.online())
        for user_id in people:
            member = self._state.members[post["channel_id"], user_id]
            for count in ("mention_count",) if post["root_id"] else ("mention_count", "mention_count_root"):
                member[count] += 1
            member["last_update_at"] = self._state.now()
        if post["root_id"]:
            self._followed(post, people)
        elif not {"from_webhook", "from_bot"} & post["props"].keys():
            self.view(post["user_id"], [post["channel_id"]])  # the author has read the channel
        return people

    def _followed(self, reply: Json, people: set[str]) -> None:
        root_id, now, author = reply["root_id"], self._state.now(), reply["user_id"]
        root = self._state.posts[root_id]
        starting = {author, *people} | named(self._state, root, self._hub.online())
        if root["props"].get("from_webhook") != "true":
            starting.add(root["user_id"])
        for user_id in starting:
            if user_id != author and (root["channel_id"], user_id) not in self._state.members:
                continue
            new: Json = {"following": True, "last_viewed_at": 0, "unread_mentions": 0}
            thread = self._state.threads.setdefault((root_id, user_id), new)
            if user_id in people:
                thread["following"] = True
                thread["unread_mentions"] += 1
            if user_id == author:
                thread |= {"last_viewed_at": now, "unread_mentions": 0}

    def tell(self, reply: Json, people: set[str]) -> None:
        """Publish the new state of a thread to its followers (recorded in websocket)."""
        for user_id in self.followers(reply["root_id"]):
            if (reply["channel_id"], user_id) not in self._state.members:
                continue
            thread = self.thread(user_id, reply["root_id"])
            before = max(thread["unread_mentions"] - (user_id in people), 0)
            data = {
                "previous_unread_mentions": before,
                "previous_unread_replies": max(thread["unread_replies"] - 1, 0),
                "thread": json.dumps(thread),
            }
            team_id = self._state.channels[reply["channel_id"]]["team_id"]
            self._hub.publish("thread_updated", data, user_id=user_id, team_id=team_id)

    def deleted(self, reply: Json) -> None:
        """Remove the mentions of a deleted reply from unread threads."""
        for user_id in mentioned(self._state, reply, set()):
            thread = self._state.threads.get((reply["root_id"], user_id))
            if thread and thread["unread_mentions"] and thread["last_viewed_at"] <= reply["create_at"]:
                thread["unread_mentions"] -= 1

    def view(self, user_id: str, channel_ids: list[str], threads: bool = False) -> dict[str, int]:
        """
        Mark the channels as read, and return the time of each one's last post. With *threads*, marks their threads too.
        """
        times = {}
        for channel_id in channel_ids:
            channel, member = self._state.channels.get(channel_id), self._state.members.get((channel_id, user_id))
            if channel is None or member is None:
                continue
            last = max(member["last_viewed_at"], channel["last_post_at"])
            read = {count: channel[f"total_{count}"] for count in _COUNTS}
            member |= read | dict.fromkeys(_MENTIONS, 0) | {"last_viewed_at": last, "last_update_at": last}
            times[channel_id] = last
            for root_id, follower in list(self._state.threads) if threads else ():
                if follower == user_id and self._state.posts[root_id]["channel_id"] == channel_id:
                    self.read(user_id, root_id, self._state.now())
        return times

    def read(self, user_id: str, root_id: str, until: int) -> Json:
        """Mark the thread as read up to a time, and return its previous state."""
        before = self.thread(user_id, root_id)
        later = [one for one in self._replies(root_id) if one["create_at"] > until]
        mentions = sum(user_id in mentioned(self._state, one, set()) for one in later)
        self._state.threads[root_id, user_id] |= {"last_viewed_at": until, "unread_mentions": mentions}
        return before

    def channel(self, user_id: str, channel_id: str) -> Json:
        """The unread counts of a user's channel. Muted channels count only mentions."""
        channel, member = self._state.channels[channel_id], self._state.members[channel_id, user_id]
        muted = member["notify_props"]["mark_unread"] == "mention"
        counts = {count: 0 if muted else channel[f"total_{count}"] - member[count] for count in _COUNTS}
        return {"team_id": channel["team_id"], "channel_id": channel_id, **counts} | {n: member[n] for n in _MENTIONS}

    def team(self, user_id: str, team_id: str, threads: bool = False) -> Json:
        """The unread counts of a team's channels, and optionally of its threads. Direct messages belong to no team."""
        own = [
            self.channel(user_id, channel_id)
            for channel_id, member_id in list(self._state.members)
            if member_id == user_id
            and self._state.channels[channel_id]["team_id"] == team_id
            and not self._state.channels[channel_id]["delete_at"]
        ]
        names = ("msg_count", "mention_count", "mention_count_root", "msg_count_root")
        found: Json = {"team_id": team_id} | {name: sum(one[name] for one in own) for name in names}
        counted = [self.thread(user_id, root) for root in self.following(user_id, team_id, False)] if threads else []
        return found | {
            "thread_count": sum(one["unread_replies"] > 0 for one in counted),
            "thread_mention_count": sum(one["unread_mentions"] for one in counted),
            "thread_urgent_mention_count": 0,
        }

    def followers(self, root_id: str) -> list[str]:
        """The followers of a thread."""
        threads = list(self._state.threads.items())
        return [user_id for (root, user_id), thread in threads if root == root_id and thread["following"]]

    def following(self, user_id: str, team_id: str, direct: bool = True) -> list[str]:
        """The roots of the threads that a user follows in a team and in direct messages, newest reply first."""
        teams = {team_id, ""} if direct else {team_id}
        found = []
        for (root_id, follower), thread in list(self._state.threads.items()):
            root = self._state.posts[root_id]
            inside = self._state.channels[root["channel_id"]]["team_id"] in teams
            if follower == user_id and inside and thread["following"] and not root["delete_at"]:
                found.append(root_id)
        return sorted(found, key=lambda root_id: -self._last(root_id))

    def thread(self, user_id: str, root_id: str, extended: bool = True) -> Json:
        """A thread as one follower sees it. Without *extended*, participants are only IDs."""
        membership, root = self._state.threads[root_id, user_id], self._state.posts[root_id]
        replies = self._replies(root_id)
        people = list(dict.fromkeys(one["user_id"] for one in reversed(replies)))[::-1]
        return {
            "id": root_id,
            "reply_count": len(replies),
            "last_reply_at": self._last(root_id),
            "last_viewed_at": membership["last_viewed_at"],
            "participants": [self._person(one) if extended else _nobody(one) for one in people],
            "post": shown(root) | {"reply_count": 0},  # recorded: the root's own count is empty here
            "unread_replies": sum(one["create_at"] > membership["last_viewed_at"] for one in replies),
            "unread_mentions": membership["unread_mentions"],
            "is_urgent": False,
            "delete_at": root["delete_at"],
        }

    def _replies(self, root_id: str) -> list[Json]:
        return [one for one in self._state.thread(root_id) if one["root_id"] and not one["delete_at"]]

    def _last(self, root_id: str) -> int:
        return max((int(one["create_at"]) for one in self._replies(root_id)), default=0)

    def _person(self, user_id: str) -> Json:
        return {key: value for key, value in self._state.users[user_id].items() if key not in _PRIVATE}


def _nobody(user_id: str) -> Json:
    """A user of whom the server has loaded only the ID."""
    names = ("username", "auth_data", "auth_service", "email", "nickname", "first_name", "last_name", "position")
    empty: Json = dict.fromkeys((*names, "roles", "locale"), "")
    return {"id": user_id, "delete_at": 0, **empty, "timezone": None, "disable_welcome_email": False}
