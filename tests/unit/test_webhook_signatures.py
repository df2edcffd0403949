"""Headers and signature of a report: what verifies it, and how each missing proof is reported."""

import pytest

from notifications.webhook import HEADERS, ReportRefused, Signatures
from tests.unit.noticing import KEY, NOW, Keys, ManualClock, signed

BODY = b'{"a": 1}'
STAMP = str(int(NOW))


def refusal(headers: dict[str, str], body: bytes = BODY, keys: Keys | None = None) -> ReportRefused:
    """The error for an unverified request."""
    with pytest.raises(ReportRefused) as caught:
        Signatures(keys or Keys(), ManualClock()).check(headers, body)
    return caught.value


def test_the_headers_have_their_names() -> None:
    """As the component in ServiceNow sends them."""
    assert HEADERS == ("X-ServiceNow-Timestamp", "X-ServiceNow-Key", "X-ServiceNow-Signature")


@pytest.mark.parametrize("key", Keys().keys)
def test_a_valid_signature_of_any_accepted_key_is_accepted_and_remembered(key: object) -> None:
    """Newest or not; the result is how far the sender's clock is ahead."""
    keys = Keys()
    [one] = [known for known in keys.keys if known == key]
    assert Signatures(keys, ManualClock()).check(signed(BODY, str(int(NOW) + 7), one), BODY) == 7.0
    assert keys.seen == [one.key_id]


@pytest.mark.parametrize("ahead", [-300, 300])
def test_five_minutes_in_either_direction_are_the_limit(ahead: int) -> None:
    """A second more is stale and shows the clock difference; the key counts as used."""
    assert Signatures(Keys(), ManualClock()).check(signed(BODY, str(int(NOW) + ahead)), BODY) == ahead
    beyond = ahead + ahead // 300
    keys = Keys()
    stale = refusal(signed(BODY, str(int(NOW) + beyond)), keys=keys)
    assert (stale.reason, stale.offset, str(stale)) == ("stale", float(beyond), f"report: stale, {beyond:+} s")
    assert keys.seen == [KEY.key_id]


@pytest.mark.parametrize("key_id", ["", "k3", "K1"])
def test_a_key_that_isnt_accepted_is_unknown(key_id: str) -> None:
    """Even with the signature that the missing key would make; nothing is stored, and no clock difference is known."""
    keys = Keys()
    found = refusal(signed(BODY, STAMP) | {"X-ServiceNow-Key": key_id}, keys=keys)
    assert (found.reason, found.offset, str(found), keys.seen) == ("unknown_key", None, "report: unknown_key", [])


FORGED: dict[str, dict[str, str]] = {
    "none": {"X-ServiceNow-Signature": ""},
    "the other key's": {"X-ServiceNow-Key": "k2"},
    "no version": {"X-ServiceNow-Signature": signed(BODY, STAMP)["X-ServiceNow-Signature"].removeprefix("v1=")},
    "not ASCII": {"X-ServiceNow-Signature": "v1=\u00fc"},
    "half a character": {"X-ServiceNow-Signature": "v1=\ud800"},
    "another time": {"X-ServiceNow-Timestamp": str(int(NOW) + 1)},
    "a time that no header can hold": {"X-ServiceNow-Timestamp": "\u20ac"},
}


@pytest.mark.parametrize("how", FORGED)
def test_an_invalid_signature_is_a_bad_mac(how: str) -> None:
    """Nothing is stored about the key, and no clock difference is known."""
    keys = Keys()
    found = refusal(signed(BODY, STAMP) | FORGED[how], keys=keys)
    assert (found.reason, found.offset, keys.seen) == ("bad_mac", None, [])
    assert refusal(signed(BODY, STAMP), BODY + b" ").reason == "bad_mac"


@pytest.mark.parametrize("stamp", ["", "1e9", "-1", "1.5", "1800000000 ", "9" * 13, "\u0661", "1800000000\n"])
def test_a_malformed_time_is_rejected_however_it_is_signed(stamp: str) -> None:
    """The signature is valid, but the time says nothing."""
    assert refusal(signed(BODY, stamp)).reason == "bad_mac"
