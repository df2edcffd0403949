"""
Everything is wired here, top to bottom; nothing else creates clients, storage or threads.

Start reading here: `create_app` shows what the service is made of.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Flask

from config import Config
from core.ports import Clock
from core.signing import Signer
from handlers.context import Services, Settings
from mattermost.access import Access
from mattermost.client import APP_ID, PLUGIN, MattermostClient
from mattermost.proofs import TokenOwners
from servicenow.choices import ColumnCache
from servicenow.client import ServiceNowClients
from servicenow.links import ClassicLinks
from servicenow.oauth import OAuthClient
from servicenow.tokens import TokenKeeper
from servicenow.transport import Transport
from storage.sealing import derive_keys
from storage.tinydb import open_storage
from web.answers import install_error_handlers
from web.apps import apps_blueprint
from web.background import Background, Every
from web.calls import Door, calls_blueprint
from web.health import health_blueprint
from web.limits import PersonLimits
from web.logs import log_requests
from web.messages import AdministratorMessages
from web.verify import Verifier

MOST_BODY = 1024 * 1024  # bytes of a request
KEPT_FREE = 8  # threads that never wait for ServiceNow (design §11)


@dataclass(frozen=True)
class Service:
    """The WSGI application; how to wait for its errands; how to end it."""

    app: Flask
    settle: Callable[[], None]
    close: Callable[[], None]


def create_app(config: Config, *, clock: Clock = time.time) -> Service:
    """Wire the service. Takes the storage's lock, so it belongs into the process that serves."""
    keys = partial(derive_keys, config.app_secrets)
    stores = open_storage(config.storage_url, keys, clock=clock, wait=config.graceful_timeout)
    background = Background()
    mattermost = MattermostClient(config.mattermost_url, config.threads)
    messages = AdministratorMessages(mattermost, stores.installations, background, config.mattermost_bot_token)

    remote = f"{config.mattermost_url}{PLUGIN}/apps/{APP_ID}/oauth2/remote"
    transport = Transport(config.servicenow_url, at_once=config.threads - KEPT_FREE)
    oauth = OAuthClient(
        transport,
        client_id=config.servicenow_client_id,
        client_secret=config.servicenow_client_secret,
        redirect_address=f"{remote}/complete",
        fingerprint_key=keys("oauth client")[-1],
        clock=clock,
    )
    tokens = TokenKeeper(
        stores.accounts,
        oauth,
        instance=config.servicenow_url,
        connect_address=f"{remote}/connect",
        clock=clock,
        on_client_suspect=messages.client_suspect,
    )
    clients = ServiceNowClients(transport, tokens, stores.accounts, ColumnCache(clock))
    services = Services(
        settings=Settings(
            missing=config.missing,
            instance=config.servicenow_url,
            connect_address=f"{remote}/connect",
            mattermost_url=config.mattermost_url,
            caller_optional=config.caller_optional,
        ),
        accounts=stores.accounts,
        form_results=stores.form_results,
        oauth=oauth,
        links=ClassicLinks(config.servicenow_url),
        signer=Signer(keys("states")),
        clock=clock,
        servicenow_for=clients.client_for,
    )
    door = Door(
        verifier=Verifier(config.mattermost_app_jwt_secret, stores.installations, TokenOwners(mattermost), clock),
        services=services,
        installations=stores.installations,
        client=mattermost,
        access=Access(config.guests),
        limits=PersonLimits(config.rate_limits),
        background=background,
        reminders=Every(3600.0, clock),
    )

    app = Flask(__name__, static_folder="static")
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    log_requests(app)
    install_error_handlers(app)
    app.register_blueprint(health_blueprint({"storage": stores.check}))
    app.register_blueprint(apps_blueprint(door, config.app_url))
    app.register_blueprint(calls_blueprint(door))

    def close() -> None:
        background.close()
        stores.close()

    return Service(app, background.settle, close)
