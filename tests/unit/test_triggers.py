"""A press is valid if the server's signature names the presser, and only once."""

import base64
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.errors import NotVerified
from mattermost.server import ServerFacts
from mattermost.triggers import ExpiredTrigger, Triggers, UsedTrigger

PERSON = "jmscywtegj8mdc87ebmq7gem6a"
CLIENT = "mgz5x7e67i8abjeephqsq7fs9a"
NOW = 1_795_493_688.0

# A trigger of a real 9.11 server; its key isn't known, its format matters.
RECORDED = (
    "bWd6NXg3ZTY3aThhYmplZXBocXNxN2ZzOWE6am1zY3l3dGVnajhtZGM4N2VibXE3Z2VtNmE6MTc5NTQ5MzY4ODcyMjpNRVVDSUhweTlV"
    "bFUzRGZUaEdrYlFCOFNUSUJhWDMvMU1lU1h4bGQyckxEODZHLzhBaUVBa1BQNW9xNG9DTVE1SXVUZ1dsbDB3VGtSU1dHYWYvNEdvTnpL"
    "OVcvdW9zaz0="
)


def public_half(key: EllipticCurvePrivateKey) -> str:
    """As the client configuration returns it."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


class OneServer:
    """A server whose key can change; counts how often it was requested."""

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self.remembered = public_half(key)
        self.newest = self.remembered
        self.asked = 0

    def facts(self, *, refresh: bool = False) -> ServerFacts:
        """The cached facts, or the newest."""
        if refresh:
            self.asked += 1
            self.remembered = self.newest
        return ServerFacts((9, 11), self.remembered)


KEY, OTHER_KEY = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())


def trigger(key: EllipticCurvePrivateKey = KEY, *, client: str = CLIENT, person: str = PERSON, at: float = NOW) -> str:
    """A trigger as the server creates it."""
    text = f"{client}:{person}:{int(at * 1000)}:"
    signature = base64.b64encode(key.sign(text.encode(), ECDSA(SHA256()))).decode()
    return base64.b64encode(f"{text}{signature}".encode()).decode()


def triggers(server: OneServer | None = None, now: float = NOW) -> Triggers:
    """Checks at the time *now*."""
    return Triggers(server or OneServer(KEY), lambda: now)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-60.0, -59.9, 0.0, 59.9, 60.0])
def test_a_genuine_press_counts_once(seconds: float) -> None:
    """Within a minute in either direction."""
    checks = triggers()
    pressed = trigger(at=NOW + seconds)
    checks.check(pressed, PERSON)
    with pytest.raises(UsedTrigger):
        checks.check(pressed, PERSON)


@pytest.mark.parametrize("seconds", [-61.0, 61.0])
def test_an_old_press_is_rejected_with_a_message(seconds: float) -> None:
    """It says that the press took too long."""
    with pytest.raises(ExpiredTrigger) as refused:
        triggers().check(trigger(at=NOW + seconds), PERSON)
    assert "again" in refused.value.user_message


def test_another_persons_press_is_rejected() -> None:
    """A genuine trigger doesn't make its bearer another person, and the attempt doesn't use it up."""
    checks = triggers()
    with pytest.raises(NotVerified, match="another person"):
        checks.check(trigger(), "a" * 26)
    checks.check(trigger(), PERSON)


def test_another_key_is_rejected_and_a_new_one_fetched() -> None:
    """Another server's signatures fail; if the server's key changed, it is requested again."""
    server = OneServer(KEY)
    with pytest.raises(NotVerified, match="signature"):
        triggers(server).check(trigger(OTHER_KEY), PERSON)
    server.newest = public_half(OTHER_KEY)
    triggers(server).check(trigger(OTHER_KEY), PERSON)
    assert server.asked == 2


def packed(text: str) -> str:
    """A trigger with any content."""
    return base64.b64encode(text.encode()).decode()


MILLISECONDS = int(NOW * 1000)
OTHER_SHAPES = [
    None, 5, "", "rubbish", "!" * 40, "A" * 2000, packed("a:b"), packed(f"{CLIENT}:{PERSON}:x:AAAA"),
    packed(f":{PERSON}:{MILLISECONDS}:AAAA"), packed(f"{CLIENT}::{MILLISECONDS}:AAAA"),
    packed(f"{CLIENT}:{PERSON}::AAAA"),
    packed(f"{CLIENT}:{PERSON}:{'9' * 16}:AAAA"), packed(f"{CLIENT}:{PERSON}:{MILLISECONDS}:!"),
    packed(f"x:{CLIENT}:{PERSON}:{MILLISECONDS}:AAAA"), packed(f"{CLIENT}:{PERSON}:٢٣:AAAA"),
]  # fmt: skip
UNSIGNED = [packed("a:b:1:"), packed(f"{CLIENT}:{PERSON}:{MILLISECONDS}:AAAA"), RECORDED]


@pytest.mark.parametrize(
    ("made_up", "reason"),
    [*((one, "another shape") for one in OTHER_SHAPES), *((one, "bad signature") for one in UNSIGNED)],
)
def test_forged_triggers_are_rejected(made_up: Any, reason: str) -> None:
    """What the server didn't sign proves nothing; what can't be a signature doesn't even request the key."""
    server = OneServer(KEY)
    with pytest.raises(NotVerified, match=f"trigger: (of )?{reason}"):
        triggers(server).check(made_up, PERSON)
    assert server.asked == (0 if reason == "another shape" else 1)


