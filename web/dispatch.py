"""Runs verified calls, the same way for both hosts: builds the context, times and logs the call, handles suspension."""

import time
from contextlib import suppress
from dataclasses import dataclass

import structlog

from core.calls import Call, Kind, Person, Reply
from core.errors import Suspended
from core.times import Deadline
from core.upstream_errors import MattermostError
from handlers import capabilities  # noqa: F401 - registers every path
from handlers.account.reminders import remind_of_suspension
from handlers.context import Context, Services
from handlers.registry import calls
from mattermost.access import Access
from mattermost.bot import MattermostBot
from mattermost.client import MattermostClient
from mattermost.direct_cards import PressedCard
from mattermost.permission_reads import PermissionReads
from mattermost.person import MattermostForPerson
from mattermost.session import Session
from web.background import Background
from web.rate_limits import PersonLimits

# Seconds a call may take (design §11). The framework gives up after 30.
SECONDS = {Kind.SUBMIT: 20.0, Kind.FORM: 8.0, Kind.REFRESH: 8.0, Kind.LOOKUP: 3.0}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Dispatcher:
    """
    What comes after verification on either host.

    Attributes:
        bot: For messages that don't depend on the call's session.
    """

    services: Services
    client: MattermostClient
    access: Access
    bot: MattermostBot
    limits: PersonLimits
    background: Background

    def session(self, token: str, deadline: Deadline) -> Session:
        """A Mattermost session. Without a *token* it refuses every request."""
        return Session(self.client, token, deadline)

    def context(
        self,
        person: Person,
        deadline: Deadline,
        reads: PermissionReads,
        *,
        as_bot: Session,
        as_person: Session,
        pressed: PressedCard | None = None,
    ) -> Context:
        """
        The context of one call.

        Args:
            person: Who was verified.
            pressed: See `MattermostForPerson`.
        """
        installation = self.services.stores.installations.get()
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

    def dispatch(self, call: Call, context: Context) -> Reply:
        """
        Run the call's handler.

        Raises:
            AppError: As the handler. If the person's account is suspended, they are told once, in the background.
        """
        began = time.monotonic()
        outcome = ""
        try:
            reply = calls.answer(call, context)
            outcome = type(reply).__name__
            return reply
        except Suspended:
            self.background.submit(lambda: self._suspended(context))
            raise
        finally:
            milliseconds = round((time.monotonic() - began) * 1000, 1)
            log.debug("handled", path=call.path, kind=call.kind.value, outcome=outcome or "error", ms=milliseconds)

    def _suspended(self, context: Context) -> None:
        with suppress(MattermostError):  # without the person's session, the menus change at the next channel switch
            context.mattermost.show_connected(False)
        services = self.services
        remind_of_suspension(
            services.stores.accounts,
            self.bot.send_direct_message,
            context.person.id,
            services.settings.connect_address,
            services.clock(),
        )
