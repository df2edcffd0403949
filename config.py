"""
The settings, read once from the environment.

Every setting can also come from a file (`NAME_FILE`, for container secrets). All problems are reported together.
docs/settings.md lists every name, and a test checks that.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from environs import EnvValidationError, FileAwareEnv
from marshmallow import ValidationError, validate

from core.instance import Instance, instance_problem
from core.notices import WebhookKey


class ConfigError(Exception):
    """Settings are missing or invalid. The text has the name and problem of each, but no values."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings. URLs have no trailing slash, and times are seconds."""

    app_url: str
    mattermost_url: str
    app_secrets: tuple[str, ...] = field(repr=False)
    mattermost_app_jwt_secret: str = field(repr=False)
    mattermost_bot_token: str = field(default="", repr=False)
    servicenow_url: str = ""
    servicenow_client_id: str = ""
    servicenow_client_secret: str = field(default="", repr=False)
    servicenow_hosts: tuple[str, ...] = ()
    storage_url: str = "tinydb:///var/lib/servicenow-mattermost/data"
    listen: str = "127.0.0.1:8080"
    threads: int = 32
    graceful_timeout: int = 30
    request_timeout: int = 15
    connections_per_peer: int = 2000
    guests: bool = False
    shared_tables: tuple[str, ...] = ()
    webhook_keys: tuple[WebhookKey, ...] = field(default=(), repr=False)
    work_notes_in_channels: bool = False
    caller_optional: bool = False
    record_links: str = "classic"
    rate_limits: bool = True
    log_level: str = "info"
    log_format: str = "json"

    @property
    def servicenow_calls(self) -> int:
        """The limit of concurrent calls to ServiceNow, so that eight threads never wait for it (design §11)."""
        return self.threads - 8

    @property
    def instance(self) -> Instance:
        """The instance and OAuth client that the environment sets."""
        return Instance(
            url=self.servicenow_url,
            client_id=self.servicenow_client_id,
            client_secret=self.servicenow_client_secret,
        )

    @classmethod
    def from_env(cls) -> "Config":
        """
        Read and check the environment.

        Raises:
            ConfigError: Has all problems.
        """
        env = _Environment(eager=False, strip_whitespace=True)
        hosts: tuple[str, ...] = tuple(env.list("SERVICENOW_HOSTS", default=[], validate=_each(_origin)) or ())
        shared: list[str] = env.list("SHARED_TABLES", default=[], validate=_each(_table)) or []
        pairs: list[str] = env.list("WEBHOOK_SECRETS", default=[], validate=_webhook_secrets) or []
        values: dict[str, Any] = {
            "app_url": env.str("APP_URL", validate=_address),
            "mattermost_url": env.str("MATTERMOST_URL", validate=_address),
            "app_secrets": env.list("APP_SECRET", validate=[validate.Length(min=1), _each(_secret)]),
            "mattermost_app_jwt_secret": env.str("MATTERMOST_APP_JWT_SECRET", validate=_secret),
            "mattermost_bot_token": env.str("MATTERMOST_BOT_TOKEN", default=""),
            "servicenow_url": env.str("SERVICENOW_URL", default="", validate=_instance(hosts)),
            "servicenow_client_id": env.str("SERVICENOW_CLIENT_ID", default=""),
            "servicenow_client_secret": env.str("SERVICENOW_CLIENT_SECRET", default=""),
            "storage_url": env.str("STORAGE_URL", default=cls.storage_url),
            "listen": env.str("LISTEN", default=cls.listen, validate=_listen),
            "threads": env.int("THREADS", default=cls.threads, validate=validate.Range(min=10, max=256)),
            "graceful_timeout": env.int("GRACEFUL_TIMEOUT", default=30, validate=validate.Range(1, 600)),
            "request_timeout": env.int("REQUEST_TIMEOUT", default=15, validate=validate.Range(1, 300)),
            "connections_per_peer": env.int("CONNECTIONS_PER_PEER", default=2000, validate=validate.Range(10, 10_000)),
            "guests": env.bool("GUESTS", default=False),
            "work_notes_in_channels": env.bool("WORK_NOTES_IN_CHANNELS", default=False),
            "caller_optional": env.bool("CALLER_OPTIONAL", default=False),
            "record_links": env.str("RECORD_LINKS", default="classic", validate=validate.OneOf(_RECORD_LINKS)),
            "rate_limits": env.bool("RATE_LIMITS", default=True),
            "log_level": env.str("LOG_LEVEL", default="info", validate=validate.OneOf(_LOG_LEVELS)),
            "log_format": env.str("LOG_FORMAT", default="json", validate=validate.OneOf(["json", "console"])),
        }
        try:
            env.seal()
        except EnvValidationError as problems:
            lines = [
                f"{name}: {_sentence(text)}" for name, text in cast("dict[str, Any]", problems.error_messages).items()
            ]
            raise ConfigError("These settings need attention:\n  " + "\n  ".join(lines)) from None
        for name in ("app_url", "mattermost_url", "servicenow_url"):
            values[name] = values[name].rstrip("/")
        values["app_secrets"] = tuple(values["app_secrets"])
        values["webhook_keys"] = tuple(_webhook_key(pair) for pair in pairs)
        return cls(servicenow_hosts=hosts, shared_tables=tuple(name.strip() for name in shared), **values)


