"""The framework's token, claim by claim, on a clock of its own."""

import json

import jwt
import pytest

from core.errors import NotVerified, OtherSecret
from mattermost.proofs import HEADER, acting_user_id

SECRET = "a secret that the framework and the app share, of at least 64 bytes"
NOW = 1_000_000.0


def bearer(claims: object, *, secret: str = SECRET, algorithm: str = "HS256") -> str:
    """The header's value for any claims."""
    algorithms = [algorithm]
    token = jwt.PyJWS(algorithms=algorithms).encode(json.dumps(claims).encode(), secret, algorithm=algorithm)
    return f"Bearer {token}"


def refusal(authorization: str, *, nobody: bool = False) -> str:
    """Why a token is rejected."""
    with pytest.raises(NotVerified) as refused:
        acting_user_id(authorization, SECRET, NOW, nobody=nobody)
    return str(refused.value)


def test_the_token_names_the_person() -> None:
    """The header is the framework's; integer and fractional expiries are valid, and so is 0 or 1."""
    assert HEADER == "Mattermost-App-Authorization"
    for expiry in (NOW, NOW + 0.5, int(NOW)):
        assert acting_user_id(bearer({"exp": expiry, "acting_user_id": "agent"}), SECRET, NOW) == "agent"
    for expiry, now in ((0, 0.0), (1, 1.0)):
        assert acting_user_id(bearer({"exp": expiry, "acting_user_id": "agent"}), SECRET, now) == "agent"


def test_a_token_is_valid_for_a_minute_after_its_expiry() -> None:
    """Exact to the second, for clocks that differ."""
    assert acting_user_id(bearer({"exp": NOW - 60, "acting_user_id": "agent"}), SECRET, NOW) == "agent"
    assert refusal(bearer({"exp": NOW - 60.5, "acting_user_id": "agent"})) == "framework token: expired"


@pytest.mark.parametrize(
    "expiry", [None, True, "9999999999", [], {}, float("nan"), float("inf"), float("-inf")], ids=repr
)
def test_an_expiry_is_a_finite_number(expiry: object) -> None:
    """A text, a boolean and infinity are invalid."""
    assert refusal(bearer({"exp": expiry, "acting_user_id": "agent"})) == "framework token: no expiry"


@pytest.mark.parametrize("claims", [[], "exp", 5, None, ["exp", "acting_user_id"], {}, {"acting_user_id": "agent"}])
def test_claims_without_an_expiry_are_rejected(claims: object) -> None:
    """Whatever a token contains instead of an object with claims."""
    assert refusal(bearer(claims)) == "framework token: no expiry"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic x", "bearer x", "x"])
def test_a_header_without_a_bearer_token_is_rejected(authorization: str) -> None:
    """Nothing is decoded then, even if another scheme carries a valid token."""
    assert refusal(authorization) == "no framework token"
    good = bearer({"exp": NOW, "acting_user_id": "agent"}).removeprefix("Bearer ")
    assert refusal(f"Basic {good}") == refusal(good) == "no framework token"


def test_another_secret_is_told_apart_from_an_invalid_token() -> None:
    """An administrator who entered the wrong secret is told so; garbage and other algorithms are only rejected."""
    claims = {"exp": NOW, "acting_user_id": "agent"}
    with pytest.raises(OtherSecret, match="signed with another secret"):
        acting_user_id(bearer(claims, secret="another secret that is long enough"), SECRET, NOW)
    assert refusal("Bearer garbage") == "framework token: DecodeError"
    for algorithm in ("HS384", "HS512"):
        assert refusal(bearer(claims, algorithm=algorithm)) == "framework token: InvalidAlgorithmError"
    unsigned = jwt.PyJWS().encode(json.dumps(claims).encode(), "", algorithm="none")
    assert refusal(f"Bearer {unsigned}") == "framework token: InvalidAlgorithmError"
    text = jwt.PyJWS(algorithms=["HS256"]).encode(b"[" * 20_000, SECRET, algorithm="HS256")
    assert refusal(f"Bearer {text}") == "framework token: RecursionError"
    text = jwt.PyJWS(algorithms=["HS256"]).encode(b"{", SECRET, algorithm="HS256")
    assert refusal(f"Bearer {text}") == "framework token: JSONDecodeError"


@pytest.mark.parametrize("person", [None, "", 5, True, ["agent"], {"id": "agent"}])
def test_a_person_is_named_by_a_text(person: object) -> None:
    """Calls without an acting user can name nobody, but not by another type."""
    token = bearer({"exp": NOW, "acting_user_id": person})
    assert refusal(token) == "framework token names nobody"
    if person == "":
        assert acting_user_id(token, SECRET, NOW, nobody=True) == ""
    else:
        assert refusal(token, nobody=True) == "framework token names nobody"


def test_a_token_without_a_person_is_valid_only_where_allowed() -> None:
    """If it names a person, that person is returned."""
    token = bearer({"exp": NOW})
    with pytest.raises(NotVerified, match="names nobody"):
        acting_user_id(token, SECRET, NOW)
    assert acting_user_id(token, SECRET, NOW, nobody=True) == ""
    assert acting_user_id(bearer({"exp": NOW, "acting_user_id": "agent"}), SECRET, NOW, nobody=True) == "agent"
