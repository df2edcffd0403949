"""A form's state comes back as it was signed, for one person and path, and from older versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.calls import Call, Channel, Kind, Person, Post
from core.errors import NotVerified
from core.fields import Option
from core.records import Cell, Record
from core.signing import ExpiredState, Signer
from handlers.context import Context
from handlers.form_state import FORM_LIFETIME, FormState, RecordRef, SignedState
from handlers.records.assign import AssignState
from handlers.records.attach_thread import ThreadSource
from handlers.records.change import ChangeState
from handlers.records.comments import CommentsState
from handlers.records.incident import IncidentState
from handlers.records.share import ShareState
from handlers.records.state import StateFormState

SIGNER = Signer([b"k" * 32])
CONTEXT = cast(Context, SimpleNamespace(signer=SIGNER, person=Person(id="ann"), clock=lambda: 1000.0))
RECORD = Record("incident", "5" * 32, {"number": Cell("INC1"), "sys_mod_count": Cell("7")})


@dataclass(frozen=True, kw_only=True)
class Everything(FormState):
    """One attribute of each kind."""

    asked: bool = False
    skip: int = 0
    ids: tuple[str, ...] = ()
    states: tuple[Option, ...] = ()
    held: Mapping[str, str | Option] = field(default_factory=dict)


def call(state: Mapping[str, Any] | None = None, **more: Any) -> Call:
    """A call that carries *state*."""
    return Call(kind=Kind.SUBMIT, path="a/b", person=Person(id="ann"), state=state or {}, **more)


def carried(text: str, person: str = "ann", path: str = "a/b") -> dict[str, Any]:
    """The content of a signed state, as the web layer verifies it."""
    return SIGNER.verify(text, person=person, path=path, now=1000.0)


def test_everything_comes_back_as_it_was_signed() -> None:
    """Texts, numbers, flags, options and collections of them."""
    state = Everything(
        channel_id="c",
        asked=True,
        skip=10,
        ids=("x", "y"),
        states=(Option("New", "1"), Option("Closed", "7")),
        held={"close_notes": "Done", "assigned_to": Option("Ann", "5" * 32)},
    )
    assert Everything.of(call(carried(state.signed(CONTEXT, "a/b")))) == state


def test_a_state_is_for_one_person_one_path_and_some_hours() -> None:
    """Everything else is refused."""
    text = FormState().signed(CONTEXT, "a/b")
    for person, path in (("bob", "a/b"), ("ann", "a/c")):
        with pytest.raises(NotVerified, match="another person or path"):
            carried(text, person, path)
    with pytest.raises(ExpiredState):
        SIGNER.verify(text, person="ann", path="a/b", now=1001.0 + FORM_LIFETIME)


def test_the_keys_of_earlier_versions_are_understood() -> None:
    """Missing keys have defaults and unknown ones are ignored, so forms survive an upgrade."""
    old = {"form_id": "f", "channel_id": "c", "root_id": "r", "states": [["New", "1"]], "drawn": "6"}
    state = Everything.of(call(old))
    assert (state.form_id, state.channel_id, state.root_id) == ("f", "c", "r")
    assert state.states == (Option("New", "1"),)
    assert not state.asked
    assert not state.held


_FORM = {"form_id": "f", "channel_id": "c", "root_id": "r"}
_RECORD = {"table": "incident", "sys_id": "5" * 32, "number": "INC1", "sys_mod_count": "7"}
_PLACE = {"channel_id": "c", "post_id": "p", "root_id": "r"}


@pytest.mark.parametrize(
    ("state", "written"),
    [
        (IncidentState, {**_FORM, "post_id": "p", "messages": 3, "files": 1, "also": ["u_floor"]}),
        (ThreadSource, {**_FORM, "post_id": "p", "messages": 3, "files": 1}),
        (ChangeState, {**_FORM, "asked": True}),
        (ShareState, {**_FORM, "asked": True}),
        (AssignState, {**_RECORD, **_PLACE, "unread": True}),
        (CommentsState, {**_RECORD, **_PLACE, "skip": 10, "form_id": "f"}),
        (
            StateFormState,
            {
                **_RECORD,
                **_PLACE,
                "states": [["New", "1"]],
                "held": {"close_notes": "Done", "assigned_to": ["Ann", "5" * 32]},
                "drawn": "1",
            },
        ),
    ],
)
def test_the_keys_of_open_forms_stay(state: type[SignedState], written: dict[str, Any]) -> None:
    """Forms that are open while the service is upgraded or rolled back can be submitted."""
    assert carried(state.read(written).signed(CONTEXT, "a/b")) == written


@pytest.mark.parametrize(
    "wrong",
    [{"asked": 1}, {"skip": "1"}, {"skip": True}, {"ids": "x"}, {"ids": [1]}, {"states": [["New"]]},
     {"states": [["New", 1]]}, {"held": {"a": 1}}, {"held": []}, {"form_id": None}],
)  # fmt: skip
def test_other_types_end_the_form(wrong: dict[str, Any]) -> None:
    """A state of an incompatible version is refused as expired, not misread."""
    with pytest.raises(ExpiredState):
        Everything.of(call({"form_id": "f", **wrong}))


def test_a_command_is_a_form_of_its_own() -> None:
    """It has a fresh id and the channel it was typed in."""
    one, two = (FormState.of(call(channel=Channel(id="c"))) for _ in range(2))
    assert one.form_id != two.form_id
    assert (one.channel_id, one.root_id) == ("c", "")


def test_a_form_opened_on_a_message_belongs_to_its_thread() -> None:
    """The thread's first post is the message itself unless it is a reply."""
    first = FormState.of(call(post=Post(id="p", channel_id="c"), channel=Channel(id="here")))
    assert (first.channel_id, first.root_id) == ("c", "p")
    reply = FormState.of(call(post=Post(id="p", root_id="r"), channel=Channel(id="here")))
    assert (reply.channel_id, reply.root_id) == ("here", "r")


def test_a_form_opened_from_a_card_gets_its_own_id() -> None:
    """A card's state has none."""
    card = vars(RecordRef(table="incident", sys_id="5" * 32, channel_id="c"))
    assert FormState.of(call(card)).form_id
    assert FormState.of(call(card)).channel_id == "c"


def test_a_record_keeps_the_place_of_its_card() -> None:
    """The record is the one just read; the card is where the call came from."""
    card = RecordRef(table="incident", sys_id="5" * 32, channel_id="c", post_id="p", root_id="r", sys_mod_count="6")
    again = RecordRef.to(call(vars(card), channel=Channel(id="elsewhere")), RECORD)
    assert again == replace(card, number="INC1", sys_mod_count="7")
    assert RecordRef.to(call(channel=Channel(id="elsewhere")), RECORD).channel_id == "elsewhere"


@pytest.mark.parametrize("state", [{}, {"form_id": "f"}, {"table": "incident"}, {"sys_id": "5" * 32}])
def test_no_record_without_table_and_sys_id(state: dict[str, Any]) -> None:
    """Commands and forms about other things carry no record."""
    assert RecordRef.of(call(state)) is None