_RECORD_LINKS = ["classic", "workspace"]
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LOG_LEVELS = ["debug", "info", "warning", "error"]


class _Environment(FileAwareEnv):
    """Collects an unreadable NAME_FILE as a problem, where environs would stop."""

    def _get_value(self, env_key: str, default: Any) -> Any:
        try:
            return super()._get_value(env_key, default)
        except ValueError:
            self._errors[env_key].append(f"{env_key}_FILE points at no readable file.")
            return default


def _sentence(messages: Any) -> str:
    flat = messages if isinstance(messages, list) else [messages]
    return " ".join(str(message) for message in flat)


def _split(address: str) -> SplitResult:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise ValidationError("must be an address such as https://servicenow.example.org")
    return parts


def _origin(value: str) -> None:
    parts = _split(value)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValidationError("must have no path, such as https://servicenow.example.org")


def _address(value: str) -> None:
    parts = _split(value)
    if parts.query or parts.fragment:
        raise ValidationError("must have neither query nor fragment")


def _instance(hosts: tuple[str, ...]) -> Callable[[str], None]:
    def check(value: str) -> None:
        if value and (problem := instance_problem(value, hosts)):
            raise ValidationError(problem)

    return check


def _table(value: str) -> None:
    if not re.fullmatch(r"\s*[a-z][a-z0-9_]{0,79}\s*", value):
        raise ValidationError("must be names of tables such as u_facility_request; there are no wildcards")


def _secret(value: str) -> None:
    if len(value) < 32:
        raise ValidationError("must have at least 32 characters; make one with `openssl rand -hex 32`")


def _webhook_key(pair: str) -> WebhookKey:
    key_id, _, secret = pair.strip().partition(":")
    return WebhookKey(key_id=key_id, secret=secret, from_environment=True)


def _webhook_secrets(pairs: list[str]) -> None:
    keys = [_webhook_key(pair) for pair in pairs]
    for key in keys:
        if not _KEY_ID.fullmatch(key.key_id):
            raise ValidationError("must be pairs of KEY-ID:SECRET; a key id has 1 to 40 letters, digits, _ and -")
        if len(key.secret) < 32 or not key.secret.isascii():
            raise ValidationError("must have secrets of at least 32 ASCII characters; try `openssl rand -hex 32`")
    if len({key.key_id for key in keys}) < len(keys):
        raise ValidationError("must have another key id for every secret")


def _listen(value: str) -> None:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValidationError("must be HOST:PORT, such as 0.0.0.0:8080")


def _each(check: Callable[[str], None]) -> Callable[[list[str]], None]:
    def check_all(values: list[str]) -> None:
        for value in values:
            check(value)

    return check_all


def redacted(config: Config) -> Mapping[str, object]:
    """The settings that can be logged."""
    return {
        "app_url": config.app_url,
        "mattermost_url": config.mattermost_url,
        "servicenow_configured": not config.instance.missing,
        "storage": config.storage_url.partition(":")[0],
        "listen": config.listen,
        "threads": config.threads,
    }
