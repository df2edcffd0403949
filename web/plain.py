"""Presses of cards' buttons and what dialogs send: verify, hand over, answer (design §4, "Plain host")."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from core.actions import CardKey
from core.calls import Call, Channel, Kind, Options, Person, Post, Reply, ShowForm, Text
from core.deadline import Deadline
from core.errors import AppError, InvalidInput, MattermostRefused, NotVerified, Suspended
from core.fields import Form
from core.menus import Requirement
from handlers.context import Context
from handlers.registry import calls
from handlers.reminders import tell_of_suspension
from mattermost.card_buttons import CardButtons
from mattermost.markdown import unmarked
from mattermost.paths import Id, api
from mattermost.person import MattermostForPerson
from mattermost.plain import (
    DialogRequest,
    PressRequest,
    read_dialog,
    read_press,
    write_dialog_error,
    write_options,
    write_press,
    write_press_error,
)
from mattermost.plain_forms import Abilities, elements_of, read_submission, shape_of, write_dialog
from mattermost.server import Server
from mattermost.shown import SHOWS
from mattermost.triggers import ExpiredTrigger, Triggers
from web.calls import SECONDS, Door
from web.plain_memory import Offered, People
from web.verify import payload

log = structlog.get_logger(__name__)

PRESS_PATH = "/plain/press"
DIALOG_PATH = "/plain/dialog"

_DIALOG = "dialog"
_DIALOG_SECONDS = 12 * 3600.0
# Before a dialog opens one read may be waited for; Mattermost lets a trigger open one for 30 seconds.
_OPENING_SECONDS = 3.0
_PLACE_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class PlainHost:
    """
    What the two routes share.

    Args:
        bot_token: The bot's session for this moment.
        app_url: Where Mattermost reaches us.
    """

    door: Door
    server: Server
    triggers: Triggers
    buttons: CardButtons
    bot_token: Callable[[], str]
    app_url: str
    people: People
    offered: Offered = field(default_factory=Offered)

    @classmethod
    def of(cls, door: Door, buttons: CardButtons, bot_token: Callable[[], str], app_url: str) -> "PlainHost":
        """The plain host beside the Apps host's *door*."""
        server = Server(door.client, door.services.clock)
        triggers = Triggers(server, door.services.clock)
        return cls(
            door=door,
            server=server,
            triggers=triggers,
            buttons=buttons,
            bot_token=bot_token,
            app_url=app_url,
            people=People(door.client, bot_token, door.services.clock),
        )

    def press(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a button says, or open its dialog. Both proofs come before everything else."""
        button = self.buttons.read(body.get("context"))
        self.triggers.check(body.get("trigger_id"), body.get("user_id"))
        pressed = read_press(body)
        card = button.card
        if card.channel_id != pressed.channel_id:
            raise NotVerified("button: pressed in another channel than its card's")
        self._check_place(card, pressed.post_id)
        kind = button.action.kind
        self.door.limits.check(pressed.user_id, kind)
        call = Call(
            kind=kind,
            path=button.action.path,
            person=self.people.named(pressed.user_id),
            state={**vars(card), "post_id": pressed.post_id},
            channel=Channel(id=card.channel_id),
            steps=self._abilities().steps,
            stays=False,
        )
        context = self._context(call.person, _OPENING_SECONDS if kind is Kind.FORM else SECONDS[kind])
        reply = self._answer(call, context)
        if isinstance(reply, ShowForm):
            self._open(reply.form, call, pressed)
            return {}
        return write_press(reply)

    def _check_place(self, card: CardKey, post_id: str) -> None:
        """
        Refuse a card's token on a post that shows another record.

        In a direct message of two people the card is a person's post, which the bot may not read; there
        the token and the channel have to do.
        """
        try:
            path = api("posts", Id(post_id))
            post = self.door.client.request("GET", path, token=self.bot_token(), deadline=Deadline(_PLACE_SECONDS))
        except MattermostRefused as error:
            log.info("card not readable", reason=str(error))
            return
        shows = (post.get("props") or {}).get(SHOWS) if isinstance(post, Mapping) else None
        known = shows if isinstance(shows, Mapping) else {}
        if (known.get("table"), known.get("sys_id")) != (card.table, card.sys_id):
            raise NotVerified("button: its card is another record's")

    def dialog(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A dialog's submit, refresh or look-up; what we signed when it opened comes before everything else."""
        outer = self._opened(body.get("state"), body.get("user_id"))
        sent = read_dialog(body)
        if sent.cancelled:
            return {}
        steps = self._abilities().steps
        try:
            self.door.limits.check(sent.user_id, sent.kind)
            call = self._call(sent, outer)
            context = self._context(call.person, SECONDS[sent.kind])
            reply = self._answer(call, context)
        except AppError as error:
            if sent.kind is Kind.LOOKUP:
                log.info("look-up failed", error=type(error).__name__, detail=str(error))
                return {"items": []}
            return write_dialog_error(error, _logged(error), elements_of(outer["shape"]), markdown=steps)
        if sent.kind is Kind.LOOKUP:
            if isinstance(reply, Options):
                self.offered.remember(sent.user_id, reply.options)
            return write_options(reply)
        if isinstance(reply, ShowForm):
            return self._next(reply.form, outer, call)
        self._confirm(reply, call, context)
        return {}

    def _opened(self, state: Any, user_id: Any) -> dict[str, Any]:
        """What we signed when the dialog opened, after a verified press of the same person."""
        if not isinstance(state, str) or not isinstance(user_id, str) or not user_id:
            raise NotVerified("dialog: no state or nobody")
        services = self.door.services
        return services.signer.verify(state, person=user_id, path=_DIALOG, now=services.clock())

    def _call(self, sent: DialogRequest, outer: Mapping[str, Any]) -> Call:
        services = self.door.services
        state = {}
        if outer["state"]:
            state = services.signer.verify(
                outer["state"], person=sent.user_id, path=outer["path"], now=services.clock()
            )
        return Call(
            kind=sent.kind,
            path=outer["path"],
            person=self.people.named(sent.user_id),
            values=self.offered.named(sent.user_id, read_submission(sent.submission, outer["shape"])),
            state=state,
            channel=Channel(id=outer["channel_id"]) if outer["channel_id"] else None,
            post=Post(id=outer["post_id"], channel_id=outer["channel_id"]) if outer["post_id"] else None,
            selected_field=sent.selected_field,
            query=sent.query,
            unsearched=sent.unsearched,
            steps=self._abilities().steps,
            stays=False,
        )

    def _answer(self, call: Call, context: Context) -> Reply:
        if calls.route(call.path, call.kind).needs is Requirement.ADMINISTRATOR:
            raise NotVerified("the plain host has no administrators")
        try:
            return calls.answer(call, context)
        except Suspended:
            self._tell_suspended(call.person.id, context)
            raise

    def _open(self, form: Form, call: Call, pressed: PressRequest) -> None:
        abilities = self._abilities()
        state = self._state(form, call.person.id, call.state.get("channel_id", ""), pressed.post_id, abilities)
        body = {
            "trigger_id": pressed.trigger_id,
            "url": self.app_url + DIALOG_PATH,
            "dialog": write_dialog(form, abilities, state=state, url=self.app_url + DIALOG_PATH),
        }
        try:
            self.door.client.request(
                "POST", api("actions", "dialogs", "open"), token="", deadline=Deadline(10.0), json=body
            )
        except MattermostRefused as error:
            raise ExpiredTrigger(f"dialog not opened: {error}") from error

    def _next(self, form: Form, outer: Mapping[str, Any], call: Call) -> dict[str, Any]:
        abilities = self._abilities()
        if not abilities.steps:
            # An old server can't show it: what it would have said stands above the fields that are open.
            words = form.header or "More is needed than this Mattermost version can ask for here."
            return {"error": unmarked(f"{words} Use `/servicenow` instead.")}
        state = self._state(form, call.person.id, outer["channel_id"], outer["post_id"], abilities)
        return {"type": "form", "form": write_dialog(form, abilities, state=state, url=self.app_url + DIALOG_PATH)}

    def _state(self, form: Form, person_id: str, channel_id: str, post_id: str, abilities: Abilities) -> str:
        services = self.door.services
        content = {
            "path": form.path,
            "state": form.state,
            "shape": shape_of(form, abilities),
            "channel_id": channel_id,
            "post_id": post_id,
        }
        return services.signer.sign(
            content, person=person_id, path=_DIALOG, expires_at=services.clock() + _DIALOG_SECONDS
        )

    def _confirm(self, reply: Reply, call: Call, context: Context) -> None:
        """A dialog's answer has no text: what the thread does not say already is said directly."""
        if isinstance(reply, Text) and reply.text and not reply.announced:
            text = reply.text
            self.door.background.submit(lambda: context.mattermost.tell(call.person.id, text))

    def _context(self, person: Person, seconds: float) -> Context:
        door = self.door
        installation = door.installations.get()
        deadline = Deadline(seconds)
        mattermost = MattermostForPerson(
            door.client,
            door.access,
            person,
            bot_user_id=installation.bot_user_id if installation else "",
            bot_token=self.bot_token(),
            person_token="",
            deadline=deadline,
        )
        return Context(door.services, person, mattermost, deadline)

    def _abilities(self) -> Abilities:
        return Abilities.of(self.server.facts().version)

    def _tell_suspended(self, person_id: str, context: Context) -> None:
        services = self.door.services
        self.door.background.submit(
            lambda: tell_of_suspension(
                services.accounts,
                context.mattermost.tell,
                person_id,
                services.settings.connect_address,
                services.clock(),
            )
        )


def plain_blueprint(host: PlainHost) -> Blueprint:
    """The two addresses that cards and dialogs name."""
    blueprint = Blueprint("plain", __name__)

    @blueprint.post(PRESS_PATH)
    def press() -> ResponseReturnValue:
        try:
            return jsonify(host.press(payload(request)))
        except AppError as error:
            return jsonify(write_press_error(error, _logged(error)))

    @blueprint.post(DIALOG_PATH)
    def dialog() -> ResponseReturnValue:
        try:
            return jsonify(host.dialog(payload(request)))
        except AppError as error:
            return jsonify(write_dialog_error(error, _logged(error), frozenset()))

    @blueprint.errorhandler(Exception)
    def _unexpected(error: Exception) -> ResponseReturnValue:
        # Anything else than these two shapes closes a dialog, and leaves a press, without a word (recorded).
        log.error("unexpected", exc_info=error)
        told = AppError(f"unexpected {type(error).__name__}")
        reference = _logged(told)
        if request.path.endswith(PRESS_PATH):
            return jsonify(write_press_error(told, reference))
        return jsonify(write_dialog_error(told, reference, frozenset()))

    return blueprint


def _logged(error: AppError) -> str:
    """The reference that stands in the log beside the cause."""
    reference = secrets.token_hex(4)
    level = "info" if isinstance(error, InvalidInput) else "warning"
    getattr(log, level)("refused", reference=reference, error=type(error).__name__, detail=str(error))
    return reference
