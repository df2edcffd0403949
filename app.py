"""
The service, wired top to bottom. `wiring.py` builds the storage, the instance's clients and notifications.

No other module creates clients, storage, or threads.
"""

import time
from functools import partial

from config import Config
from core.signing import Signer
from core.times import Clock
from handlers.account.reminders import client_suspect_text
from handlers.context import Services, Settings
from handlers.live_settings import KeyRing, LegacyWebhookSwitch
from mattermost.access import Access
from mattermost.bot import MattermostBot
from mattermost.bot_tokens import BotTokens
from mattermost.card_buttons import CardButtons
from mattermost.client import REMOTE, MattermostClient
from mattermost.parallel import Parallel
from mattermost.token_owners import TokenOwners
from notifications.health import Health
from servicenow.probe import Probe
from storage.sealing import derive_keys
from updateset.build import RELEASE, build
from web.apps import AppsHost, apps_blueprint
from web.background import Background, Every
from web.dispatch import Dispatcher
from web.downloads import downloads_blueprint
from web.plain import PRESS_PATH, PlainHost, plain_blueprint
from web.rate_limits import PersonLimits
from web.verify import Verifier
from web.wsgi import Service, web_app
from wiring import live_instance, open_stores, wire_notifications


def create_app(config: Config, *, clock: Clock = time.time) -> Service:
    """Wire the service. Takes the storage's lock, so call it in the process that serves."""
    stores = open_stores(config, clock=clock, wait=config.graceful_timeout)
    background = Background()

    # Mattermost
    mattermost = MattermostClient(config.mattermost_url, config.threads)
    tokens = BotTokens(mattermost, stores.installations, clock, config.mattermost_bot_token)
    parallel = Parallel()
    access = Access(config.guests, parallel)
    bot = MattermostBot(mattermost, tokens, access, clock)

    # ServiceNow
    def ask_to_check_client() -> None:
        installation = stores.installations.get()
        if installation is not None:
            background.submit(lambda: bot.send_direct_message(installation.installed_by, client_suspect_text()))

    live = live_instance(config, stores, clock=clock, on_client_suspect=ask_to_check_client)

    # What handlers use
    signer = Signer(derive_keys(config.app_secrets, "states"))
    buttons = CardButtons(signer, config.app_url + PRESS_PATH)
    health = Health(stores.outbox, clock)
    remote = config.mattermost_url + REMOTE
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
        legacy_webhook=LegacyWebhookSwitch(stores.settings, clock),
        bot_token=tokens,
        test_reports=health.received_tests,
        deliveries=health,
        buttons=buttons,
        signer=signer,
        clock=clock,
    )

    # Notifications
    notifications = wire_notifications(services, bot, tokens, health, work_notes=config.work_notes_in_channels)
    notifications.loops.start()

    # Hosts
    verifier = Verifier(config.mattermost_app_jwt_secret, TokenOwners(mattermost, clock), tokens, background, clock)
    dispatcher = Dispatcher(
        services=services,
        client=mattermost,
        access=access,
        bot=bot,
        limits=PersonLimits(config.rate_limits),
        background=background,
    )
    apps = AppsHost(verifier=verifier, dispatcher=dispatcher, reminders=Every(3600.0, clock))
    plain = PlainHost(dispatcher, buttons, tokens)

    # The application
    app = web_app(
        {"storage": stores.check} | tokens.checks,
        apps_blueprint(apps, config.app_url),
        plain_blueprint(plain),
        notifications.blueprint,
        downloads_blueprint(signer, clock, partial(build, RELEASE)),
    )
    return Service.of(app, services, workers=(parallel, background, notifications.loops), release=stores.close)