def test_a_used_press_is_remembered_for_as_long_as_it_is_valid() -> None:
    """A trigger from a clock that is ahead is valid for two minutes, and only once."""
    now = [NOW]
    checks = Triggers(OneServer(KEY), lambda: now[0])  # type: ignore[arg-type]
    early = trigger(at=NOW + 59)
    checks.check(early, PERSON)
    now[0] += 118
    with pytest.raises(UsedTrigger):
        checks.check(early, PERSON)


def test_a_changed_key_accepts_no_other_signature() -> None:
    """The server has a new key, and the trigger is signed with neither."""
    server = OneServer(KEY)
    server.newest = public_half(OTHER_KEY)
    with pytest.raises(NotVerified, match="signature"):
        triggers(server).check(trigger(generate_private_key(SECP256R1())), PERSON)


@pytest.mark.parametrize(
    ("signed", "person"),
    [
        (trigger(client="x" * 1500), PERSON),
        (trigger(client=""), PERSON),
        (trigger(person=""), ""),
        (trigger(at=NOW * 10_000), PERSON),
        (trigger(at=-1.0), PERSON),
        (trigger()[:8] + "!" + trigger()[8:], PERSON),
        (base64.b64encode(base64.b64decode(trigger()) + b"!").decode(), PERSON),
    ],
)
def test_a_signed_but_malformed_text_is_rejected(signed: str, person: str) -> None:
    """Too long, without a client or a person, with an invalid time, or with anything between its letters."""
    with pytest.raises(NotVerified, match="another shape"):
        triggers().check(signed, person)


def test_a_key_of_another_type_proves_nothing() -> None:
    """Only Mattermost's type of key is accepted."""
    server = OneServer(KEY)
    der = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    server.remembered = server.newest = base64.b64encode(der).decode()
    with pytest.raises(NotVerified, match="signature"):
        triggers(server).check(trigger(), PERSON)


def test_a_server_without_a_key_accepts_no_press() -> None:
    """Nothing can be verified."""
    server = OneServer(KEY)
    server.remembered = server.newest = ""
    with pytest.raises(NotVerified, match="bad signature"):
        triggers(server).check(trigger(), PERSON)


def test_the_recorded_trigger_has_the_format_we_create() -> None:
    """Client ID, person, milliseconds and a signature, joined by colons and encoded as Base64."""
    ours, theirs = (base64.b64decode(text).decode().split(":") for text in (trigger(), RECORDED))
    assert theirs[:2] == ours[:2] == [CLIENT, PERSON]
    assert [len(part) for part in theirs[:3]] == [len(part) for part in ours[:3]]
    assert base64.b64decode(theirs[3])[:1] == base64.b64decode(ours[3])[:1] == b"\x30"
    assert time.gmtime(int(theirs[2]) / 1000).tm_year == 2026
