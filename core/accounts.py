"""A person's connection to ServiceNow, and the installation in Mattermost."""

from dataclasses import dataclass, field

from core.records import Identity

REFRESH_TOKEN_LIFE = 8_640_000.0  # seconds; 100 days, ServiceNow's default; a refresh doesn't extend it


@dataclass(frozen=True)
class Tokens:
    """
    OAuth tokens of one person at one instance; times are Unix seconds.

    ServiceNow never rotates the refresh token, so it expires a fixed time after ``granted_at`` (the consent).
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    granted_at: float

    @property
    def ends_at(self) -> float:
        """When the refresh token expires and the person has to connect again."""
        return self.granted_at + REFRESH_TOKEN_LIFE


@dataclass(frozen=True, kw_only=True)
class Account:
    """
    One Mattermost user's connected ServiceNow account.

    Args:
        person_id: Mattermost user id; the key.
        instance: Origin of the instance. The tokens are sent nowhere else.
        version: Counts writes. A write passes the version it read plus one and fails if a newer one is stored.
        suspended: ServiceNow refused a refresh. The tokens are kept and the person is asked to connect again.
        suspended_client: Fingerprint of the OAuth client at that time. After it changes, we try again.
        suspension_told_at, ending_told_at: When the person was last notified by direct message, 0.0 for never.
    """

    person_id: str
    instance: str
    tokens: Tokens
    identity: Identity
    connected_at: float
    version: int = 1
    suspended: bool = False
    suspended_client: str = ""
    suspension_told_at: float = 0.0
    ending_told_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """
    A sign-in at ServiceNow that is in progress.

    Args:
        person_id: The only person who can finish it.
        state: What the browser has to return.
        verifier: PKCE's code verifier, only for this sign-in.
        instance: Origin of the instance that the browser was sent to. The code is sent nowhere else.
    """

    person_id: str
    state: str
    verifier: str = field(repr=False)
    instance: str
    started_at: float


@dataclass(frozen=True, kw_only=True)
class Installation:
    """
    The app's installation in Mattermost: its bot, and the bot's newest session.

    ``bot_token`` and ``webhook_secret`` are sealed on disk. ``bot_token_seen_at`` is Unix seconds;
    a session lasts ten minutes (protocol reference §3.1). ``turned_off_at`` is Unix seconds since an
    administrator disabled or uninstalled the app, 0.0 while it is on.
    """

    bot_user_id: str
    installed_by: str
    bot_token: str = field(default="", repr=False)
    bot_token_seen_at: float = 0.0
    webhook_secret: str = field(default="", repr=False)
    turned_off_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class BotTokenHealth:
    """
    The state of the token that posts messages outside of calls.

    Args:
        lasting: Whether a token is set that doesn't expire with a session. ``refused``: Mattermost rejects it.
        seen_at: When a call last contained a session of the bot, Unix seconds; 0.0 for never.
        trouble: Why the last wake-up brought none, for the log; "" if it did.
    """

    lasting: bool
    refused: bool
    seen_at: float
    trouble: str


@dataclass(frozen=True)
class FormResult:
    """
    The result of one opened form: its answer and the record it created.

    Args:
        text: The answer; "" while the form is being submitted.
        done: Names of the writes that are done, separated by spaces.
        unanswered: JSON: writes that may have been sent, by name. Each has a digest of its content and the time (Unix
            seconds) until which we look for it and don't send it again. "" for none.
    """

    form_id: str
    person_id: str
    table: str
    sys_id: str
    number: str
    text: str
    stored_at: float
    done: str = ""
    unanswered: str = ""
