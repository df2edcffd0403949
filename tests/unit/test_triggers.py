"""A press counts when the server's signature says who pressed, and once."""

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

# A trigger of a real 9.11 server; its key is not known, its shape is what counts.
RECORDED = (
    "bWd6NXg3ZTY3aThhYmplZXBocXNxN2ZzOWE6am1zY3l3dGVnajhtZGM4N2VibXE3Z2VtNmE6MTc5NTQ5MzY4ODcyMjpNRVVDSUhweTlV"
    "bFUzRGZUaEdrYlFCOFNUSUJhWDMvMU1lU1h4bGQyckxEODZHLzhBaUVBa1BQNW9xNG9DTVE1SXVUZ1dsbDB3VGtSU1dHYWYvNEdvTnpL"
    "OVcvdW9zaz0="
)


def public_half(key: EllipticCurvePrivateKey) -> str:
    """As the client configuration gives it."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


class OneServer:
    """A server whose key can change; counts how often it was asked anew."""

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self.remembered = public_half(key)
        self.newest = self.remembered
        self.asked = 0

    def facts(self, *, refresh: bool = False) -> ServerFacts:
        """The remembered facts, or the newest."""
        if refresh:
            self.asked += 1
            self.remembered = self.newest
        return ServerFacts((9, 11), self.remembered)


KEY, OTHER_KEY = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())


def trigger(key: EllipticCurvePrivateKey = KEY, *, client: str = CLIENT, person: str = PERSON, at: float = NOW) -> str:
    """A trigger as the server makes one."""
    text = f"{client}:{person}:{int(at * 1000)}:"
    signature = base64.b64encode(key.sign(text.encode(), ECDSA(SHA256()))).decode()
    return base64.b64encode(f"{text}{signature}".encode()).decode()


def triggers(server: OneServer | None = None, now: float = NOW) -> Triggers:
    """Checks at the time *now*."""
    return Triggers(server or OneServer(KEY), lambda: now)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-60.0, -59.9, 0.0, 59.9, 60.0])
def test_a_genuine_press_counts_once(seconds: float) -> None:
    """Within a minute either way, the first time."""
    checks = triggers()
    pressed = trigger(at=NOW + seconds)
    checks.check(pressed, PERSON)
    with pytest.raises(UsedTrigger):
        checks.check(pressed, PERSON)


@pytest.mark.parametrize("seconds", [-61.0, 61.0])
def test_an_old_press_is_refused_with_words(seconds: float) -> None:
    """A press of another minute says that it took too long."""
    with pytest.raises(ExpiredTrigger) as refused:
        triggers().check(trigger(at=NOW + seconds), PERSON)
    assert "again" in refused.value.user_message


def test_a_press_of_somebody_else_is_refused() -> None:
    """A genuine trigger does not make its bearer another person, and is not used up by the attempt."""
    checks = triggers()
    with pytest.raises(NotVerified, match="another person"):
        checks.check(trigger(), "a" * 26)
    checks.check(trigger(), PERSON)


def test_another_key_is_refused_and_a_new_one_learnt() -> None:
    """Signatures of another server fail; when the server's key changed, it is asked for anew."""
    server = OneServer(KEY)
    with pytest.raises(NotVerified, match="signature"):
        triggers(server).check(trigger(OTHER_KEY), PERSON)
    server.newest = public_half(OTHER_KEY)
    triggers(server).check(trigger(OTHER_KEY), PERSON)
    assert server.asked == 2


def packed(text: str) -> str:
    """A trigger of any content."""
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
def test_made_up_triggers_are_refused(made_up: Any, reason: str) -> None:
    """Whatever is not signed by the server proves nothing; what can't be signed costs no look at the key."""
    server = OneServer(KEY)
    with pytest.raises(NotVerified, match=f"trigger: (of )?{reason}"):
        triggers(server).check(made_up, PERSON)
    assert server.asked == (0 if reason == "another shape" else 1)


def test_a_used_press_is_remembered_for_as_long_as_it_could_count() -> None:
    """A trigger from the future of a clock that is ahead counts for two minutes, and in all of them once."""
    now = [NOW]
    checks = Triggers(OneServer(KEY), lambda: now[0])  # type: ignore[arg-type]
    early = trigger(at=NOW + 59)
    checks.check(early, PERSON)
    now[0] += 118
    with pytest.raises(UsedTrigger):
        checks.check(early, PERSON)


def test_a_changed_key_does_not_let_another_signature_in() -> None:
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
def test_a_signed_text_of_another_shape_is_refused(signed: str, person: str) -> None:
    """Too long, without a client or a person, with a time that is none, or with anything between its letters."""
    with pytest.raises(NotVerified, match="another shape"):
        triggers().check(signed, person)


def test_a_key_of_another_kind_proves_nothing() -> None:
    """Only the kind of key that Mattermost has."""
    server = OneServer(KEY)
    der = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    server.remembered = server.newest = base64.b64encode(der).decode()
    with pytest.raises(NotVerified, match="signature"):
        triggers(server).check(trigger(), PERSON)


def test_a_server_without_a_key_proves_nothing() -> None:
    """No key, no press."""
    server = OneServer(KEY)
    server.remembered = server.newest = ""
    with pytest.raises(NotVerified, match="bad signature"):
        triggers(server).check(trigger(), PERSON)


def test_the_recorded_trigger_has_the_shape_we_make() -> None:
    """Client id, person, milliseconds and a signature, joined by colons and Base64 around it."""
    ours, theirs = (base64.b64decode(text).decode().split(":") for text in (trigger(), RECORDED))
    assert theirs[:2] == ours[:2] == [CLIENT, PERSON]
    assert [len(part) for part in theirs[:3]] == [len(part) for part in ours[:3]]
    assert base64.b64decode(theirs[3])[:1] == base64.b64decode(ours[3])[:1] == b"\x30"
    assert time.gmtime(int(theirs[2]) / 1000).tm_year == 2026
