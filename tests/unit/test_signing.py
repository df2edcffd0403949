"""State carried by a client comes back unchanged, for the same person and path, or is rejected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotVerified
from core.signing import ExpiredState, Signer

SIGNER = Signer([b"k" * 32])


def _token(**changes: object) -> str:
    arguments = {"person": "ann", "path": "incident/create", "expires_at": 100.0} | changes
    return SIGNER.sign({"form_id": "f1"}, **arguments)  # type: ignore[arg-type]


def test_a_state_comes_back() -> None:
    """The content is unchanged."""
    assert SIGNER.verify(_token(), person="ann", path="incident/create", now=100.0) == {"form_id": "f1"}


@pytest.mark.parametrize(("person", "path"), [("bob", "incident/create"), ("ann", "change/create")])
def test_a_state_of_another_person_or_path_is_rejected(person: str, path: str) -> None:
    """A state is valid only for its person and purpose."""
    with pytest.raises(NotVerified, match="made for another person or path"):
        SIGNER.verify(_token(), person=person, path=path, now=1.0)


def test_an_old_state_says_that_the_form_was_open_too_long() -> None:
    """Expiry has its own message, because it happens to legitimate people."""
    with pytest.raises(ExpiredState):
        SIGNER.verify(_token(), person="ann", path="incident/create", now=101.5)


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_state_is_rejected(position: int, character: str) -> None:
    """Whatever one character is changed to, the state is rejected or still means the same."""
    token = _token()
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    try:
        content = SIGNER.verify(changed, person="ann", path="incident/create", now=1.0)
    except NotVerified:
        return
    assert content == {"form_id": "f1"}
    assert changed.partition(".")[0] == token.partition(".")[0]


@given(st.text(max_size=300))
def test_a_forged_state_is_rejected(text: str) -> None:
    """Any text that we didn't sign is rejected without an exception."""
    with pytest.raises(NotVerified, match="bad signature"):
        SIGNER.verify(text, person="ann", path="incident/create", now=1.0)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), st.text(max_size=8))
def test_whatever_is_signed_comes_back(content: dict[str, str], person: str) -> None:
    """Every content and person, of every length and script."""
    token = SIGNER.sign(content, person=person, path="p", expires_at=9.0)
    assert SIGNER.verify(token, person=person, path="p", now=9.0) == content
    assert token.isascii()


def test_half_a_surrogate_pair_is_signed_too() -> None:
    """A client can send one, which no encoding accepts; its form still opens."""
    token = SIGNER.sign({"typed": "a\ud800"}, person="ann", path="p", expires_at=9.0)
    assert SIGNER.verify(token, person="ann", path="p", now=9.0) == {"typed": "a\ud800"}


def test_without_a_key_nothing_is_signed() -> None:
    """A mistake in the settings is found at the start."""
    with pytest.raises(ValueError, match="at least one key"):
        Signer([])


def test_a_rotation_keeps_open_forms_valid() -> None:
    """A second key still opens what it signed; the newest signs."""
    rotated = Signer([b"n" * 32, b"k" * 32])
    assert rotated.verify(_token(), person="ann", path="incident/create", now=1.0)
    fresh = rotated.sign({}, person="ann", path="p", expires_at=9.0)
    with pytest.raises(NotVerified, match="bad signature"):
        SIGNER.verify(fresh, person="ann", path="p", now=1.0)
