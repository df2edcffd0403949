"""
Verify who sent a request of the Apps framework, before anything else of it is used.

Two proofs are required (design §4). If both are valid, the framework itself filled in the request's context.
"""

import hmac
from dataclasses import dataclass, field

import structlog
from flask import Request

from core.accounts import Installation
from core.calls import Person
from core.errors import AdministratorsOnly, NotVerified, OtherSecret, TooManyRequests, UnknownRequest
from core.times import Clock
from mattermost.apps_framework import CallRequest, read, read_asker
from mattermost.bot_tokens import BotTokens
from mattermost.proofs import HEADER, acting_user_id
from mattermost.token_owners import TokenOwners
from web.background import Background, Every
from web.errors import mark_verified
from web.payload import json_body

_INSTALL_AGAIN = (
    "The JWT secret that was entered is not the value of `MATTERMOST_APP_JWT_SECRET`, so the app doesn't work yet. "
    "Install it again with that secret; installing over it fixes this."
)
_RENEWAL_SECONDS = 5.0
_ENABLED_SECONDS = 360.0  # longer than a bot's session that was checked before is taken for live

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Caller:
    """A verified person, and the request with its sessions."""

    person: Person
    request: CallRequest = field(repr=False)


class Verifier:
    """Verifies requests as described in design §4, "Apps host"."""

    def __init__(
        self, jwt_secret: str, owners: TokenOwners, tokens: BotTokens, background: Background, clock: Clock
    ) -> None:
        self._jwt_secret = jwt_secret
        self._installations = tokens.installations
        self._owners = owners
        self._tokens = tokens
        self._background = background
        self._renewals = Every(_RENEWAL_SECONDS, clock)
        self._clock = clock

    def bindings(self, request: Request) -> Caller:
        """Require only the framework's token, because menus reveal and change nothing else."""
        person_id = self._token_person_id(request)
        return self._caller(person_id, read_asker(json_body(request)))

    def call(self, request: Request) -> Caller:
        """
        Require both proofs, for everything that shows or changes something.

        Raises:
            NotVerified: One of them is missing or invalid, or no bot is pinned yet.
            MattermostSilent, TooManyRequests: Mattermost couldn't be asked for the token's owner.
        """
        person_id = self._token_person_id(request)
        caller = self._caller(person_id, read(json_body(request)))
        token = caller.request.bot_access_token
        self._check_bot(token, person_id)
        mark_verified()
        self._tokens.seen(token)
        off_at = self._tokens.turned_off_at
        if off_at and self._clock() - off_at > _ENABLED_SECONDS:
            # The bot of a disabled app has no session, so the app was enabled while this service wasn't running.
            self._tokens.turn(on=True)
        if caller.person.administrator and caller.request.webhook_secret:
            self._tokens.webhook_secret(caller.request.webhook_secret)
        return caller

    def turned_on(self, request: Request) -> Caller:
        """An administrator enabled the app. Raises as `framework`, and AdministratorsOnly."""
        caller = self.framework(request)
        if not caller.person.administrator:
            raise AdministratorsOnly("lifecycle call by an ordinary user")
        self._owners.forget()
        self._tokens.turn(on=True)
        return caller

    def turned_off(self, request: Request, *, removed: bool) -> None:
        """
        An administrator disabled the app, or *removed* it.

        These calls have no acting user, because a disabled app can't be uninstalled if its calls expand anything. The
        framework makes them only for administrators and blocks their exact paths for everyone else, so the proofs are
        the bot's session and the path. If the app was already disabled, the session has ended, and the framework is
        asked instead.

        Raises:
            AdministratorsOnly: There is an acting user, who isn't an administrator.
            NotVerified, UnknownRequest: As `framework`.
        """
        named = acting_user_id(request.headers.get(HEADER, ""), self._jwt_secret, self._clock(), nobody=True)
        incoming = read(json_body(request))
        _check_path(request, incoming)
        # An app that was installed with an older manifest sends an acting user.
        has_acting_user = named or incoming.acting_user is not None
        caller = self._caller(named, incoming) if has_acting_user else None
        try:
            self._check_bot(incoming.bot_access_token, named)
        except NotVerified:
            if not (removed and self._renewals.due() and self._tokens.framework_refuses()):
                raise
        if caller is not None and not caller.person.administrator:
            raise AdministratorsOnly("lifecycle call by an ordinary user")
        self._owners.forget()
        self._tokens.turn(on=False)

    def framework(self, request: Request) -> Caller:
        """
        Require both proofs for a path that only the framework itself calls, such as OAuth.

        Raises:
            UnknownRequest: A person made the framework call it, with another spelling of the path.
        """
        caller = self.call(request)
        _check_path(request, caller.request)
        return caller

    def installation(self, request: Request) -> Caller:
        """
        Pin the bot at an installation.

        Mattermost must say that the acting user's session is a system administrator's. Ordinary users can know the JWT
        secret, but have no such session.
        """
        try:
            person_id = self._token_person_id(request)
        except OtherSecret as error:
            raise OtherSecret(error.log_message, _INSTALL_AGAIN) from error
        caller = self._caller(person_id, read(json_body(request)))
        _check_path(request, caller.request)
        owner = self._owners.owner(caller.request.acting_user_access_token, asker=person_id, fresh=True)
        if owner.user_id != person_id or owner.is_bot or not owner.administrator:
            raise AdministratorsOnly("installation without an administrator's session")
        # Earlier sessions may have ended, so don't use cached answers.
        self._owners.forget()
        mark_verified()
        bot = self._owners.owner(caller.request.bot_access_token, asker=person_id, trusted=True)
        if not bot.is_bot:
            raise NotVerified("the bot's token is no bot's")
        self._tokens.install(
            Installation(
                bot_user_id=bot.user_id,
                installed_by=person_id,
                bot_token=caller.request.bot_access_token,
                bot_token_seen_at=self._clock(),
                webhook_secret=caller.request.webhook_secret,
            )
        )
        log.info("installed", by=person_id, bot=bot.user_id)
        return caller

    def wake_up(self, request: Request) -> None:
        """
        The framework's call in answer to our request of its webhook. It contains a live session of the bot.

        There is no acting user. The framework's token names the bot, and the address contains our secret.
        """
        if self._installations.get() is None:
            raise NotVerified("nothing is installed")
        named = self._token_person_id(request)
        incoming = read(json_body(request))
        self._tokens.check_wake_up(named, str(incoming.values.get("rawQuery", "")))
        token = incoming.bot_access_token
        # The request contains our secret, so its token is checked even during a flood of other tokens.
        if self._owners.owner(token, asker=named, trusted=True).user_id != named:
            raise NotVerified("not the pinned bot's token")
        mark_verified()
        self._tokens.seen(token)

    def _check_bot(self, token: str, person_id: str) -> None:
        """Raises NotVerified unless *token* is a live session of the pinned bot; also as `call`."""
        installation = self._installations.get()
        if installation is None:
            raise NotVerified("nothing is installed")
        stored = hmac.compare_digest(token.encode(), installation.bot_token.encode())
        try:
            owner = self._owners.owner(token, asker=person_id, trusted=stored)
        except TooManyRequests:
            # This may be the bot's new session during a flood of false ones. A wake-up call isn't limited.
            if self._renewals.due():
                self._background.submit(self._tokens.renew)
            raise
        if owner.user_id != installation.bot_user_id:
            raise NotVerified("not the pinned bot's token")

    def _token_person_id(self, request: Request) -> str:
        return acting_user_id(request.headers.get(HEADER, ""), self._jwt_secret, self._clock())

    @staticmethod
    def _caller(person_id: str, request: CallRequest) -> Caller:
        user = request.acting_user
        if user is None or user.id != person_id:
            raise NotVerified("the framework's token is another person's")
        roles = user.roles.split()
        person = Person(
            id=user.id,
            username=user.username,
            administrator="system_admin" in roles,
            guest="system_guest" in roles,
        )
        return Caller(person, request)


def _check_path(request: Request, call: CallRequest) -> None:
    """
    Reject a call of one of the framework's own paths that a person made it send.

    The framework compares what people call with these paths exactly, and decodes and cuts it only afterwards:
    `/oauth2/connec%74` and `/oauth2/connect#x` both arrive as `/oauth2/connect`. The body contains what it compared.
    The request's raw target shows what a proxy changed.
    """
    rule = str(request.url_rule)
    targets = [request.environ[name] for name in ("RAW_URI", "REQUEST_URI") if name in request.environ]
    if call.path != rule or not targets or any(target != rule for target in targets):
        raise UnknownRequest("another spelling of a path of the framework")
