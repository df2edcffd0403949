"""
Provides a person's live access token. It is refreshed early, by one thread at a time, and stored before it is used.

ServiceNow answers a revoked token, an expired one and a wrong client secret in the same way. So a rejected refresh only
suspends the account, and nothing is deleted (design §4). A 401 to a token that was just refreshed can be temporary. It
suspends the account only if it repeats for minutes.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from core.accounts import Account, Tokens
from core.errors import NotConnected, StorageFailed, Suspended
from core.storage_ports import Accounts
from core.times import Clock, Deadline
from core.upstream_errors import CallLimitReached, OAuthRefused, TokenRefused

log = structlog.get_logger(__name__)

EARLY_SECONDS = 60.0
SUSPEND_AFTER = 180.0  # seconds between the first and the last of the 401s that suspend an account
_SAME_RUN = 1800.0  # seconds between two 401s that belong together


@dataclass(frozen=True)
class _Refusals:
    """401s to new tokens of one person, without an accepted call in between."""

    first: float
    last: float


class TokenRefresher(Protocol):
    """The part of `servicenow.oauth.OAuthClient` that tokens need. Tests have their own."""

    @property
    def client_fingerprint(self) -> str: ...

    def refresh(self, tokens: Tokens, deadline: Deadline | None = None) -> Tokens: ...


class TokenManager:
    """
    Args:
        instance: The configured origin. Accounts of another one are suspended.
        connect_address: The page for connecting, which the error messages link to.
        on_client_suspect: Called once when the refreshes of two people are rejected early without a success in
            between, because then the OAuth client is probably wrong.
    """

    def __init__(
        self,
        accounts: Accounts,
        oauth: TokenRefresher,
        *,
        instance: str,
        connect_address: str,
        clock: Clock,
        on_client_suspect: Callable[[], None],
    ) -> None:
        self._accounts = accounts
        self._oauth = oauth
        self._instance = instance
        self._connect_address = connect_address
        self._clock = clock
        self._on_client_suspect = on_client_suspect
        self._locks: dict[str, threading.Lock] = {}
        self._fresh: dict[str, Account] = {}  # refreshed but not stored, so lost with a restart
        self._refusals: dict[str, _Refusals] = {}
        self._refused_people: set[str] = set()
        self._told_administrators = False
        self._lock = threading.Lock()

    def bearer(self, person_id: str, deadline: Deadline) -> str:
        """
        An access token that lives for at least another minute.

        Raises:
            NotConnected, Suspended: The person has to connect or reconnect.
            ServiceNowError: The token had to be refreshed, and ServiceNow didn't answer. Nothing was changed.
        """
        account = self._usable(person_id)
        return account.tokens.access_token if self._alive(account) else self._refreshed(person_id, "", deadline)

    def renew(self, person_id: str, refused_token: str, deadline: Deadline) -> str:
        """A new token in place of *refused_token*, which got a 401. Raises as `bearer`."""
        return self._refreshed(person_id, refused_token, deadline)

    def refused_again(self, person_id: str, refused_token: str) -> TokenRefused | Suspended:
        """
        The error to raise after a 401 to *refused_token*, which was just refreshed.

        Suspends the account if such 401s have lasted for `SUSPEND_AFTER` without an accepted call in between.
        """
        now = self._clock()
        with self._lock:
            known = self._refusals.get(person_id)
            first = known.first if known is not None and now - known.last <= _SAME_RUN else now
            self._refusals[person_id] = _Refusals(first, now)
        if now - first < SUSPEND_AFTER:
            return TokenRefused("401 to a token that was just refreshed")
        self.accepted(person_id)
        with self._lock_of(person_id):
            account = self._newest(person_id)
            if account is not None and account.tokens.access_token == refused_token:
                self._suspend(account)
        return Suspended("fresh tokens refused for minutes", self._connect_address)

    def accepted(self, person_id: str) -> None:
        """ServiceNow accepted a token of *person_id*, so earlier 401s don't count anymore."""
        if person_id in self._refusals:
            with self._lock:
                self._refusals.pop(person_id, None)

    def _refreshed(self, person_id: str, refused_token: str, deadline: Deadline) -> str:
        lock = self._lock_of(person_id)
        if not lock.acquire(timeout=deadline.left()):
            raise CallLimitReached("another call refreshes this token and has no answer yet")
        try:
            account = self._usable(person_id)
            if account.tokens.access_token != refused_token and self._alive(account):
                return account.tokens.access_token  # another thread refreshed it while this one waited
            try:
                tokens = self._oauth.refresh(account.tokens, deadline)
            except OAuthRefused as refusal:
                return self._after_refusal(account, refusal)
            return self._store(account, tokens)
        finally:
            lock.release()

    def _store(self, account: Account, tokens: Tokens) -> str:
        renewed = replace(account, tokens=tokens, suspended=False, suspended_client="", version=account.version + 1)
        self._succeeded()
        if self._accounts.get(account.person_id) is None:
            # The person disconnected meanwhile. Storing would connect them again.
            raise NotConnected("disconnected during a refresh", self._connect_address)
        try:
            if not self._accounts.put(renewed):
                return self._usable(account.person_id).tokens.access_token  # another process was faster
            self._fresh.pop(account.person_id, None)
        except StorageFailed as error:
            log.error("refreshed token not stored", person=account.person_id, reason=error.log_message)
            self._fresh[account.person_id] = renewed
        return tokens.access_token

    def _after_refusal(self, account: Account, refusal: OAuthRefused) -> str:
        """Use the stored token if another process refreshed it or the person reconnected. Otherwise suspend."""
        stored = self._accounts.get(account.person_id)
        if stored is None:
            raise NotConnected("disconnected during a refresh", self._connect_address) from refusal
        if stored.version > account.version and self._alive(stored):
            return stored.tokens.access_token
        self._suspend(account)
        if self._clock() < account.tokens.ends_at:
            self._refused(account.person_id)
        raise Suspended(f"refresh refused: {refusal}", self._connect_address) from refusal

    def _suspend(self, account: Account) -> None:
        log.warning("account suspended", person=account.person_id)
        self._fresh.pop(account.person_id, None)
        suspended = replace(
            account, suspended=True, suspended_client=self._oauth.client_fingerprint, version=account.version + 1
        )
        try:
            self._accounts.put(suspended)
        except StorageFailed as error:  # the next call tries again
            log.error("suspension not stored", person=account.person_id, reason=error.log_message)

    def _newest(self, person_id: str) -> Account | None:
        stored, fresh = self._accounts.get(person_id), self._fresh.get(person_id)
        if fresh is None:
            return stored
        if stored is not None and stored.version < fresh.version:
            return fresh
        self._fresh.pop(person_id, None)  # the person has disconnected or reconnected
        return stored

    def _usable(self, person_id: str) -> Account:
        """The newest account. Raises NotConnected or Suspended if the person has to connect."""
        account = self._newest(person_id)
        if account is None:
            raise NotConnected("no account", self._connect_address)
        if account.instance != self._instance:
            raise Suspended("account of another instance", self._connect_address)
        if account.suspended and account.suspended_client == self._oauth.client_fingerprint:
            raise Suspended("account is suspended", self._connect_address)
        return account

    def _alive(self, account: Account) -> bool:
        return not account.suspended and account.tokens.expires_at - self._clock() > EARLY_SECONDS

    def _lock_of(self, person_id: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(person_id, threading.Lock())

    def _succeeded(self) -> None:
        with self._lock:
            self._refused_people.clear()
            self._told_administrators = False

    def _refused(self, person_id: str) -> None:
        with self._lock:
            self._refused_people.add(person_id)
            tell = len(self._refused_people) > 1 and not self._told_administrators
            self._told_administrators = self._told_administrators or tell
        if tell:
            log.error("refreshes of several people refused: check the OAuth client")
            self._on_client_suspect()
