"""A person's link to ServiceNow, and what the installation in Mattermost gave us."""

from dataclasses import dataclass, field

from core.records import Identity

REFRESH_TOKEN_LIFE = 8_640_000.0  # seconds; 100 days, ServiceNow's default, never prolonged by a refresh


@dataclass(frozen=True)
class Tokens:
    """
    OAuth tokens of one person at one instance; times are Unix seconds.

    ServiceNow never rotates the refresh token, so ``granted_at`` (the consent) decides when it ends.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    granted_at: float

    @property
    def ends_at(self) -> float:
        """When the refresh token dies and the person has to connect again."""
        return self.granted_at + REFRESH_TOKEN_LIFE


@dataclass(frozen=True, kw_only=True)
class Account:
    """
    One Mattermost user's linked ServiceNow account.

    Args:
        person_id: Mattermost user id; the key.
        instance: Origin of the instance; the tokens go nowhere else.
        version: Counts writes. A write states the version it was read at plus one, and loses against a newer.
        suspended: ServiceNow refused a refresh; the tokens are kept, the person is asked to connect again.
        suspended_client: Fingerprint of the OAuth client in force then; another one is a reason to try again.
        suspension_told_at, ending_told_at: When the person was last told by direct message, 0.0 for never.
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
    A sign-in at ServiceNow that somebody started and has not come back from.

    Args:
        person_id: Whose it is; nobody else can finish it.
        state: What the browser has to bring back.
        verifier: The secret half of PKCE, made for this sign-in alone.
        instance: Origin of the instance that the browser was sent to; the code goes nowhere else.
    """

    person_id: str
    state: str
    verifier: str = field(repr=False)
    instance: str
    started_at: float


@dataclass(frozen=True, kw_only=True)
class Installation:
    """
    What Mattermost gave us: whose bot we are, and the newest live session of it.

    ``bot_token`` and ``webhook_secret`` are sealed on disk. ``bot_token_seen_at`` is Unix seconds;
    such a session lives ten minutes (protocol reference §3.1). ``turned_off_at`` is Unix seconds since an
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
    What messages outside any call are posted with.

    Args:
        lasting: Whether a token is set that does not end with a session; ``refused``: Mattermost refuses it.
        seen_at: When a call last brought a session of the bot, Unix seconds; 0.0 for never.
        trouble: Why the last wake-up brought none, for the log; "" where it did.
    """

    lasting: bool
    refused: bool
    seen_at: float
    trouble: str


@dataclass(frozen=True)
class FormResult:
    """
    What became of one opened form: the answer it got, and the record it made.

    Args:
        text: The answer; "" while the form is being submitted.
        done: Names of the writes that are done, separated by blanks.
        unanswered: JSON: writes that may have been sent, by name, each with a digest of what it sent and the time
            (Unix seconds) until which it is looked for and not sent again; "" for none.
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
