"""Sealing: what can be opened, where, and with which keys."""

import pytest

from storage.sealing import Sealer, Unreadable, derive_keys

OLD, NEW = "an old secret of thirty-two letters", "a new secret of thirty-two letters."
CONTENT = {"access_token": "plain-token", "expires_at": 1.5}


def sealer(*secrets: str, purpose: str = "accounts") -> Sealer:
    """A sealer with the keys of *secrets*, newest first."""
    return Sealer(derive_keys(secrets, purpose))


def test_a_sealed_value_opens_in_its_place() -> None:
    """The content comes back with its types and is nowhere in the sealed text."""
    sealed = sealer(OLD).seal("account/ann", CONTENT)
    assert "plain-token" not in sealed
    assert sealer(OLD).open("account/ann", sealed) == CONTENT


def test_it_opens_nowhere_else() -> None:
    """A value moved to another person's row is rejected."""
    sealed = sealer(OLD).seal("account/ann", CONTENT)
    with pytest.raises(Unreadable, match="account/bob"):
        sealer(OLD).open("account/bob", sealed)


def test_a_new_first_key_keeps_the_old_values_readable() -> None:
    """The newest key seals; the old one still opens what it sealed, and not what the new one did."""
    both = sealer(NEW, OLD)
    assert both.open("p", sealer(OLD).seal("p", CONTENT)) == CONTENT
    assert sealer(NEW).open("p", both.seal("p", CONTENT)) == CONTENT
    with pytest.raises(Unreadable):
        sealer(OLD).open("p", both.seal("p", CONTENT))


def test_values_of_an_old_key_are_resealed_once() -> None:
    """With the newest key, in the same place; values that are current or that can't be opened aren't changed."""
    both = sealer(NEW, OLD)
    renewed = both.renewed(sealer(OLD).seal("p", CONTENT))
    assert renewed is not None
    assert sealer(NEW).open("p", renewed) == CONTENT
    assert both.renewed(renewed) is None
    assert sealer(NEW).renewed(sealer(OLD).seal("p", CONTENT)) is None


def test_purposes_cant_open_each_others_values() -> None:
    """A key of one purpose is useless for another, so mixing up columns reveals nothing."""
    with pytest.raises(Unreadable):
        sealer(OLD, purpose="installation").open("p", sealer(OLD).seal("p", CONTENT))


@pytest.mark.parametrize("text", ["", "gAAAAA", "nonsense é", "x" * 5000])
def test_an_invalid_value_is_rejected_with_a_message(text: str) -> None:
    """It raises one error, with a sentence on what to do and without the content."""
    with pytest.raises(Unreadable) as caught:
        sealer(OLD).open("account/ann", text)
    assert "connect" in caught.value.user_message
    assert not caught.value.retryable
    assert str(caught.value) == "account/ann: no key opens it"


def test_derived_keys_are_stable_and_differ() -> None:
    """Same secret and purpose, same 32 bytes, in the given order; anything else differs."""
    keys = derive_keys([NEW, OLD], "states")
    assert keys == [*derive_keys([NEW], "states"), *derive_keys([OLD], "states")]
    assert len({*keys, *derive_keys([NEW, OLD], "accounts")}) == 4
    assert {len(key) for key in keys} == {32}
