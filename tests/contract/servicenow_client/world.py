"""Helpers for the client's tests: the double and the clients that talk to it."""

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from core.accounts import Account, Tokens
from core.times import Deadline
from sandbox.servicenow import ServiceNowDouble
from servicenow.client import ServiceNowClient, ServiceNowClients
from servicenow.columns import ColumnCache
from servicenow.oauth import OAuthClient
from servicenow.tokens import TokenManager
from servicenow.transport import Transport

REDIRECT = "http://chat.example/plugins/com.mattermost.apps/apps/servicenow/oauth2/remote/complete"
VERIFIER = "v" * 43
INSERT = {"short_description": "Printer burns", "correlation_id": "0123456789abcdef", "urgency": "1", "impact": "1"}
FORM_SECONDS = 8.0


class MemoryAccounts:
    """Accounts in memory, with the rule about versions of `core.storage_ports.Accounts`."""

    def __init__(self) -> None:
        self.kept: dict[str, Account] = {}

    def get(self, person_id: str) -> Account | None:
        """What is stored."""
        return self.kept.get(person_id)

    def put(self, account: Account) -> bool:
        """Only a newer version wins."""
        stored = self.kept.get(account.person_id)
        if stored is not None and stored.version >= account.version:
            return False
        self.kept[account.person_id] = account
        return True

    def delete(self, person_id: str) -> None:
        """Delete it."""
        self.kept.pop(person_id, None)

    def person_of(self, user_sys_id: str) -> str:
        """By the sys_id of the linked user."""
        return next((one.person_id for one in self.kept.values() if one.identity.sys_id == user_sys_id), "")

    def all(self) -> Sequence[Account]:
        """All."""
        return list(self.kept.values())


class World:
    """The double and the clients that talk to it, with the same clock."""

    def __init__(self, double: ServiceNowDouble) -> None:
        self.double = double
        self.offset = 0.0
        double.store.insert(
            "oauth_entity",
            {"name": "Mattermost", "client_id": "c" * 32, "client_secret": "hush", "redirect_url": REDIRECT},
            "system",
        )
        self.accounts = MemoryAccounts()
        self.transport = Transport(double.url, concurrent_calls=24)
        self.oauth = self.oauth_client()
        self.tokens = TokenManager(
            self.accounts,
            self.oauth,
            instance=double.url,
            connect_address="http://chat.example/connect",
            clock=self.clock,
            on_client_suspect=lambda: None,
        )
        self.clients = ServiceNowClients(
            self.transport, self.tokens, self.accounts, ColumnCache(self.clock), self.clock
        )

    def clock(self) -> float:
        """Unix seconds."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass in both."""
        self.offset += seconds
        self.double.advance(seconds)

    def oauth_client(self, secret: str = "hush") -> OAuthClient:
        """A client of the registered application."""
        return OAuthClient(
            self.transport,
            client_id="c" * 32,
            client_secret=secret,
            redirect_address=REDIRECT,
            fingerprint_key=b"key",
            clock=self.clock,
        )

    def code(self, name: str) -> str:
        """Sign in and consent with a browser as *name*; returns the code."""
        address = self.oauth.authorization_address("state-1", VERIFIER)
        with requests.Session() as browser:
            login = browser.get(address, timeout=5).url
            browser.post(login, data={"user_name": name, "user_password": "sandbox-1"}, timeout=5)
            answer = browser.post(address, data={"allow": "1"}, allow_redirects=False, timeout=5)
        back = answer.headers["Location"]
        assert back.startswith(REDIRECT)
        given = parse_qs(urlsplit(back).query)
        assert given["state"] == ["state-1"]
        return given["code"][0]

    def connect(self, name: str) -> Tokens:
        """Connect *name* and forget the requests."""
        tokens = self.oauth.exchange(self.code(name), VERIFIER)
        identity = self.oauth.identify(tokens)
        self.accounts.put(
            Account(
                person_id=name,
                instance=self.double.url,
                tokens=tokens,
                identity=identity,
                connected_at=self.clock(),
            )
        )
        self.double.clear_requests()
        return tokens

    def client(self, name: str = "agent", seconds: float = FORM_SECONDS) -> ServiceNowClient:
        """A client for one call of *name*, connected if necessary."""
        if name not in self.accounts.kept:
            self.connect(name)
        return self.clients.client_for(name, Deadline(seconds))

    def asked(self, method: str, path: str) -> list[dict[str, Any]]:
        """Requests that arrived."""
        return [r for r in self.double.requests() if r["method"] == method and r["path"].startswith(path)]

    def printers(self) -> list[dict[str, str]]:
        """The rows that `INSERT` made."""
        return [row for row in self.double.rows("incident") if row["short_description"] == "Printer burns"]
