"""
Everything is wired here, top to bottom; nothing else creates clients, storage or threads.

Start reading here: `create_app` shows what the service is made of.
"""

import time
from functools import partial

from config import Config
from core.instance import LiveInstance
from core.ports import Clock
from core.signing import Signer
from core.webhook_keys import KeyRing, LegacyWebhookSwitch
from handlers.context import ServiceNowParts, Services, Settings
from mattermost.access import Access
from mattermost.bot_tokens import BotTokens
from mattermost.card_buttons import CardButtons
from mattermost.client import REMOTE, MattermostClient
from mattermost.token_owners import TokenOwners
from notifications.health import Health
from servicenow.probe import Probe
from servicenow.side import ServiceNowSide
from storage.sealing import derive_keys
from storage.tinydb import open_storage
from updateset.build import RELEASE, build
from web.background import Background, Every
from web.calls import Door
from web.downloads import downloads_blueprint
from web.limits import PersonLimits
from web.messages import AdministratorMessages
from web.notices import notices_of
from web.plain import PRESS_PATH, PlainHost, plain_blueprint
from web.verify import Verifier
from web.wsgi import Service, web_app


def create_app(config: Config, *, clock: Clock = time.time) -> Service:
    """Wire the service. Takes the storage's lock, so it belongs into the process that serves."""
    keys = partial(derive_keys, config.app_secrets)
    stores = open_storage(config.storage_url, keys, clock=clock, wait=config.graceful_timeout)
    background = Background()
    mattermost = MattermostClient(config.mattermost_url, config.threads)
    tokens = BotTokens(mattermost, stores.installations, clock, config.mattermost_bot_token)
    messages = AdministratorMessages(mattermost, stores.installations, background, tokens)

    remote = config.mattermost_url + REMOTE
    side = partial(
        ServiceNowSide,
        accounts=stores.accounts,
        remote=remote,
        fingerprint_key=keys("oauth client")[-1],
        at_once=config.servicenow_calls,
        clock=clock,
        on_client_suspect=messages.client_suspect,
        record_links=config.record_links,
    )
    live: LiveInstance[ServiceNowParts] = LiveInstance(config.instance, stores.settings, side)
    signer = Signer(keys("states"))
    buttons = CardButtons(signer, config.app_url + PRESS_PATH)
    health = Health(stores.outbox, clock)
    services = Services(
        settings=Settings(
            remote=remote,
            servicenow_hosts=config.servicenow_hosts,
            mattermost_url=config.mattermost_url,
            app_url=config.app_url,
            caller_optional=config.caller_optional,
            guests=config.guests,
            shared_tables=config.shared_tables,
        ),
        live=live,
        probe=Probe(remote, clock),
        stores=stores,
        keys=KeyRing(config.webhook_keys, stores.settings, clock),
        old_dialect=LegacyWebhookSwitch(stores.settings, clock),
        bot_token=tokens,
        test_reports=health.arrivals,
        deliveries=health,
        buttons=buttons,
        signer=signer,
        clock=clock,
    )
    door = Door(
        verifier=Verifier(config.mattermost_app_jwt_secret, TokenOwners(mattermost, clock), tokens, background, clock),
        services=services,
        client=mattermost,
        access=Access(config.guests),
        limits=PersonLimits(config.rate_limits),
        background=background,
        reminders=Every(3600.0, clock),
    )
    notices = notices_of(door, stores, tokens, health, config.work_notes_in_channels)
    notices.worker.start()
    plain = plain_blueprint(PlainHost.of(door, buttons, messages.bot_session, config.app_url))
    others = (plain, notices.blueprint, downloads_blueprint(signer, clock, partial(build, RELEASE)))
    app = web_app(door, config.app_url, {"storage": stores.check} | tokens.checks, *others)
    return Service.of(app, services, workers=(background, notices.worker), release=stores.close)
