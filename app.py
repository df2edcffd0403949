"""
Everything is wired here, top to bottom. Nothing else creates clients, storage, or threads.

Start reading here: `create_app` shows what the service is made of.
"""

import time
from dataclasses import dataclass
from functools import partial

from flask import Blueprint

from config import Config
from core.outbox import Card
from core.records import Record
from core.signing import Signer
from core.tables import shared_tables
from core.times import Clock, Deadline
from handlers.account.reminders import client_suspect_text
from handlers.context import Services, Settings
from handlers.live_settings import KeyRing, LegacyWebhookSwitch
from handlers.records.cards import build_card, shown_version
from mattermost.access import Access
from mattermost.bot import OWNER_DEACTIVATED, MattermostBot
from mattermost.bot_tokens import BotTokens
from mattermost.card_buttons import CardButtons
from mattermost.client import REMOTE, MattermostClient
from mattermost.markdown import escaped
from mattermost.parallel import Parallel
from mattermost.token_owners import TokenOwners
from notifications.adoption import Adoption
from notifications.adoption_worker import AdoptionWorker
from notifications.broken_subscriptions import BrokenSubscriptions
from notifications.delivery import Delivery
from notifications.health import Health
from notifications.legacy_webhook import LegacyWebhook
from notifications.loop import Loops
from notifications.publisher import PostedLookup, Publisher
from notifications.webhook import Intake, Signatures
from notifications.worker import Worker
from servicenow.client import ServiceNowClient
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
from web.webhooks import reports_blueprint
from web.wsgi import Service, web_app
from wiring import live_instance, open_stores


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
    notifications = _notifications(services, bot, tokens, health, work_notes=config.work_notes_in_channels)
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


@dataclass(frozen=True)
class Notifications:
    """The routes that receive reports, and the threads that deliver them, not started yet."""

    blueprint: Blueprint
    loops: Loops


def _notifications(
    services: Services, bot: MattermostBot, tokens: BotTokens, health: Health, *, work_notes: bool
) -> Notifications:
    """Everything between a report from ServiceNow and the post in the channel."""
    stores, settings, clock, live = services.stores, services.settings, services.clock, services.live
    tables = {table.name: table.label for table in shared_tables(settings.shared_tables)}

    def servicenow_for(person_id: str, deadline: Deadline) -> ServiceNowClient:
        return live.current.servicenow_for(person_id, deadline)

    def draw(record: Record, channel_id: str) -> Card:
        clients = live.current
        attachment = build_card(record, channel_id, clients.instance, clients.links, services.buttons)
        return Card(attachment, shown_version(record))

    def link(table: str, sys_id: str, number: str) -> str:
        return f"[{escaped(number, 60) or 'A record'}]({live.current.links.record(table, sys_id)})"

    def administrator() -> str:
        installation = stores.installations.get()
        return installation.installed_by if installation is not None else ""

    def muted() -> bool:
        return bool(tokens.turned_off_at)

    # Delivery
    broken_subscriptions = BrokenSubscriptions(
        grants=stores.grants,
        parked=stores.parked,
        accounts=stores.accounts,
        bot=bot,
        clock=clock,
        gone=(OWNER_DEACTIVATED,),
        connect_address=settings.connect_address,
        administrator=administrator,
    )
    publisher = Publisher(
        accounts=stores.accounts,
        threads=stores.threads,
        cards=stores.cards,
        bot=bot,
        draw=draw,
        link=link,
        work_notes=work_notes,
        clock=clock,
    )
    delivery = Delivery(
        grants=stores.grants,
        accounts=stores.accounts,
        threads=stores.threads,
        cards=stores.cards,
        bot=bot,
        broken_subscriptions=broken_subscriptions,
        publisher=publisher,
        posted_lookup=PostedLookup(stores.outbox.waiting(), bot),
        servicenow_for=servicenow_for,
        tables=tables,
        clock=clock,
    )
    worker = Worker(
        outbox=stores.outbox,
        threads=stores.threads,
        delivery=delivery,
        publisher=publisher,
        broken_subscriptions=broken_subscriptions,
        health=health,
        muted=muted,
        clock=clock,
    )

    # Subscriptions made in ServiceNow
    adoption = Adoption(
        accounts=stores.accounts,
        grants=stores.grants,
        parked=stores.parked,
        bot=bot,
        servicenow_for=servicenow_for,
        tables=tables,
        clock=clock,
    )
    adoption_worker = AdoptionWorker(
        outbox=stores.outbox,
        adoption=adoption,
        health=health,
        muted=muted,
        clock=clock,
        released=worker.loop.wake,
    )

    # Reports
    loops = Loops(adoption_worker.loop, worker.loop)
    intake = Intake(
        Signatures(services.keys, clock),
        health.rejections,
        health.received_tests,
        outbox=stores.outbox,
        parked=stores.parked,
        grants=stores.grants,
        accounts=stores.accounts,
        app_url=settings.app_url,
        instance=lambda: live.current.instance.url,
        tables=tables,
        clock=clock,
        stored=loops.wake,
    )
    legacy = LegacyWebhook(
        services.legacy_webhook,
        health.rejections,
        outbox=stores.outbox,
        grants=stores.grants,
        clock=clock,
        stored=loops.wake,
    )
    return Notifications(reports_blueprint(intake, legacy), loops)
