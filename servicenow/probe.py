"""Checks an instance before it is configured: whether it answers, is ServiceNow, and accepts the OAuth client."""

from core.accounts import Tokens
from core.instance import Instance, Proof
from core.times import Clock, Deadline
from core.upstream_errors import AccessDenied, CredentialsRefused, Misdirected, NotFound, NotInstalled, OAuthRefused
from servicenow.classify import read_answer, read_token_answer
from servicenow.oauth import OAuthClient
from servicenow.transport import Transport

_PATH = "/api/now/v2/table/sys_user"
_SECONDS = 8.0  # per request
# ServiceNow never answers a request without credentials in these ways.
_NOT_AS_SERVICENOW = (Misdirected, NotInstalled, NotFound, AccessDenied)


class NoInstance(Misdirected):
    """The server at this address isn't ServiceNow."""

    user_message = "Something answers at this address, but not as ServiceNow does."


class Probe:
    """
    Checks an instance before it is used.

    Args:
        remote: The framework's ``…/oauth2/remote``, under which people connect and come back.
    """

    def __init__(self, remote: str, clock: Clock) -> None:
        self._redirect_address = f"{remote}/complete"
        self._clock = clock

    def look(self, instance: Instance, tokens: Tokens | None, deadline: Deadline) -> Proof:
        """
        Check that *instance* is a ServiceNow that is awake, and find out about its OAuth client. At most two requests.

        Args:
            tokens: From a connection that the same client made at the same instance. They are refreshed as a proof.

        Raises:
            ServiceNowError: It can't be reached, hibernates, or isn't a ServiceNow; the class says which.
        """
        transport = Transport(instance.url, concurrent_calls=1)
        limit, soon = {"sysparm_limit": "1"}, Deadline(deadline.within(_SECONDS))
        answer = transport.send("GET", _PATH, person_id=None, deadline=soon, params=limit)
        try:
            read_answer("GET", answer.status, answer.headers, answer.body)
        except CredentialsRefused as refusal:
            if refusal.foreign:
                raise NoInstance(refusal.log_message) from refusal
        except _NOT_AS_SERVICENOW as error:
            raise NoInstance(error.log_message) from error
        else:
            raise NoInstance("a table is readable without credentials")
        oauth = OAuthClient(
            transport,
            client_id=instance.client_id,
            client_secret=instance.client_secret,
            redirect_address=self._redirect_address,
            fingerprint_key=b"unused",
            clock=self._clock,
        )
        if tokens is not None and tokens.refresh_token:
            try:
                oauth.refresh(tokens, deadline)
            except OAuthRefused:
                return Proof.REFUSED
            return Proof.PROVEN
        _endpoint_answers(transport, instance, deadline)
        return Proof.NONE


def _endpoint_answers(transport: Transport, instance: Instance, deadline: Deadline) -> None:
    """
    Check that there is a token endpoint. ServiceNow rejects a made-up refresh token in the same way for valid and
    invalid clients (API reference §4.4), so this says nothing about the client.
    """
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "none",
        "client_id": instance.client_id,
        "client_secret": instance.client_secret,
    }
    soon = Deadline(deadline.within(_SECONDS))
    answer = transport.send("POST", "/oauth_token.do", person_id=None, deadline=soon, form=form)
    try:
        read_token_answer(answer.status, answer.headers, answer.body)
    except Misdirected as error:
        raise NoInstance(f"token endpoint: {error}") from error
