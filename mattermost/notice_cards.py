"""
How a notice reads: what changed from what to what, by whom, and what was written. Pure.

The words go into the post's message, beside the record's card, so that the card can be renewed while the
words stay. Record text is data, as in `mattermost.cards`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.notices import Actor, Change, Comment
from core.subscriptions import EVENT_LABELS, Event
from mattermost.markdown import escaped, quoted

SAVES = 10  # told one by one in a post; of more, only how many
_CHANGES = 10
_VALUE_CHARACTERS = 200
_COMMENT_CHARACTERS = 3000
_MOST_CHARACTERS = 12_000  # of a post's 16,383


NOBODY = Actor()


@dataclass(frozen=True)
class Save:
    """One save of a record, as far as it may be shown. ``events`` are tokens of `core.subscriptions.Event`."""

    events: Sequence[str]
    changes: Sequence[Change] = ()
    comments: Sequence[Comment] = ()
    actor: Actor = NOBODY


def notice_text(saves: Sequence[Save], *, mention: str = "", test: bool = False) -> str:
    """
    Markdown of a notice.

    Args:
        saves: In their order, at least one.
        mention: User name of the assignee, "" for nobody.
    """
    lines = ["*This is a test that somebody asked for; nothing has changed.*"] if test else []
    told = list(saves[-SAVES:])
    if len(saves) > len(told):
        lines.append(f"*{len(saves) - len(told)} earlier changes are not listed.*")
    for save in told:
        lines += _of(save)
    if mention:
        lines.append(f"@{mention}")
    return _fitting(lines)


def bare_text(link: str, connect: bool) -> str:
    """What is said of a record that can't be read now: that it changed, and no more."""
    why = "The person who subscribed is not connected to ServiceNow, so nothing else can be shown." if connect else ""
    return f"{link} has changed. {why}".strip()


def _of(save: Save) -> list[str]:
    labels = [EVENT_LABELS[Event(token)] for token in save.events if token in set(Event)]
    who = escaped(save.actor.name or save.actor.user_name, 100)
    head = f"**{', '.join(labels) or 'Changed'}**" + (f" by {who}" if who else "")
    lines = [head]
    for change in save.changes[:_CHANGES]:
        old, new = (escaped(text, _VALUE_CHARACTERS) or "–" for text in (change.old, change.new))
        lines.append(f"{escaped(change.label or change.field, 60)}: {old} → {new}")
    if len(save.changes) > _CHANGES:
        lines.append(f"*and {len(save.changes) - _CHANGES} more*")
    for comment in save.comments:
        if comment.kind == "work_notes":
            lines.append("*Work note:*")
        lines.append(quoted(comment.text, _COMMENT_CHARACTERS) or ">")
    return lines


def _fitting(lines: Sequence[str]) -> str:
    """Lines as one text that a post can hold."""
    text, rest = "", len(lines)
    for line in lines:
        if len(text) + len(line) > _MOST_CHARACTERS:
            return f"{text}\n*This notice was cut; {rest} more lines are in ServiceNow.*"
        apart = line.startswith(">") or text.rpartition("\n")[2].startswith(">")
        # Without an empty line before and after, Markdown draws a quote and its neighbours as one.
        text += ("\n\n" if apart else "\n") * bool(text) + line
        rest -= 1
    return text
