"""
A live token of the bot for work outside a call (design §4).

Calls carry a session of the bot that lives ten minutes. If there is no permanent token and the newest session is old or
rejected, we send a wake-up: a POST to our own webhook at the Apps framework. The framework then calls us with a live
session (protocol reference §9).
"""

import hmac
import threading
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import structlog

from core.accounts import BotTokenHealth, Installation
from core.errors import NotVerified, StorageFailed
from core.storage_ports import Installations
from core.times import Clock, Deadline
from core.upstream_errors import MattermostError, MattermostRefused, MattermostSilent
from mattermost.client import APP_ID, MattermostClient
from mattermost.paths import apps_plugin

log = structlog.get_logger(__name__)

WAKE_UP = "wake-up"  # the segment behind the framework's webhook path
OLD_SECONDS = 540.0  # of the ten minutes that a session lives
_WAIT_SECONDS = 5.0
_WEBHOOK = apps_plugin("apps", APP_ID, "webhook", WAKE_UP)


class NoBotToken(MattermostSilent):
    """There is no bot token that Mattermost accepts."""

    user_message = "The bot can't post right now. Ask an administrator to look at `/servicenow status`."


class BotTokens:
    """
    Provides the bot's token, and wakes the framework up when it needs a new one.

    Args:
        lasting: `MATTERMOST_BOT_TOKEN`, or "".
        wait: Seconds to wait for the framework's call after a wake-up.
    """

    def __init__(
        self,
        client: MattermostClient,
        installations: Installations,
        clock: Clock,
        lasting: str,
        wait: float = _WAIT_SECONDS,
    ) -> None:
        self._client = client
        self.installations = installations
        self._clock = clock
        self._lasting = lasting
        self._wait = wait
        self._changed = threading.Condition()
        self._waking = threading.Lock()
        self._changing = threading.Lock()
        self._refused: set[str] = set()
        self._seen: tuple[str, float] = ("", 0.0)  # newest session, and when a call last carried it
        self._calls = 0
        self._trouble = ""

    @property
    def bot_user_id(self) -> str:
        """The id of the pinned bot. Raises NoBotToken before the app is installed."""
        installation = self.installations.get()
        if installation is None:
            raise NoBotToken("not installed in Mattermost yet")
        return installation.bot_user_id

    def seen(self, token: str) -> None:
        """
        Remember the session of a verified call, which lives for at least five more minutes.

        A new one is stored. If that fails, the call still succeeds.
        """
        now = self._clock()
        with self._changed:
            self._seen = token, now
            self._calls += 1
            self._refused.discard(token)
            self._trouble = ""
            self._changed.notify_all()
        installation = self.installations.get()
        if installation is None or token == installation.bot_token:
            return
        try:
            self._change(bot_token=token, bot_token_seen_at=now)
        except StorageFailed as error:
            log.warning("newest bot session not stored", reason=error.log_message)

    def current(self) -> str:
        """
        A token that should be live.

        Raises:
            NoBotToken: No token is known and the wake-up brought none, or the app is turned off.
        """
        if self.turned_off_at:
            raise NoBotToken("an administrator turned the app off")
        if self._lasting and self._lasting not in self._refused:
            return self._lasting
        token, at = self._newest()
        age = self._clock() - at
        if token and token not in self._refused and 0 <= age < OLD_SECONDS:
            return token
        return self._woken()

    def renew(self) -> None:
        """
        Get the framework's newest session, even if the known one looks live.

        Raises:
            NoBotToken: The framework didn't call.
        """
        self._woken()

    def refused(self, token: str) -> None:
        """Mattermost answered 401 to *token*."""
        if token == self._lasting and token not in self._refused:
            log.error("MATTERMOST_BOT_TOKEN is refused by Mattermost")
        with self._changed:
            self._refused.add(token)

    @property
    def checks(self) -> dict[str, Callable[[], None]]:
        """For `/readyz`, without a request. Each raises NoBotToken while its part doesn't work."""
        return {"installation": self._check_installed, "bot token": self._check_token}

    def _check_installed(self) -> None:
        if self.installations.get() is None:
            raise NoBotToken("not installed in Mattermost yet")

    def _check_token(self) -> None:
        if self._trouble:
            raise NoBotToken(self._trouble)

    def health(self) -> BotTokenHealth:
        """The state of the token, from memory."""
        return BotTokenHealth(
            lasting=bool(self._lasting),
            refused=self._lasting in self._refused,
            seen_at=self._newest()[1],
            trouble=self._trouble,
        )

    def check_wake_up(self, named: str, query: str) -> None:
        """
        Verify that a call of the framework's webhook is our own wake-up.

        Args:
            named: The user that the framework's token names. For a webhook, that is the bot.
            query: The webhook's query string.

        Raises:
            NotVerified: It isn't.
        """
        installation = self.installations.get()
        given = parse_qs(query).get("secret", [""])[0]
        if installation is None or not installation.webhook_secret or named != installation.bot_user_id:
            raise NotVerified("webhook: not in the bot's name")
        if not hmac.compare_digest(given.encode(), installation.webhook_secret.encode()):
            raise NotVerified("webhook: another secret")

    def webhook_secret(self, secret: str) -> None:
        """Store the framework's webhook secret from an administrator's verified call. Raises StorageFailed."""
        installation = self.installations.get()
        if installation is not None and installation.webhook_secret != secret:
            self._change(webhook_secret=secret)

    @property
    def turned_off_at(self) -> float:
        """When an administrator disabled or uninstalled the app, Unix seconds; 0.0 while it is on."""
        installation = self.installations.get()
        return installation.turned_off_at if installation is not None else 0.0

    def turn(self, *, on: bool) -> None:
        """An administrator enabled the app, or disabled or uninstalled it. Raises StorageFailed."""
        if bool(self.turned_off_at) is on:
            self._change(turned_off_at=0.0 if on else self._clock())
            log.info("app turned on" if on else "app turned off")

    def framework_refuses(self) -> bool:
        """Whether the framework says that the app is disabled or not installed. Raises MattermostSilent."""
        try:
            # HEAD checks whether a webhook would be accepted, without sending one (protocol reference §9).
            self._client.request("HEAD", _WEBHOOK, token="", deadline=Deadline(_WAIT_SECONDS))
        except MattermostRefused as error:
            return error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
        return False

    def install(self, installation: Installation) -> None:
        """Pin the bot, replacing an earlier one. Raises StorageFailed."""
        with self._changing:
            self.installations.put(installation)

    def _change(self, **columns: Any) -> None:
        """Change these columns of the installation. Other threads may change others concurrently."""
        with self._changing:
            installation = self.installations.get()
            if installation is not None:
                self.installations.put(replace(installation, **columns))

    def _newest(self) -> tuple[str, float]:
        installation = self.installations.get()
        stored = (installation.bot_token, installation.bot_token_seen_at) if installation else ("", 0.0)
        return max(self._seen, stored, key=lambda one: one[1])

    def _woken(self) -> str:
        with self._waking:
            try:
                return self._wake()
            except MattermostError as error:
                if not self._trouble:
                    log.error("the bot has no live token", reason=error.log_message)
                self._trouble = error.log_message
                raise

    def _wake(self) -> str:
        installation = self.installations.get()
        if installation is None or not installation.webhook_secret:
            raise NoBotToken("no webhook secret of the framework is known")
        with self._changed:
            before = self._calls
        try:
            self._call_ourselves(installation.webhook_secret)
        except MattermostRefused as error:
            raise NoBotToken(f"wake-up refused: {error}") from error
        with self._changed:
            if not self._changed.wait_for(lambda: self._calls > before, self._wait):
                raise NoBotToken("the framework did not call back")
            token = self._seen[0]
        if token in self._refused:
            raise NoBotToken("the framework's newest session is refused")
        return token

    def _call_ourselves(self, secret: str) -> None:
        empty: dict[str, Any] = {}
        self._client.request("POST", _WEBHOOK, token="", deadline=Deadline(10.0), params={"secret": secret}, json=empty)
