"""Plain Mattermost as a host: buttons on cards, and dialogs (design §4, "Plain host")."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from core.calls import Call, Channel, Kind, Options, Person, Post, Reply, ShowForm, Text, Values
from core.errors import AppError, NotVerified, TurnedOff
from core.menus import Requirement
from core.times import Deadline
from handlers.context import Context
from handlers.registry import calls
from mattermost.bot_tokens import BotTokens, NoBotToken
from mattermost.card_buttons import CardButtons
from mattermost.direct_cards import PressedCard
from mattermost.paths import Id, api
from mattermost.permission_reads import PermissionReads
from mattermost.plain import (
    DialogRequest,
    read_dialog,
    read_press,
    write_dialog_error,
    write_options,
    write_press,
    write_press_error,
)
from mattermost.plain_values import chosen_field, field_of, read_lookup, read_submission
from mattermost.server import MattermostServer
from mattermost.triggers import Triggers
from web.dispatch import SECONDS, Dispatcher
from web.errors import answer_errors, log_refusal, mark_verified
from web.payload import json_body
from web.plain_dialogs import Dialogs
from web.plain_memory import LookupCache, OfferedOptions, People, UsedDialogs
from web.plain_places import check_member, check_post, check_presser, own_card
from web.plain_states import SECONDS as DIALOG_SECONDS
from web.plain_states import DialogState

log = structlog.get_logger(__name__)

PRESS_PATH = "/plain/press"
DIALOG_PATH = "/plain/dialog"

# A dialog has to open quickly: Mattermost accepts a trigger for 30 seconds, and people wait for it.
_OPENING_SECONDS = 3.0
_PLACE_SECONDS = 3.0


class PlainHost:
    """Answers presses and dialogs."""

    def __init__(self, dispatcher: Dispatcher, buttons: CardButtons, tokens: BotTokens) -> None:
        services = dispatcher.services
        clock, signer, url = services.clock, services.signer, services.settings.app_url + DIALOG_PATH
        server = MattermostServer(dispatcher.client, clock)
        self._dispatcher = dispatcher
        self._buttons = buttons
        self._tokens = tokens
        self._signer = signer
        self._triggers = Triggers(server, clock)
        self._people = People(clock)
        self._offered = OfferedOptions()
        self._lookups = LookupCache(clock)
        self._used = UsedDialogs(clock, DIALOG_SECONDS)
        self._dialogs = Dialogs(dispatcher.client, server, signer, url, self._offered, clock)

    def press(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Run a button's action or open its dialog: verify, parse, dispatch, respond."""
        button = self._buttons.read(body.get("context"))
        self._triggers.check(body.get("trigger_id"), body.get("user_id"))
        mark_verified()
        self._check_on()
        pressed, card, kind = read_press(body), button.card, button.action.kind
        if card.channel_id != pressed.channel_id:
            raise NotVerified("button: pressed in another channel than its card's")
        self._dispatcher.limits.check(pressed.user_id, kind)
        seconds = _OPENING_SECONDS if kind is Kind.FORM else SECONDS[kind]
        reads, place = self._reads(pressed.user_id, seconds), api("posts", Id(pressed.post_id))
        if kind is not Kind.FORM:
            reads.read(*reads.paths(card.channel_id), place)
        elif self._people.knows(pressed.user_id):
            reads.read(reads.member_path(card.channel_id), place)
        else:
            reads.read(reads.member_path(card.channel_id), place, reads.user_path())
        direct = check_presser(pressed, reads, self._signer)
        check_post(card, reads, place, direct=direct)

        call = Call(
            kind=kind,
            path=button.action.path,
            person=self._people.named(pressed.user_id, reads.user),
            state={**vars(card), "post_id": pressed.post_id},
            channel=Channel(id=card.channel_id),
            steps=self._dialogs.abilities.steps,
            stays=False,
        )

        updatable = own_card(pressed, self._signer) if direct else None
        reply = self._dispatch(call, self._context(call.person, seconds, reads, updatable))

        if isinstance(reply, ShowForm):
            self._dialogs.open(reply.form, pressed, direct=direct)
            return {}
        return write_press(reply, updatable.update if updatable else None)

    def dialog(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A dialog's submit, refresh, or lookup: verify, parse, dispatch, respond."""
        opened = self._dialogs.states.read(body.get("state"), body.get("user_id"))
        mark_verified()
        sent = read_dialog(body)
        if sent.cancelled:
            return {}
        if sent.kind is Kind.LOOKUP:
            return self._look_up(sent, opened)
        values = None
        try:
            self._check_on()
            self._dispatcher.limits.check(sent.user_id, sent.kind)
            self._used.check(opened.id)
            values = read_submission(sent.submission, opened.shape)
            reads = self._reads(sent.user_id, SECONDS[sent.kind])
            if sent.kind is Kind.SUBMIT and not opened.direct:
                reads.read(*reads.paths(opened.channel_id))
            call = self._parse(sent, opened, values, reads)
            context = self._context(call.person, SECONDS[sent.kind], reads)
            if sent.kind is Kind.REFRESH:
                return self._dialogs.next_step(self._dispatch(call, context), opened, sent)
            with self._used.once(opened.id) as done:
                if not opened.direct:
                    check_member(opened.channel_id, reads)
                reply = self._dispatch(call, context)
                if isinstance(reply, ShowForm):
                    return self._dialogs.next_step(reply, opened, sent)
                done()
        except AppError as error:
            return self._dialogs.error(error, log_refusal(error), opened, sent, values)
        self._confirm(context, reply)
        return {}

    def _look_up(self, sent: DialogRequest, opened: DialogState) -> dict[str, Any]:
        """
        Options, whatever goes wrong: the web client repeats a failed lookup without a pause until its dialog closes
        (recorded). *opened* is the first step's, even in later steps (recorded).
        """
        values = read_lookup(sent.submission, opened.shape)
        chosen = tuple(values.text(name) for name in opened.shape.get("choices", ()))
        field_name = field_of(sent.selected_field)
        key = (sent.user_id, opened.id, opened.path, field_name, " ".join(sent.query.split()), chosen)
        try:
            self._check_on()
            known = self._lookups.get(key)
            if known is not None:
                return write_options(Options(known))
            self._dispatcher.limits.check(sent.user_id, sent.kind)
            self._used.check(opened.id)
            reads = self._reads(sent.user_id, SECONDS[Kind.LOOKUP])
            call = self._parse(replace(sent, selected_field=field_name), opened, values, reads)
            reply = self._dispatch(call, self._context(call.person, SECONDS[Kind.LOOKUP], reads))
        except AppError as error:
            log.info("look-up failed", error=type(error).__name__, detail=error.log_message)
            self._lookups.failed(key)
            return write_options(Options())
        options = reply.options if isinstance(reply, Options) else ()
        self._offered.remember(sent.user_id, options)
        if options or sent.unsearched:  # don't keep the empty answer of a lookup that a newer one replaced
            self._lookups.keep(key, options)
        return write_options(Options(options))

    def _parse(self, sent: DialogRequest, opened: DialogState, values: Values, reads: PermissionReads) -> Call:
        return Call(
            kind=sent.kind,
            path=opened.path,
            person=self._people.named(sent.user_id, reads.user),
            values=self._offered.labelled(sent.user_id, values),
            state=self._dialogs.states.form_state(opened, sent.user_id),
            channel=Channel(id=opened.channel_id) if opened.channel_id else None,
            post=Post(id=opened.post_id, channel_id=opened.channel_id) if opened.post_id else None,
            selected_field=sent.selected_field or chosen_field(values, opened.shape),
            query=sent.query,
            unsearched=sent.unsearched,
            steps=self._dialogs.abilities.steps,
            stays=False,
        )

    def _check_on(self) -> None:
        """Raise TurnedOff while the app is disabled or uninstalled."""
        if self._tokens.turned_off_at:
            raise TurnedOff("turned off by an administrator")

    def _reads(self, person_id: str, seconds: float) -> PermissionReads:
        """What this request reads about the person's permissions. Checking the card's place has extra time."""
        as_bot = self._dispatcher.session(self._bot_token(), Deadline(seconds + _PLACE_SECONDS))
        return self._dispatcher.access.reads(as_bot, person_id)

    def _context(
        self, person: Person, seconds: float, reads: PermissionReads, pressed: PressedCard | None = None
    ) -> Context:
        deadline = Deadline(seconds)
        as_bot = self._dispatcher.session(self._bot_token(), deadline)
        as_person = self._dispatcher.session("", deadline)
        return self._dispatcher.context(person, deadline, reads, as_bot=as_bot, as_person=as_person, pressed=pressed)

    def _dispatch(self, call: Call, context: Context) -> Reply:
        if calls.route(call.path, call.kind).needs is Requirement.ADMINISTRATOR:
            raise NotVerified("the plain host has no administrators")
        return self._dispatcher.dispatch(call, context)

    def _confirm(self, context: Context, reply: Reply) -> None:
        """Send a dialog's result as a direct message, because its answer has no text. Not if a thread shows it."""
        if isinstance(reply, Text) and reply.text and not reply.announced:
            text = reply.text
            self._dispatcher.background.submit(lambda: context.mattermost.send_direct_message(context.person.id, text))

    def _bot_token(self) -> str:
        try:
            return self._tokens.current()
        except NoBotToken:
            return ""


def plain_blueprint(host: PlainHost) -> Blueprint:
    """The routes to which Mattermost sends presses and dialogs."""
    blueprint = Blueprint("plain", __name__)
    answer_errors(blueprint, _write_error)

    @blueprint.post(PRESS_PATH)
    def press() -> ResponseReturnValue:
        return jsonify(host.press(json_body(request)))

    @blueprint.post(DIALOG_PATH)
    def dialog() -> ResponseReturnValue:
        return jsonify(host.dialog(json_body(request)))

    return blueprint


def _write_error(error: AppError, reference: str) -> dict[str, Any]:
    """The answer of the same kind as the request. Any other closes a dialog silently, or shows nothing (recorded)."""
    if request.path.endswith(PRESS_PATH):
        return write_press_error(error, reference)
    try:
        looks_up = json_body(request).get("type") == "dialog_lookup"
    except (AppError, HTTPException):  # it can't be read
        looks_up = False
    return write_options(Options()) if looks_up else write_dialog_error(error, reference, {})
