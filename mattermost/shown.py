"""What a card's post says about itself: which record it shows, and which state of that record."""

import threading
from collections.abc import Mapping
from typing import Any

SHOWS = "servicenow"  # the property of the post: table, sys_id, sys_mod_count

_LOCKS = tuple(threading.Lock() for _ in range(64))


def renewing(post_id: str) -> threading.Lock:
    """To be held from reading a card's post to writing it, or of two updates the older might come last."""
    return _LOCKS[hash(post_id) % len(_LOCKS)]


def renewed(props: Mapping[str, Any], attachment: Mapping[str, Any], shows: Mapping[str, str]) -> dict[str, Any] | None:
    """
    The properties of a card's post with another attachment; None where it shows a newer state already.

    A patch replaces them whole, `from_bot` included (recorded), so all are there; what stands above the
    card, such as who shared it, stays.
    """
    shown = props.get(SHOWS)
    if isinstance(shown, dict) and _count(shown) > _count(shows):
        return None
    before: Mapping[str, Any] = next(iter(props.get("attachments") or []), {})
    pretext = {"pretext": before["pretext"]} if before.get("pretext") and "pretext" not in attachment else {}
    return {**props, "attachments": [{**pretext, **attachment}], SHOWS: dict(shows)}


def _count(shows: Mapping[str, Any]) -> int:
    """The record's number of updates that a card shows; one that says none is the oldest."""
    text = str(shows.get("sys_mod_count", ""))
    return int(text) if text.isascii() and text.isdecimal() else -1
