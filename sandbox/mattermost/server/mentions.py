r"""
Finds the users that a post mentions, by the server's rules.

The server searches the message and each attachment's pretext, text and field values. It considers only what is text in
Mattermost's Markdown: no code and no URLs, but `\@name` and text between `*` or HTML tags. See ``getExplicitMentions``
in https://github.com/mattermost/mattermost/blob/master/server/channels/app.
"""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sandbox.mattermost.server.attachments import attachments_of
from sandbox.mattermost.server.state import Json, State

# The server's own parser has no emphasis, tables or HTML.
_MARKDOWN = MarkdownIt("zero").enable(
    ["blockquote", "fence", "code", "list", "reference", "backticks", "escape", "entity", "link", "image", "newline"]
)
_ADDRESS = re.compile(r"(?i)\b(?:https?://|www\.)\S+")  # rendered as a link
_WORD = re.compile(r"(?:[^\W_]|[:.\-_@])+")
_EVERYBODY = {"@channel", "@all", "@here"}


def mentioned(state: State, post: Json, online: set[str]) -> set[str]:
    """
    The members of the post's channel that it mentions, except its author.

    Args:
        online: The users who are online, for ``@here``.
    """
    channel = state.channels[post["channel_id"]]
    members = {user_id for channel_id, user_id in list(state.members) if channel_id == channel["id"]}
    if channel["type"] in {"D", "G"}:
        return members - {post["user_id"]}
    return named(state, post, online) - {post["user_id"]}


def named(state: State, post: Json, online: set[str]) -> set[str]:
    """
    The members of the post's channel that it names, or addresses with ``@channel`` and the like. May include its
    author.
    """
    words = set(_words(post))
    if not words:
        return set()
    found = set()
    for (channel_id, user_id), member in list(state.members.items()):
        if channel_id != post["channel_id"]:
            continue
        user = state.users[user_id]
        wide = words & (_EVERYBODY if user_id in online else _EVERYBODY - {"@here"})
        if f"@{user['username']}" in words or (wide and _hears_everybody(user, member)):
            found.add(user_id)
    return found


def _hears_everybody(user: Json, member: Json) -> bool:
    """
    Whether ``@channel`` and the like notify the user. The user's and the channel's settings and muting can turn that
    off.
    """
    own = member["notify_props"]
    ignored = own["ignore_channel_mentions"]
    muted = own["mark_unread"] == "mention" and ignored == "default"
    return user["notify_props"].get("channel") == "true" and ignored != "on" and not muted


def _words(post: Json) -> Iterator[str]:
    """The words that may be mentions, in lower case, also without trailing punctuation."""
    for text in _searched(post):
        if "@" not in text:
            continue
        for token in _MARKDOWN.parse(text):
            for plain in _texts(token.children or []):
                for word in _WORD.findall(_ADDRESS.sub(" ", plain)):
                    yield from _readings(word.lower())


def _texts(children: list[Token]) -> Iterator[str]:
    """Join neighboring pieces of text."""
    text = ""
    for child in children:
        if child.type in {"text", "text_special"}:
            text += child.content
        elif child.type == "image":
            yield from _texts(child.children or [])
        else:
            yield text
            text = ""
    yield text


def _readings(word: str) -> Iterator[str]:
    if word.startswith(":") and word.endswith(":"):
        return  # an emoji
    word = word.lstrip(":.-_")
    while word:
        yield word
        if word[-1] not in ".-:_":
            break
        word = word[:-1]
    if not word.startswith("@"):
        yield from re.split(r"[.\-:]", word)


def _searched(post: Json) -> Iterator[str]:
    yield post["message"]
    for one in attachments_of(post["props"]):
        values = [field.get("value") for field in one.get("fields") or []]
        yield from (text for text in (one.get("pretext"), one.get("text"), *values) if isinstance(text, str))
