"""
A live access token for a person: refreshed early, once for all who wait, stored before it is used.

ServiceNow refuses a revoked token, an expired one and a wrong client secret with the same words, so a
refused refresh only suspends the account; nothing is deleted (design §4).
"""

import threading
from collections.abc import Callable
from dataclasses import replace

import structlog

from core.accounts import Account, Tokens
from core.errors import NotConnected, OAuthRefused, StorageFailed, Suspended
from core.ports import Accounts, Clock, OAuth

log = structlog.get_logger(__name__)

EARLY_SECONDS = 60.0


class TokenKeeper:
    """
    Args:
        instance: Origin in force; accounts of another one are suspended.
        connect_address: Where a person connects; stands in the words of the errors.
        on_client_suspect: Called once when refreshes of two people are refused before their time with
            no success in between, which points at the OAuth client.
    """

    def __init__(
        self,
        accounts: Accounts,
        oauth: OAuth,
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
        self._fresh: dict[str, Account] = {}  # refreshed, but storage failed: good until the restart
        self._refused_people: set[str] = set()
        self._told_administrators = False
        self._lock = threading.Lock()

    def bearer(self, person_id: str) -> str:
        """
        An access token that lives for another minute at least.

        Raises:
            NotConnected, Suspended: The person has to connect (again).
            ServiceNowError: A refresh was needed and went unanswered; nothing was changed.
        """
        account = self._usable(person_id)
        if not account.suspended and account.tokens.expires_at - self._clock() > EARLY_SECONDS:
            return account.tokens.access_token
        return self._refreshed(person_id, account.tokens.access_token)

    def renew(self, person_id: str, refused_token: str) -> str:
        """Another token than *refused_token*, which ServiceNow answered with 401. Raises as `bearer`."""
        return self._refreshed(person_id, refused_token)

    def suspend(self, person_id: str) -> Suspended:
        """401 right after a good refresh: suspend, and return what to raise."""
        account = self._accounts.get(person_id)
        if account is not None:
            self._suspend(account)
        return Suspended("refused with a fresh token", self._connect_address)

    def _refreshed(self, person_id: str, refused_token: str) -> str:
        with self._lock_of(person_id):
            account = self._usable(person_id)
            alive = account.tokens.expires_at - self._clock() > EARLY_SECONDS
            if account.tokens.access_token != refused_token and alive and not account.suspended:
                return account.tokens.access_token  # whoever held the lock before did it for all
            try:
                tokens = self._oauth.refresh(account.tokens)
            except OAuthRefused as refusal:
                return self._after_refusal(account, refusal)
            return self._store(account, tokens)

    def _store(self, account: Account, tokens: Tokens) -> str:
        renewed = replace(account, tokens=tokens, suspended=False, suspended_client="", version=account.version + 1)
        self._succeeded()
        try:
            if not self._accounts.put(renewed):
                newer = self._usable(account.person_id)  # another process was faster; its token is as good
                return newer.tokens.access_token
            self._fresh.pop(account.person_id, None)
        except StorageFailed as error:
            log.error("refreshed token not stored", person=account.person_id, reason=str(error))
            self._fresh[account.person_id] = renewed
        return tokens.access_token

    def _after_refusal(self, account: Account, refusal: OAuthRefused) -> str:
        now_stored = self._accounts.get(account.person_id)
        if now_stored is not None and now_stored.version != account.version and not now_stored.suspended:
            return now_stored.tokens.access_token
        self._suspend(account)
        raise Suspended(f"refresh refused: {refusal}", self._connect_address) from refusal

    def _suspend(self, account: Account) -> None:
        log.warning("account suspended", person=account.person_id)
        self._fresh.pop(account.person_id, None)
        suspended = replace(
            account,
            suspended=True,
            suspended_client=self._oauth.client_fingerprint,
            version=account.version + 1,
        )
        self._accounts.put(suspended)
        if self._clock() < account.tokens.ends_at:
            self._failed(account.person_id)

    def _usable(self, person_id: str) -> Account:
        """The newest account; one that waits for the person to connect again is raised as such."""
        account = self._fresh.get(person_id) or self._accounts.get(person_id)
        if account is None:
            raise NotConnected("no account", self._connect_address)
        if account.instance != self._instance:
            raise Suspended("account of another instance", self._connect_address)
        if account.suspended and account.suspended_client == self._oauth.client_fingerprint:
            raise Suspended("account is suspended", self._connect_address)
        return account

    def _lock_of(self, person_id: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(person_id, threading.Lock())

    def _succeeded(self) -> None:
        with self._lock:
            self._refused_people.clear()
            self._told_administrators = False

    def _failed(self, person_id: str) -> None:
        with self._lock:
            self._refused_people.add(person_id)
            tell = len(self._refused_people) > 1 and not self._told_administrators
            self._told_administrators = self._told_administrators or tell
        if tell:
            self._on_client_suspect()
