"""
Who is asking (design §4): the framework's token names the person.

The secret of that token is readable by every Mattermost user (protocol reference §2), so it proves nothing
alone. A bot session, which is handed to the app only, does (`mattermost/token_owners.py`).
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
        now: Unix seconds; ``exp`` is held against it, with a minute for clocks that differ.
        nobody: Whether the token may name no one, as those of calls without an acting user do; "" then.

    Raises:
        OtherSecret: Signed with another key.
        NotVerified: Missing, of another algorithm, expired, or naming nobody.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme != "Bearer" or not token:
        raise NotVerified("no framework token")
    try:
        # The signature is the library's; of the claims there are two, checked here on our own clock.
        claims = json.loads(_JWS.decode(token, secret, algorithms=["HS256"]))
    except jwt.InvalidSignatureError as error:
        raise OtherSecret("framework token: signed with another secret") from error
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise NotVerified(f"framework token: {type(error).__name__}") from error
    claims = claims if isinstance(claims, dict) else {}
    expires_at = claims.get("exp")
    # Python's JSON reads NaN and Infinity, and neither of them would ever expire.
    if not isinstance(expires_at, int | float) or expires_at is True or not -math.inf < expires_at < math.inf:
        raise NotVerified("framework token: no expiry")
    if now > expires_at + 60:
        raise NotVerified("framework token: expired")
    person = claims.get("acting_user_id", "" if nobody else None)
    if not isinstance(person, str) or not (person or nobody):
        raise NotVerified("framework token names nobody")
    return person
