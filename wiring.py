"""
The parts of the service that `app.py` is built from.

Commands for a stopped service (`offline.py`) use the same storage and the same clients.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Blueprint

from config import Config
from core.instance import Instance
from core.outbox import Card
from core.records import Record
from core.storage_ports import Stores
from core.tables import shared_tables
from core.times import Clock, Deadline
from handlers.context import Services
from handlers.live_settings import LiveInstance
from handlers.records.cards import build_card, shown_version
from mattermost.bot import OWNER_DEACTIVATED, MattermostBot
from mattermost.bot_tokens import BotTokens
from mattermost.client import REMOTE
from mattermost.markdown import escaped
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
from servicenow.client import InstanceClients, ServiceNowClient, ServiceNowClients
from servicenow.columns import ColumnCache
from servicenow.links import LINKS
from servicenow.oauth import OAuthClient
from servicenow.tokens import TokenManager
from servicenow.transport import Transport
from storage.embedded import open_storage
from storage.sealing import derive_keys
from web.webhooks import reports_blueprint


def open_stores(config: Config, *, clock: Clock, wait: float = 0.0) -> Stores:
    """
    Open the storage for this process alone.

    Args:
        wait: Seconds to wait for another process to release it.

    Raises:
        StorageFailed: As `open_storage`.
    """
    return open_storage(config.storage_url, partial(derive_keys, config.app_secrets), clock=clock, wait=wait)


def live_instance(
    config: Config, stores: Stores, *, clock: Clock, on_client_suspect: Callable[[], None]
) -> LiveInstance[InstanceClients]:
    """
    The clients of the configured instance, rebuilt whenever an administrator changes it.

    Args:
        on_client_suspect: See `TokenManager`.
    """
    remote = config.mattermost_url + REMOTE
    fingerprint_key = derive_keys(config.app_secrets, "oauth client")[-1]

    def build(instance: Instance) -> InstanceClients:
        transport = Transport(instance.url, concurrent_calls=config.servicenow_calls)
        oauth = OAuthClient(
            transport,
            client_id=instance.client_id,
            client_secret=instance.client_secret,
            redirect_address=f"{remote}/complete",
            fingerprint_key=fingerprint_key,
            clock=clock,
        )
        tokens = TokenManager(
            stores.accounts,
            oauth,
            instance=instance.url,
            connect_address=f"{remote}/connect",
            clock=clock,
            on_client_suspect=on_client_suspect,
        )
        clients = ServiceNowClients(transport, tokens, stores.accounts, ColumnCache(clock), clock)
        links = LINKS[config.record_links](instance.url)
        return InstanceClients(instance=instance, oauth=oauth, links=links, servicenow_for=clients.client_for)

    return LiveInstance(config.instance, stores.settings, build)


@dataclass(frozen=True)
class Notifications:
    """The routes that receive reports, and the threads that deliver them, not started yet."""

    blueprint: Blueprint
    loops: Loops


def wire_notifications(
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
