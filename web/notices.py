"""Notices, wired: intake, worker and their doors around one `Door`."""

from dataclasses import dataclass
from typing import Protocol

from flask import Blueprint

from core.notice_ports import Outbox, ParkedSubscriptions, Threads
from core.outbox import Card
from core.ports import ServiceNow
from core.record_ports import PostedCards
from core.records import Record
from core.tables import shared_tables
from core.times import Deadline
from handlers.cards import drawn, shown_by
from mattermost.bot import GONE, MattermostBot
from mattermost.bot_tokens import BotTokens
from mattermost.markdown import escaped
from notifications.adopter import Adopter
from notifications.adoption import Adoption
from notifications.delivery import Delivery
from notifications.health import Health
from notifications.intake import Intake
from notifications.loop import Loops
from notifications.old_dialect import OldReports
from notifications.owners import Owners
from notifications.posted_lookup import PostedLookup
from notifications.posting import Posting
from notifications.signatures import Signatures
from notifications.worker import Worker
from web.calls import Door
from web.webhooks import reports_blueprint


class NoticeStores(Protocol):
    """What notices keep on disk."""

    @property
    def outbox(self) -> Outbox: ...

    @property
    def threads(self) -> Threads: ...

    @property
    def parked(self) -> ParkedSubscriptions: ...

    @property
    def cards(self) -> PostedCards: ...


@dataclass(frozen=True)
class Notices:
    """The routes, and the worker behind them: not started yet."""

    blueprint: Blueprint
    worker: Loops


def notices_of(door: Door, stores: NoticeStores, tokens: BotTokens, health: Health, work_notes: bool) -> Notices:
    """Build everything between ServiceNow's report and the post in the channel."""
    services = door.services
    clock, live = services.clock, services.live
    bot = MattermostBot(door.client, tokens, door.access, clock)

    def servicenow_for(person_id: str, deadline: Deadline) -> ServiceNow:
        return live.current.servicenow_for(person_id, deadline)

    def draw(record: Record, channel_id: str) -> Card:
        parts = live.current
        attachment = drawn(record, channel_id, parts.instance, parts.links, services.buttons)
        return Card(attachment, shown_by(record))

    def link(table: str, sys_id: str, number: str) -> str:
        return f"[{escaped(number, 60) or 'A record'}]({live.current.links.record(table, sys_id)})"

    tables = {table.name: table.label for table in shared_tables(services.settings.shared_tables)}

    def administrator() -> str:
        installation = door.installations.get()
        return installation.installed_by if installation is not None else ""

    owners = Owners(
        grants=services.stores.grants,
        parked=stores.parked,
        accounts=services.stores.accounts,
        bot=bot,
        clock=clock,
        gone=(GONE,),
        connect_address=services.settings.connect_address,
        administrator=administrator,
    )
    adoption = Adoption(
        accounts=services.stores.accounts,
        grants=services.stores.grants,
        parked=stores.parked,
        bot=bot,
        servicenow_for=servicenow_for,
        tables=tables,
        clock=clock,
    )
    posting = Posting(
        accounts=services.stores.accounts,
        threads=stores.threads,
        cards=stores.cards,
        bot=bot,
        draw=draw,
        link=link,
        work_notes=work_notes,
        clock=clock,
    )
    delivery = Delivery(
        grants=services.stores.grants,
        accounts=services.stores.accounts,
        threads=stores.threads,
        cards=stores.cards,
        bot=bot,
        owners=owners,
        posting=posting,
        posted_lookup=PostedLookup(stores.outbox.waiting(), bot),
        servicenow_for=servicenow_for,
        tables=tables,
        clock=clock,
    )

    def muted() -> bool:
        return bool(tokens.turned_off_at)

    worker = Worker(
        outbox=stores.outbox,
        threads=stores.threads,
        delivery=delivery,
        posting=posting,
        owners=owners,
        health=health,
        muted=muted,
        clock=clock,
    )
    adopter = Adopter(
        outbox=stores.outbox,
        adoption=adoption,
        health=health,
        muted=muted,
        clock=clock,
        released=worker.loop.wake,
    )
    loops = Loops(adopter.loop, worker.loop)
    intake = Intake(
        Signatures(services.keys, clock),
        health.refusals,
        health.arrivals,
        outbox=stores.outbox,
        parked=stores.parked,
        grants=services.stores.grants,
        accounts=services.stores.accounts,
        app_url=services.settings.app_url,
        instance=lambda: live.current.instance.url,
        tables=tables,
        clock=clock,
        stored=loops.wake,
    )
    old = OldReports(
        services.old_dialect,
        health.refusals,
        outbox=stores.outbox,
        grants=services.stores.grants,
        clock=clock,
        stored=loops.wake,
    )
    return Notices(reports_blueprint(intake, old), loops)
