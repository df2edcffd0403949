"""Calls of the Apps framework: verify, hand over, answer."""

from dataclasses import dataclass

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from core.calls import Call, Kind, Person
from core.errors import Suspended, UnknownRequest
from core.storage_ports import Installations
from core.times import Deadline
from core.upstream_errors import MattermostError
from handlers import capabilities  # noqa: F401 - registers every path
from handlers.context import Context, Services
from handlers.registry import calls
from handlers.reminders import remind_of_expiry, remind_of_suspension
from mattermost.access import Access
from mattermost.apps_framework import read_values, write
from mattermost.client import MattermostClient
from mattermost.direct_cards import PressedCard
from mattermost.permission_reads import PermissionReads
from mattermost.person import MattermostForPerson
from mattermost.session import Session
from web.background import Background, Every
from web.rate_limits import PersonLimits
from web.verify import Caller, Verifier

# Seconds a call may take (design §11); the framework gives up after 30.
SECONDS = {Kind.SUBMIT: 20.0, Kind.FORM: 8.0, Kind.REFRESH: 8.0, Kind.LOOKUP: 3.0}


@dataclass(frozen=True, kw_only=True)
class Door:
    """What the blueprints of the Apps host share."""

    verifier: Verifier
    services: Services
    client: MattermostClient
    access: Access
    limits: PersonLimits
    background: Background
    reminders: Every
    bot_token: str = ""

    @property
    def installations(self) -> Installations:
        return self.services.stores.installations

    def context(self, caller: Caller, seconds: float) -> Context:
        """The context of one verified call."""
        incoming, deadline = caller.request, Deadline(seconds)
        as_person = Session(self.client, incoming.acting_user_access_token, deadline)
        as_bot = Session(self.client, incoming.bot_access_token, deadline)
        reads = self.access.reads(
            as_person if as_person.token else as_bot,
            caller.person.id,
            roles=incoming.acting_user.roles if incoming.acting_user else "",
            channel=incoming.channel,
        )
        return self.context_of(caller.person, deadline, reads, as_bot, as_person)

    def context_of(
        self,
        person: Person,
        deadline: Deadline,
        reads: PermissionReads,
        as_bot: Session,
        as_person: Session,
        pressed: PressedCard | None = None,
    ) -> Context:
        """The context of a verified person on either host."""
        installation = self.installations.get()
        mattermost = MattermostForPerson(
            self.access,
            person,
            reads,
            bot_user_id=installation.bot_user_id if installation else "",
            as_bot=as_bot,
            as_person=as_person,
            clock=self.services.clock,
            signer=self.services.signer,
            pressed=pressed,
        )
        return Context(self.services, person, mattermost, deadline)

    def read(self, caller: Caller, path: str, kind: Kind, state_path: str | None = None) -> Call:
        """The verified request as a `Call`; a state of another person, path or time is refused."""
        incoming = caller.request
        state = {}
        if incoming.state:
            state = self.services.signer.verify(
                incoming.state,
                person=caller.person.id,
                path=state_path or path,
                now=self.services.clock(),
            )
        return Call(
            kind=kind,
            path=path,
            person=caller.person,
            values=read_values(incoming.values),
            state=state,
            channel=incoming.channel,
            team_name=incoming.team_name,
            post=incoming.post,
            selected_field=incoming.selected_field,
            query=incoming.query,
        )

    def tell_later(self, caller: Caller, person_id: str, text: str) -> None:
        """A direct message from the bot, after the answer."""
        context = self.context(caller, 20.0)
        context.mattermost.tell(person_id, text)

    def remind(self, caller: Caller) -> None:
        """Reminders that are due, sent with the live session that this call brought."""
        services = self.services
        remind_of_expiry(
            services.stores.accounts,
            lambda person_id, text: self.tell_later(caller, person_id, text),
            services.settings.connect_address,
            services.clock(),
        )

    def suspended(self, caller: Caller, context: Context) -> None:
        """The person's account was suspended: change the menus, send one message."""
        services = self.services
        if caller.request.acting_user_access_token:
            self.background.submit(lambda: _hide(context))
        self.background.submit(
            lambda: remind_of_suspension(
                services.stores.accounts,
                lambda person_id, text: self.tell_later(caller, person_id, text),
                caller.person.id,
                services.settings.connect_address,
                services.clock(),
            )
        )


def _hide(context: Context) -> None:
    try:
        context.mattermost.show_connected(False)
    except MattermostError:
        pass  # menus change at the next channel switch all the same


def calls_blueprint(door: Door) -> Blueprint:
    """`POST /<capability>/<action>/<kind>` for everything that the registry knows."""
    blueprint = Blueprint("calls", __name__)

    @blueprint.post("/<path:path>")
    def call(path: str) -> ResponseReturnValue:
        caller = door.verifier.call(request)
        name, _, word = path.rpartition("/")
        route = calls.route(name, word)
        if request.query_string:
            raise UnknownRequest("query string on a call path")
        door.limits.check(caller.person.id, route.kind)
        context = door.context(caller, SECONDS[route.kind])
        try:
            return jsonify(write(calls.answer(door.read(caller, name, route.kind), context)))
        except Suspended:
            door.suspended(caller, context)
            raise
        finally:
            if door.reminders.due():
                door.background.submit(lambda: door.remind(caller))

    return blueprint
