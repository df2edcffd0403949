"""
Reads the framework's JWT, which names the person (design §4).

Every Mattermost user can read the secret of that token (protocol reference §2), so the token proves nothing alone.
A bot session, which only the app gets, is the other proof (`mattermost/token_owners.py`).
"""

import json
import math

import jwt

from core.errors import NotVerified, OtherSecret

HEADER = "Mattermost-App-Authorization"

_JWS = jwt.PyJWS(algorithms=["HS256"])


def acting_user_id(authorization: str, secret: str, now: float, *, nobody: bool = False) -> str:
    """
    Check the framework's token and return the person it names.

    Args:
        authorization: The header's value, ``Bearer <jwt>``.
        now: Unix seconds. ``exp`` may be a minute earlier, because clocks differ.
        nobody: Accept a token without a person, as in calls without an acting user, and return "".

    Raises:
        OtherSecret: Signed with another secret.
        NotVerified: Missing, another algorithm, expired, or without a person.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme != "Bearer" or not token:
        raise NotVerified("no framework token")
    try:
        # The library checks the signature. The two claims are checked here, against our own clock.
        claims = json.loads(_JWS.decode(token, secret, algorithms=["HS256"]))
    except jwt.InvalidSignatureError as error:
        raise OtherSecret("framework token: signed with another secret") from error
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise NotVerified(f"framework token: {type(error).__name__}") from error
    claims = claims if isinstance(claims, dict) else {}
    expires_at = claims.get("exp")
    # Python's JSON accepts NaN and Infinity, which would never expire.
    if not isinstance(expires_at, int | float) or expires_at is True or not -math.inf < expires_at < math.inf:
        raise NotVerified("framework token: no expiry")
    if now > expires_at + 60:
        raise NotVerified("framework token: expired")
    person = claims.get("acting_user_id", "" if nobody else None)
    if not isinstance(person, str) or not (person or nobody):
        raise NotVerified("framework token names nobody")
    return person
