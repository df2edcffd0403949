"""`sandbox.dialog` sends the same as the real web client of 11.6, with the recorded answers."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.dialog import OpenDialog
from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig11 import scenes

AGENT2, DESK = "xgm65crsepy3pn8yr5napuogto", "tshf77wu6fyf5egcuakxhomywy"

# Scene: what the person entered before each submission and refresh.
ENTERED: dict[str, list[Json]] = {
    "all elements, nothing touched, no defaults: submit": [{}],
    "all elements with defaults, nothing touched: submit": [{}],
    "number subtype: letters typed": [{"num": 12}],
    "after an error the user clears the text and submits again (is the old value sent?)": [
        {"txt": "first"},
        {"txt": ""},
    ],
    "refresh: text typed, then the select changed; then submit": [{"txt": "typed", "kind": "2"}, {}],
    "refresh without a default for the text that was typed: what is shown and sent": [
        {"txt": "typed", "kind": "2"},
        {},
    ],
    "refresh, then the text is cleared by the user, then submit (is the old value sent?)": [
        {"txt": "typed", "kind": "2"},
        {"txt": ""},
    ],
    "refresh twice: a field of the first refresh is filled, then it is gone (still sent?)": [
        {"kind": "2"},
        {"kind": "3", "onlytwo": "stale"},
        {"onlythree": "new"},
    ],
    "refresh answered with an error": [{"kind": "2"}, {"kind": "2"}],
    "look-up in an element that a refresh brought: state, callback_id and url sent": [{"kind": "2"}, {"dyn": "u2"}],
    "two steps: type form, then submit": [{"one": "first", "flag": True}, {"two": "second", "m2": ["1"]}],
    "two steps with the same element name: empty in step 2": [{"same": "from step 1"}, {}],
    "two steps, error in step 2, then corrected": [{"one": "1"}, {"two": "x"}, {"two": "y"}],
    "number 12.5 typed": [{"num": 12.5}],
    "number -3 typed": [{"num": -3}],
    "dynamic select whose default is a value (id)": [{}],
    "date and datetime picked": [{"day": "2026-11-28"}],
    "datetime untouched, required": [{}],
    "select, multiselect and dynamic select with defaults: cleared by the user, submit": [
        {"sel": "", "multi": [], "dyn": None}
    ],
    "number default 5, untouched": [{}],
    "number cleared": [{"num": ""}],
    "text of spaces only; text with surrounding spaces": [{"a": "   ", "b": "  x "}],
    "dynamic select whose default is a label, not a value": [{}],
    "refresh select cleared by the user": [{"kind": ""}, {}],
    "defaults of users and channels selects: what is drawn and sent": [{}],
    "users and channels chosen": [{"usr": AGENT2, "chan": DESK}],
    "required datetime, nothing picked: what is sent": [{}],
    "optional datetime, nothing picked: what is sent": [{}],
    "min_length 3, one character; required text of spaces": [{"a": "x", "b": "   "}],
}
SCENES = {scene["what"]: scene for scene in scenes("web_client_dialogs")}


def test_every_recorded_scene_is_replayed() -> None:
    """No recording is unused."""
    assert set(SCENES) == set(ENTERED) | set(BESIDE)


@pytest.mark.parametrize("what", ENTERED)
def test_submissions_match_the_real_client(what: str) -> None:
    """Step by step: values, state and callback ID."""
    scene = SCENES[what]
    now = OpenDialog.of_event({"url": "http://integration.example/wdlg", "dialog": scene["dialog"]}, (11, 6))
    calls = [call for call in scene["calls"] if call["kind"] != "look_up"]
    for call, values in zip(calls, ENTERED[what], strict=True):
        sent = now.submission(values)
        assert _timeless(sent) == _timeless(call["submission"])
        body = now.body(sent, url=call["url"])
        assert (body["state"], body["callback_id"]) == (call["state"], call["callback_id"])
        now.sent(sent, "web")
        if call["answer"].get("type") == "form":
            refresh = call["kind"] == "refresh"
            now = now.refreshed(call["answer"]) if refresh else now.step(call["answer"], sent)


# Scene: what the dialog contains at one of its lookups, by the lookup's number.
BESIDE: dict[str, tuple[int, Json]] = {
    "all elements filled in": (
        -1,
        {
            "txt": "hello", "num": 12, "area": "line1\nline2", "sel": "1", "multi": ["1", "2"], "dyn": "u2",
            "dynmulti": ["u1", "u3"], "usr": AGENT2, "usrs": ["beor9f5bcidy5f7p9w3jhbjo3c"], "chan": DESK,
            "flag": True, "rad": "2",
        },
    ),
    "defaults cleared by the user": (-1, {"txt": "", "num": "", "area": "", "flag": False}),
}  # fmt: skip
_LABELS = {
    "u1": "Amir Agent", "u2": "Bea Bee", "u3": "Cid", AGENT2: "agent2", "beor9f5bcidy5f7p9w3jhbjo3c": "requester",
    DESK: "Desk",
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "number", "values"),
    [
        *((what, number, values) for what, (number, values) in BESIDE.items()),
        ("all elements, nothing touched, no defaults: submit", 0, {}),
        ("all elements with defaults, nothing touched: submit", 0, {}),
        ("dynamic select whose default is a label, not a value", 0, {}),
        ("select, multiselect and dynamic select with defaults: cleared by the user, submit", 0, {}),
        ("select, multiselect and dynamic select with defaults: cleared by the user, submit", 1, {"sel": ""}),
    ],
)
def test_lookups_match_the_real_client(what: str, number: int, values: Json) -> None:
    """A choice as label and value, several of a fixed list as none, a radio's default as nothing readable."""
    scene = SCENES[what]
    opened = OpenDialog.of_event({"url": "", "dialog": scene["dialog"]}, (11, 6))
    opened.offered |= _LABELS if "usr" in values else {}
    calls = [call for call in scene["calls"] if call["kind"] == "look_up"]
    recorded = dict(calls[number]["submission"])
    recorded.pop("selected_field")
    assert _timeless(opened.beside_look_up(values)) == _timeless(recorded)
    body = opened.body({}, look_up=True)
    assert (body["state"], body["callback_id"]) == (calls[number]["state"], calls[number]["callback_id"])


def _timeless(submission: Json) -> Json:
    """Now, rounded up, and today replace the time of the recording."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    moments: dict[Any, str] = {f"{hour:%Y-%m-%dT%H:%M:%SZ}": "soon", "2026-11-24T20:00:00Z": "soon"}
    moments |= {f"{datetime.now(UTC):%Y-%m-%d}": "today", "2026-11-24": "today"}
    return {key: moments.get(json.dumps(one).strip('"'), one) for key, one in submission.items()}
