"""The props of a card's post: which record it shows, in which version."""

import threading
from collections.abc import Mapping
from typing import Any

RECORD_PROP = "servicenow"  # holds table, sys_id and sys_mod_count

_LOCKS = tuple(threading.Lock() for _ in range(64))


def post_lock(post_id: str) -> threading.Lock:
    """Hold it from reading a card's post to writing it. Otherwise the older of two updates could be written last."""
    return _LOCKS[hash(post_id) % len(_LOCKS)]


def updated_props(
    props: Mapping[str, Any], attachment: Mapping[str, Any], shows: Mapping[str, str]
) -> dict[str, Any] | None:
    """
    The props with another attachment, or None if the post already shows a newer version of the record.

    A patch replaces all props, including `from_bot` (recorded), so the result contains all of them. The pretext, such
    as who shared the record, is kept.
    """
    shown = props.get(RECORD_PROP)
    if isinstance(shown, dict) and _count(shown) > _count(shows):
        return None
    before: Mapping[str, Any] = next(iter(props.get("attachments") or []), {})
    pretext = {"pretext": before["pretext"]} if before.get("pretext") and "pretext" not in attachment else {}
    return {**props, "attachments": [{**pretext, **attachment}], RECORD_PROP: dict(shows)}


def _count(shows: Mapping[str, Any]) -> int:
    """The version of the record that a card shows. A card without one is the oldest."""
    text = str(shows.get("sys_mod_count", ""))
    return int(text) if text.isascii() and text.isdecimal() else -1
