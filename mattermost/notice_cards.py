"""
Renders a notification: what changed, by whom, and what was written. Pure.

The text is the post's message beside the record's card, so that the card can be updated without it. Record text is
escaped as in `mattermost.cards`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from core.notices import Actor, Change, Comment
from core.subscriptions import EVENT_LABELS, Event
from mattermost.markdown import escaped, quoted

SAVES = 10  # per post
_CHANGES = 10
_VALUE_CHARACTERS = 200
_COMMENT_CHARACTERS = 3000  # quoted in one piece
_MOST_CHARACTERS = 12_000  # of a post's 16,383


NOBODY = Actor()


@dataclass(frozen=True)
class Save:
    """
    One save of a record, as far as it may be shown.

    Args:
        events: Tokens of `core.subscriptions.Event`.
        mark: Id of the event, as in `core.outbox.Mark`.
    """

    events: Sequence[str]
    changes: Sequence[Change] = ()
    comments: Sequence[Comment] = ()
    actor: Actor = NOBODY
    mark: str = ""


@dataclass(frozen=True)
class Part:
    """The Markdown of one post, and the events it contains (`core.outbox.Mark`)."""

    text: str
    events: tuple[str, ...] = ()


def notice_parts(
    saves: Sequence[Save], *, mention: str = "", test: bool = False, told: Collection[str] = ()
) -> list[Part]:
    """
    A notice as consecutive posts: as many as it takes to show everything that was written.

    Args:
        saves: In their order.
        mention: User name of the assignee, "" for nobody.
        told: What earlier posts told already. Empty where all of it is.
    """
    pieces = [
        piece for save in saves if save.mark not in told for piece in _pieces(save) if piece.events[0] not in told
    ]
    if not pieces:
        return []
    parts: list[Part] = []
    if test:
        pieces[0] = Part(
            f"*This is a test that somebody asked for; nothing has changed.*\n{pieces[0].text}", pieces[0].events
        )
    for piece in pieces:
        last = parts[-1] if parts else None
        if last is not None and len(last.events) < SAVES and len(last.text) + len(piece.text) + 2 <= _MOST_CHARACTERS:
            parts[-1] = Part(_joined([last.text, piece.text]), last.events + piece.events)
        else:
            parts.append(piece)
    if mention:
        parts[-1] = Part(_joined([parts[-1].text, f"@{mention}"]), parts[-1].events)
    return parts


def bare_text(link: str, connect: bool) -> str:
    """The text for a record that can't be read now. It says only that the record changed."""
    why = "The person who subscribed is not connected to ServiceNow, so nothing else can be shown." if connect else ""
    return f"{link} has changed. {why}".strip()


def _pieces(save: Save) -> list[Part]:
    """A save as the fewest texts that fit into a post. Each ends with a whole line and names the author."""
    labels = [EVENT_LABELS[Event(token)] for token in save.events if token in set(Event)]
    who = escaped(save.actor.name or save.actor.user_name, 100)
    head = f"**{', '.join(labels) or 'Changed'}**" + (f" by {who}" if who else "")
    texts = [head]
    for block in _blocks(save):
        if len(texts[-1]) + len(block) + 2 > _MOST_CHARACTERS:
            texts.append(f"{head} (continued)")
        texts[-1] = _joined([texts[-1], block])
    last = len(texts) - 1
    return [
        Part(text, (save.mark if number == last else f"{save.mark}.{number}",)) for number, text in enumerate(texts)
    ]


def _blocks(save: Save) -> Iterator[str]:
    """The blocks of a save, which are never split."""
    for change in save.changes[:_CHANGES]:
        old, new = (escaped(text, _VALUE_CHARACTERS) or "–" for text in (change.old, change.new))
        yield f"{escaped(change.label or change.field, 60)}: {old} → {new}"
    if len(save.changes) > _CHANGES:
        yield f"*and {len(save.changes) - _CHANGES} more*"
    for comment in save.comments:
        if comment.kind == "work_notes":
            yield "*Work note:*"
        text = comment.text.strip()
        if not text:
            yield ">"
        while text:
            head, text = _cut(text, _COMMENT_CHARACTERS)
            yield quoted(head, len(head)) or ">"


def _cut(text: str, most: int) -> tuple[str, str]:
    """Split *text* at a line, or else at a word, into what fits into one quotation and the rest."""
    if len(text) > most:
        at = max(text.rfind("\n", most // 2, most), 0) or max(text.rfind(" ", most // 2, most), 0) or most
        head, rest = text[:at], text[at:].lstrip()
    else:
        head, rest = text, ""
    # Escaping makes a text longer, and so do short lines.
    if len(quoted(head, len(head))) > _MOST_CHARACTERS // 2 and most > 1:
        return _cut(text, most // 2)
    return head, rest


def _joined(texts: Sequence[str]) -> str:
    """Join with empty lines around quotations, or Markdown would merge them with the text around them."""
    whole = ""
    for text in texts:
        apart = text.startswith(">") or whole.rpartition("\n")[2].startswith(">")
        whole += ("\n\n" if apart else "\n") * bool(whole) + text
    return whole
