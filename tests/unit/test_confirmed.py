"""A write without an answer: whether it is looked for, and what the person is told."""

from collections.abc import Callable

import pytest

from core.errors import AppError
from core.upstream_errors import (
    AccessDenied,
    Broken,
    Busy,
    ConnectionLost,
    InsertHidden,
    NotFound,
    ServiceNowError,
    Unanswered,
    Unreachable,
)
from handlers.confirmed import MayBeSaved, NothingSaved, confirmed, may_be_saved

LIST = "https://acme.service-now.com/incident_list.do"
UNSURE = (
    "This may have been saved, but ServiceNow didn't confirm it. "
    "[Check the list](https://acme.service-now.com/incident_list.do) before you send it again."
)


def caused(error: Exception, cause: Exception) -> Exception:
    """An error as `raise error from cause` makes it."""
    error.__cause__ = cause
    return error


def failing(error: Exception) -> Callable[[], str]:
    """A function that raises."""

    def fail() -> str:
        raise error

    return fail


def test_an_answered_write_isnt_looked_up() -> None:
    """One request is enough."""
    assert confirmed(lambda: "saved", failing(AssertionError("looked")), LIST) == "saved"


@pytest.mark.parametrize(
    "error", [Busy("x"), Unreachable("x"), AccessDenied("x"), caused(AccessDenied("x"), Busy("y")), ValueError("x")]
)
def test_a_definitely_unsaved_write_isnt_looked_up(error: Exception) -> None:
    """The person gets the reason unchanged."""
    with pytest.raises(type(error)) as raised:
        confirmed(failing(error), failing(AssertionError("looked")), LIST)
    assert raised.value is error


@pytest.mark.parametrize(
    "error",
    [
        *(Unanswered("x"), ConnectionLost("x"), Broken("x"), InsertHidden("x")),
        caused(AccessDenied("x"), Unanswered("y")),
    ],
)
@pytest.mark.parametrize("found", ["record", ""])
def test_what_an_unanswered_write_saved_is_returned(error: Exception, found: str) -> None:
    """As if ServiceNow had answered."""
    assert confirmed(failing(error), lambda: found, LIST) == found


@pytest.mark.parametrize(
    ("error", "saved"),
    [
        (Unanswered("x"), True),
        (Busy("x"), False),
        (caused(AccessDenied("x"), Unanswered("y")), True),
        (caused(AccessDenied("x"), Busy("y")), False),
        (AccessDenied("x"), False),
        (caused(NotFound("x"), Unanswered("y")), False),
        (ValueError("x"), False),
        (caused(AccessDenied("x"), ValueError("y")), False),
    ],
)
def test_only_a_reworded_error_is_judged_by_its_cause(error: Exception, saved: bool) -> None:
    """A capability can reword an error for people. Other errors are judged themselves."""
    assert may_be_saved(error) is saved


@pytest.mark.parametrize("error", [Unanswered("x"), InsertHidden("x")])
def test_without_a_trace_the_result_is_unknown(error: ServiceNowError) -> None:
    """ServiceNow may still be working on it."""
    with pytest.raises(MayBeSaved, match=r"^no answer, nothing found: x$") as raised:
        confirmed(failing(error), lambda: None, LIST)
    assert raised.value.__cause__ is error
    assert raised.value.user_message == UNSURE


def test_a_failed_transaction_without_a_trace_saved_nothing() -> None:
    """It has ended, so the form can be sent again."""
    error = Broken("500")
    with pytest.raises(NothingSaved, match=r"^500$") as raised:
        confirmed(failing(error), lambda: None, LIST)
    assert raised.value.__cause__ is error
    assert raised.value.retryable
    assert not raised.value.may_have_been_saved


@pytest.mark.parametrize("error", [Unanswered("x"), Broken("x")])
def test_a_failed_lookup_proves_nothing(error: ServiceNowError) -> None:
    """The person gets the address to check, with the caller's name for it."""
    with pytest.raises(MayBeSaved, match=r"^looking failed: later$") as raised:
        confirmed(failing(error), failing(Busy("later")), LIST, "the record")
    assert raised.value.__cause__ is error
    assert "[Check the record]" in raised.value.user_message
    assert may_be_saved(raised.value)


def test_our_own_error_in_a_lookup_isnt_hidden() -> None:
    """Only errors that are raised on purpose leave the result unknown."""
    with pytest.raises(KeyError):
        confirmed(failing(Unanswered("x")), failing(KeyError("ours")), LIST)


@pytest.mark.parametrize(
    ("held", "more"),
    [
        (0.0, ""),
        (0.5, " For the next minute, sending this form again only checks whether it was saved."),
        (60.0, " For the next minute, sending this form again only checks whether it was saved."),
        (60.5, " For the next 2 minutes, sending this form again only checks whether it was saved."),
        (360.0, " For the next 6 minutes, sending this form again only checks whether it was saved."),
        (3600.0, " For the next 60 minutes, sending this form again only checks whether it was saved."),
        (3600.5, " Sending this form again only checks whether it was saved."),
    ],
)
def test_the_person_learns_how_long_the_form_is_held(held: float, more: str) -> None:
    """In whole minutes, and without a number for a form that is never sent again."""
    error = MayBeSaved("x", LIST, held=held)
    assert isinstance(error, AppError)
    assert error.user_message == UNSURE + more
