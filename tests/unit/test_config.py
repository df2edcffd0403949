"""Settings: all problems in one message, secrets from files, and no secret shown."""

from pathlib import Path

import pytest

from config import Config, ConfigError

GOOD = {
    "APP_URL": "https://servicenow.example.org/",
    "MATTERMOST_URL": "https://chat.example.org",
    "APP_SECRET": "a" * 32 + "," + "b" * 32,
    "MATTERMOST_APP_JWT_SECRET": "j" * 32,
    "SERVICENOW_URL": "https://acme.service-now.com",
    "SERVICENOW_CLIENT_ID": "id",
    "SERVICENOW_CLIENT_SECRET": "hush-hush",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Only the valid settings."""
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_valid_settings_are_read(environment: pytest.MonkeyPatch) -> None:
    """Addresses lose their trailing slash, secrets become a list, and defaults apply."""
    config = Config.from_env()
    assert config.app_url == "https://servicenow.example.org"
    assert config.app_secrets == ("a" * 32, "b" * 32)
    assert config.instance.missing == ()
    assert config.threads == 32
    assert config.rate_limits


def test_no_secret_is_shown(environment: pytest.MonkeyPatch) -> None:
    """Printing the settings shows none of them."""
    environment.setenv("MATTERMOST_BOT_TOKEN", "bot-token-text")
    text = repr(Config.from_env())
    assert not [secret for secret in ("aaaa", "jjjj", "hush-hush", "bot-token-text") if secret in text]


def test_all_problems_are_reported_together_without_values(environment: pytest.MonkeyPatch) -> None:
    """One message names each setting and what is wrong."""
    environment.delenv("APP_URL")
    environment.setenv("APP_SECRET", "short-secret")
    environment.setenv("THREADS", "many")
    environment.setenv("LISTEN", "nowhere")
    environment.setenv("SERVICENOW_URL", "http://evil.example")
    environment.setenv("MATTERMOST_APP_JWT_SECRET_FILE", "/no/such/file")
    with pytest.raises(ConfigError) as problem:
        Config.from_env()
    text = str(problem.value)
    for name in ("APP_URL", "APP_SECRET", "THREADS", "LISTEN", "SERVICENOW_URL", "MATTERMOST_APP_JWT_SECRET"):
        assert name in text
    assert "short-secret" not in text


def test_a_secret_can_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`NAME_FILE` names it; the line break isn't part of the secret."""
    path = tmp_path / "secret"
    path.write_text("f" * 32 + "\n")
    environment.delenv("MATTERMOST_APP_JWT_SECRET")
    environment.setenv("MATTERMOST_APP_JWT_SECRET_FILE", str(path))
    assert Config.from_env().mattermost_app_jwt_secret == "f" * 32


def test_tables_are_shared_by_exact_name(environment: pytest.MonkeyPatch) -> None:
    """A wildcard would share tables that nobody considered."""
    environment.setenv("SHARED_TABLES", "u_facility_request, sn_hr_core_case")
    assert Config.from_env().shared_tables == ("u_facility_request", "sn_hr_core_case")
    for wrong in ("sn_hr_*", "incident^active=true", "Incident"):
        environment.setenv("SHARED_TABLES", wrong)
        with pytest.raises(ConfigError, match="SHARED_TABLES"):
            Config.from_env()


@pytest.mark.parametrize(
    ("url", "hosts", "good"),
    [
        ("https://acme.service-now.com", "", True),
        ("https://acme.service-now.com/", "", True),
        ("https://acme.service-now.com:8443", "", False),
        ("http://acme.service-now.com", "", False),
        ("https://acme.service-now.com.evil.example", "", False),
        ("https://evil-service-now.com", "", False),
        ("https://user@acme.service-now.com", "", False),
        ("https://acme.service-now.com/path", "", False),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081", True),
        ("http://127.0.0.1:8082", "http://127.0.0.1:8081", False),
        ("ftp://acme.service-now.com", "", False),
    ],
)
def test_only_named_instances_are_accepted(environment: pytest.MonkeyPatch, url: str, hosts: str, good: bool) -> None:
    """`https://*.service-now.com`, or an origin in SERVICENOW_HOSTS."""
    environment.setenv("SERVICENOW_URL", url)
    environment.setenv("SERVICENOW_HOSTS", hosts)
    if good:
        assert Config.from_env().servicenow_url == url.rstrip("/")
    else:
        with pytest.raises(ConfigError, match="SERVICENOW_URL"):
            Config.from_env()


def test_the_service_starts_without_the_settings_for_connecting(environment: pytest.MonkeyPatch) -> None:
    """It tells administrators what is missing."""
    for name in ("SERVICENOW_URL", "SERVICENOW_CLIENT_ID", "SERVICENOW_CLIENT_SECRET"):
        environment.delenv(name)
    assert Config.from_env().instance.missing == ("SERVICENOW_URL", "SERVICENOW_CLIENT_ID", "SERVICENOW_CLIENT_SECRET")


def test_webhook_keys_are_pairs(environment: pytest.MonkeyPatch) -> None:
    """`key id:secret`, newest first; a secret can contain a colon and never appears in a message or `repr`."""
    environment.setenv("WEBHOOK_SECRETS", f"new-1:{'n' * 40}:x, old:{'o' * 32}")
    config = Config.from_env()
    assert [(key.key_id, key.secret) for key in config.webhook_keys] == [("new-1", f"{'n' * 40}:x"), ("old", "o" * 32)]
    assert "nnn" not in repr(config)
    for wrong in ("z" * 40, f"a b:{'z' * 40}", "short:zzz", f"a:{'z' * 40},a:{'y' * 40}", f"a:{'ü' * 40}"):
        environment.setenv("WEBHOOK_SECRETS", wrong)
        with pytest.raises(ConfigError, match="WEBHOOK_SECRETS") as refused:
            Config.from_env()
        assert "zzz" not in str(refused.value)
