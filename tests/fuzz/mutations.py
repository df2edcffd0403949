"""Changes of a request: values, keys and types anywhere in it, and the bytes of its body."""

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
Place = tuple[str | int, ...]

# Values that have caused problems: types, sizes, encodings, and special characters of the systems behind the service.
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, -(2**63), 10**400, 1e308, float("nan"), float("inf"),
    "", " ", "0", "-1", "true", "null", "None", "x" * 65, "x" * 5_000, "ä" * 4_001, "\x00", "\ud800", "a\udfffb",
    "\u202e",
    "\u2028", "\ufeff", "🦊" * 300, "\r\nX-Injected: 1", "^ORactive=true", "^NQsys_idISNOTEMPTY",
    "javascript:gs.sleep(1)",
    "INSTANCEOFtask", "../../users/me", "x/../..", "..", ".", "a/b", "%2e%2e%2f", "me", "?a=1", "x?y#z", "a,b,c", "*",
    "<script>alert(1)</script>", "@all @channel", "[a](javascript:b)", "`" * 40, "| a | b |", "${7*7}", "{{7*7}}",
    "'; DROP TABLE users--", "INC0010001", "inc0010001", "INC0010001,INC0010002", "incident.zz", "incident", "sys_user",
    "incident/../sys_user", "2026-13-45 99:99:99", "9999-12-31T23:59:59Z", "1e5", "１２", "a" * 26, "b" * 32, "0" * 32,
    [], {}, [[]], [None], ["a", "b"], {"a": None}, {"label": "x", "value": "y"}, {"label": None, "value": None},
    {"label": {}, "value": []}, {"value": "\ud800", "label": "\ud800"}, [{"label": "x", "value": "y"}] * 3, ["x"] * 500,
)  # fmt: skip

_KEYS = ("", "value", "label", "__class__", "state", "\ud800", "x" * 300, "short_description", "sys_id", "id")


def _deep(value: Any) -> Any:
    for _ in range(300):
        value = [value]
    return value


Edit = Callable[[Json, Sequence[Any], int, int], None]


def places(value: Any, at: Place = ()) -> list[Place]:
    """Every place in a value, outermost first."""
    found: list[Place] = []
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        found.append((*at, key))
        found += places(child, (*at, key))
    return found


def _inside(document: Json, index: int) -> tuple[Any, str | int] | None:
    """
    The container and key of a place. Half of the choices are submitted values. The rest of the request, which is
    much larger, gets the other half.
    """
    every = places(document)
    filled = [one for one in every if one[0] == "body" and len(one) > 1 and one[1] in _FILLED]
    chosen = filled if filled and index % 2 else every
    if not chosen:
        return None
    place = chosen[index // 2 % len(chosen)]
    container: Any = document
    for key in place[:-1]:
        container = container[key]
    return container, place[-1]


_FILLED = {"values", "state", "query", "selected_field", "submission", "context", "record", "subscriptions", "changes"}


def _replace(document: Json, pool: Sequence[Any], index: int, what: int) -> None:
    if place := _inside(document, index):
        place[0][place[1]] = copy.deepcopy(HOSTILE[what % len(HOSTILE)])


def _swap(document: Json, pool: Sequence[Any], index: int, what: int) -> None:
    if (place := _inside(document, index)) and pool:
        place[0][place[1]] = copy.deepcopy(pool[what % len(pool)])


def _drop(document: Json, pool: Sequence[Any], index: int, what: int) -> None:
    if (place := _inside(document, index)) and isinstance(place[0], dict) and len(document) > 1:
        place[0].pop(place[1])


def _add(document: Json, pool: Sequence[Any], index: int, what: int) -> None:
    if (place := _inside(document, index)) and isinstance(place[0], dict):
        place[0][_KEYS[what % len(_KEYS)]] = copy.deepcopy(HOSTILE[what // len(_KEYS) % len(HOSTILE)])


def _edit(document: Json, pool: Sequence[Any], index: int, what: int) -> None:
    """Insert hostile text into a text, truncate it or repeat it."""
    place = _inside(document, index)
    if place is None or not isinstance(text := place[0][place[1]], str):
        return
    hostile = HOSTILE[what % len(HOSTILE)]
    at = what % (len(text) + 1)
    ways = (text[:at] + (hostile if isinstance(hostile, str) else "~") + text[at:], text[:at], text * 2, text.upper())
    place[0][place[1]] = ways[what % len(ways)]


def _nest(document: Json, pool: Sequence[Any], index: int, what: int) -> None:
    if place := _inside(document, index):
        place[0][place[1]] = _deep(place[0][place[1]]) if what % 5 == 0 else [place[0][place[1]]]


_EDITS: tuple[Edit, ...] = (_replace, _replace, _replace, _swap, _swap, _edit, _edit, _drop, _add, _nest)
_NUMBER = st.integers(0, 9_999_999)


def _bytes(raw: bytes, how: int) -> bytes:
    """Corrupt the body."""
    ways = (
        raw[: len(raw) // 2], b"", b"null", b"[]", b'"x"', b"0", b"{", b"\xff\xfe\x00", raw.decode().encode("utf-16"),
        raw * 2,
        raw.replace(b'"values"', b'"values": {}, "values"'), b"[" * 20_000, b'{"a":' * 20_000, b"9" * 5_000, b"NaN",
        raw + b" " * 1_100_000, b"a=1&b=2", b"\xef\xbb\xbf" + raw,
    )  # fmt: skip
    return ways[how % len(ways)]


class Plan:
    """
    Changes that hypothesis chose. They are numbers, which it generates quickly and shrinks well.

    Attributes:
        base: Which of a route's requests.
        edits: Which edit, where, with what.
        raw: 0 leaves the bytes as they are.
    """

    def __init__(self, base: int, edits: Sequence[tuple[int, int, int]], raw: int) -> None:
        self.base = base
        self.edits = edits
        self.raw = raw

    def __repr__(self) -> str:
        return f"Plan({self.base}, {list(self.edits)}, {self.raw})"

    def changed(self, document: Json, pool: Sequence[Any]) -> Json:
        """A changed copy."""
        document = copy.deepcopy(document)
        for edit, index, what in self.edits:
            _EDITS[edit](document, pool, index, what)
        return document

    def encoded(self, body: Any) -> bytes:
        """The body's bytes."""
        raw = b"" if body is None else json.dumps(body).encode()
        return _bytes(raw, self.raw - 1) if self.raw else raw


plans = st.builds(
    Plan,
    st.integers(0, 999),
    st.lists(st.tuples(st.integers(0, len(_EDITS) - 1), _NUMBER, _NUMBER), min_size=0, max_size=3),
    st.integers(-150, 18).map(lambda how: max(how, 0)),
)
