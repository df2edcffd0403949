"""Presses of cards' buttons and what dialogs send: verify, hand over, answer (design §4, "Plain host")."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import structlog
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from core.calls import Call, Channel, Kind, Options, Person, Post, Reply, ShowForm, Text, Values
from core.errors import AppError, NotInChannel, NotVerified, StillWorking, Suspended, TurnedOff
from core.fields import Form
from core.menus import CardKey, Requirement
from core.times import Deadline
from core.upstream_errors import MattermostRefused
from handlers.context import Context
from handlers.registry import calls
from handlers.reminders import remind_of_suspension
from mattermost.bot_tokens import NoBotToken
from mattermost.card_buttons import CardButtons
from mattermost.direct_cards import PressedCard, members_of
from mattermost.markdown import unmarked
from mattermost.paths import Id, Path, api
from mattermost.permission_reads import PermissionReads
from mattermost.plain import (
    DialogRequest,
    PressRequest,
    read_dialog,
    read_press,
    write_dialog_again,
    write_dialog_error,
    write_options,
    write_press,
    write_press_error,
)
from mattermost.plain_forms import Abilities, clearable, elements_of, filled, shape_of, write_dialog
from mattermost.plain_values import chosen_field, field_of, held, read_lookup, read_submission
from mattermost.server import Server
from mattermost.session import Session
from mattermost.shown import SHOWS
from mattermost.triggers import ExpiredTrigger, Triggers
from web.calls import SECONDS, Door
from web.plain_memory import Answers, Forms, Offered, People, UsedDialogs
from web.plain_states import SECONDS as DIALOG_SECONDS
from web.plain_states import DialogState, DialogStates
from web.refusals import log_refusal, proved
from web.verify import payload

log = structlog.get_logger(__name__)

PRESS_PATH = "/plain/press"
DIALOG_PATH = "/plain/dialog"

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
    states: DialogStates
    used: UsedDialogs
    answers: Answers
    forms: Forms
    offered: Offered = field(default_factory=Offered)

    @classmethod
    def of(cls, door: Door, buttons: CardButtons, bot_token: Callable[[], str], app_url: str) -> "PlainHost":
        """The plain host beside the Apps host's *door*."""
        clock = door.services.clock
        server = Server(door.client, clock)
        triggers = Triggers(server, clock)
        return cls(
            door=door,
            server=server,
            triggers=triggers,
            buttons=buttons,
            bot_token=bot_token,
            app_url=app_url,
            people=People(clock),
            states=DialogStates(door.services.signer, clock),
            used=UsedDialogs(clock, DIALOG_SECONDS),
            answers=Answers(clock),
            forms=Forms(clock, DIALOG_SECONDS),
        )

    def press(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a button says, or open its dialog. Both proofs come before everything else."""
        button = self.buttons.read(body.get("context"))
        self.triggers.check(body.get("trigger_id"), body.get("user_id"))
        proved()
        self._check_on()
        pressed = read_press(body)
        card = button.card
        if card.channel_id != pressed.channel_id:
            raise NotVerified("button: pressed in another channel than its card's")
        kind = button.action.kind
        self.door.limits.check(pressed.user_id, kind)
        seconds = _OPENING_SECONDS if kind is Kind.FORM else SECONDS[kind]
        reads = self._reads(pressed.user_id, seconds)
        place = api("posts", Id(pressed.post_id))
        if kind is Kind.FORM:
            reads.read(reads.member_path(card.channel_id), place, *self._unknown(reads))
        else:
            reads.read(*reads.paths(card.channel_id), place)
        direct = self._check_member(card.channel_id, reads, pressed)
        self._check_place(card, reads, place, direct=direct)
        call = Call(
            kind=kind,
            path=button.action.path,
            person=self.people.named(pressed.user_id, reads.user),
            state={**vars(card), "post_id": pressed.post_id},
            channel=Channel(id=card.channel_id),
            steps=self._abilities().steps,
            stays=False,
        )
        own_card = PressedCard.of(pressed.post_id, pressed.context) if direct and self._proved(pressed) else None
        context = self._context(call.person, seconds, reads, own_card)
        reply = self._answer(call, context)
        if isinstance(reply, ShowForm):
            self._open(reply.form, call, pressed, direct=direct)
            return {}
        return write_press(reply, own_card.update if own_card else None)

    def _check_on(self) -> None:
        """Refuse while the app is disabled or uninstalled: administrators were told that nobody can use it."""
        installation = self.door.installations.get()
        if installation is not None and installation.turned_off_at:
            raise TurnedOff("turned off by an administrator")

    def _reads(self, person_id: str, seconds: float) -> PermissionReads:
        """What is read about the person in this request; checking the place has time of its own."""
        as_bot = Session(self.door.client, self.bot_token(), Deadline(seconds + _PLACE_SECONDS))
        return self.door.access.reads(as_bot, person_id)

    def _unknown(self, reads: PermissionReads) -> list[Path]:
        return [] if self.people.knows(reads.person_id) else [reads.user_path()]

    def _check_member(self, channel_id: str, reads: PermissionReads, pressed: PressRequest | None = None) -> bool:
        """
        Refuse somebody who is not in the card's channel: Mattermost forwards such presses (recorded).

        The bot can't ask about direct and group messages of others. Who is in a direct message is in the channel's
        name, which Mattermost sends along with a press; who is in a group message is in its cards' buttons. Buttons
        that don't tell are answered and update nothing. True where it is such a message.
        """
        try:
            reads.member(channel_id)
        except MattermostRefused as error:
            person_id = reads.person_id
            if error.status == HTTPStatus.FORBIDDEN and pressed is not None and pressed.may_be_in(person_id):
                members = self._members(pressed)
                if members is None or person_id in members:
                    return True
            if error.status == HTTPStatus.UNAUTHORIZED:
                raise NoBotToken(f"refused: {error}") from error
            raise NotInChannel(f"not a member, or not to be found out: {error}") from error
        return False

    def _members(self, pressed: PressRequest) -> frozenset[str] | None:
        return members_of(self.door.services.signer, pressed.channel_id, pressed.context)

    def _proved(self, pressed: PressRequest) -> bool:
        """Whether the presser, who passed `_check_member`, is known to be in the direct or group message."""
        return pressed.in_direct or self._members(pressed) is not None

    def _check_place(self, card: CardKey, reads: PermissionReads, place: Path, *, direct: bool) -> None:
        """
        Refuse a card's token on a post that shows another record, or that is elsewhere.

        In a *direct* message of others the card is a person's post, which the bot can't read; there the token and
        the channel have to do.
        """
        try:
            post = reads.get(reads.ask, place)
        except MattermostRefused as error:
            if direct:
                return
            raise NotVerified(f"button: its post can't be read: {error}") from error
        shows = (post.get("props") or {}).get(SHOWS) if isinstance(post, Mapping) else None
        known = shows if isinstance(shows, Mapping) else {}
        if (known.get("table"), known.get("sys_id")) != (card.table, card.sys_id):
            raise NotVerified("button: its card is another record's")
        if post.get("channel_id") != card.channel_id:
            raise NotVerified("button: its post is in another channel")

    def dialog(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A dialog's submit, refresh or look-up; what we signed when it opened comes before everything else."""
        opened = self.states.read(body.get("state"), body.get("user_id"))
        proved()
        sent = read_dialog(body)
        if sent.cancelled:
            return {}
        if sent.kind is Kind.LOOKUP:
            return self._look_up(sent, opened)
        values = None
        try:
            self._check_on()
            self.door.limits.check(sent.user_id, sent.kind)
            self.used.check(opened.id)
            values = read_submission(sent.submission, opened.shape)
            reads = self._reads(sent.user_id, SECONDS[sent.kind])
            if sent.kind is Kind.SUBMIT and not opened.direct:
                reads.read(*reads.paths(opened.channel_id))
            call = self._call(sent, opened, values, reads)
            context = self._context(call.person, SECONDS[sent.kind], reads)
            if sent.kind is Kind.REFRESH:
                return self._next(self._answer(call, context), opened, sent)
            with self.used.once(opened.id) as done:
                if not opened.direct:
                    self._check_member(opened.channel_id, reads)
                reply = self._answer(call, context)
                if isinstance(reply, ShowForm):
                    return self._next(reply, opened, sent)
                done()
        except AppError as error:
            return self._refused(error, opened, sent, values)
        self._confirm(reply, call, context)
        return {}

    def _refused(
        self, error: AppError, opened: DialogState, sent: DialogRequest, values: Values | None
    ) -> dict[str, Any]:
        """
        What went wrong. Where something was entered that can be emptied, the form is drawn anew with other names:
        the web client would send what is emptied now as it was before.
        """
        abilities, reference = self._abilities(), log_refusal(error)
        form = self.forms.get(sent.state) if abilities.steps and sent.kind is Kind.SUBMIT else None
        stays = isinstance(error, NotVerified | StillWorking | TurnedOff)
        if form is None or values is None or stays or not clearable(form, values):
            return write_dialog_error(error, reference, elements_of(opened.shape), markdown=abilities.steps)
        form = filled(form, self.offered.named(sent.user_id, values))
        elements = elements_of(shape_of(form, abilities, held(sent.submission, opened.shape)))
        drawn = self._next(ShowForm(form), opened, sent)["form"]
        return write_dialog_again(drawn, write_dialog_error(error, reference, elements))

    def _look_up(self, sent: DialogRequest, opened: DialogState) -> dict[str, Any]:
        """
        Options, whatever went wrong: the web client repeats a look-up that failed, without a pause, until its
        dialog closes (recorded). *opened* is the first step's, also later (recorded).
        """
        values = read_lookup(sent.submission, opened.shape)
        chosen = tuple(values.text(name) for name in opened.shape.get("choices", ()))
        field_name = field_of(sent.selected_field)
        asked = (sent.user_id, opened.id, opened.path, field_name, " ".join(sent.query.split()), chosen)
        try:
            self._check_on()
            known = self.answers.get(asked)
            if known is not None:
                return write_options(Options(known))
            self.door.limits.check(sent.user_id, sent.kind)
            self.used.check(opened.id)
            reads = self._reads(sent.user_id, SECONDS[Kind.LOOKUP])
            call = self._call(replace(sent, selected_field=field_name), opened, values, reads)
            reply = self._answer(call, self._context(call.person, SECONDS[Kind.LOOKUP], reads))
        except AppError as error:
            log.info("look-up failed", error=type(error).__name__, detail=error.log_message)
            self.answers.failed(asked)
            return write_options(Options())
        options = reply.options if isinstance(reply, Options) else ()
        self.offered.remember(sent.user_id, options)
        if options or sent.unsearched:  # one that was overtaken by a newer one is empty, too
            self.answers.keep(asked, options)
        return write_options(Options(options))

    def _call(self, sent: DialogRequest, opened: DialogState, values: Values, reads: PermissionReads) -> Call:
        return Call(
            kind=sent.kind,
            path=opened.path,
            person=self.people.named(sent.user_id, reads.user),
            values=self.offered.named(sent.user_id, values),
            state=self.states.form_state(opened, sent.user_id),
            channel=Channel(id=opened.channel_id) if opened.channel_id else None,
            post=Post(id=opened.post_id, channel_id=opened.channel_id) if opened.post_id else None,
            selected_field=sent.selected_field or chosen_field(values, opened.shape),
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

    def _open(self, form: Form, call: Call, pressed: PressRequest, *, direct: bool) -> None:
        abilities = self._abilities()
        opened = DialogState(
            path=form.path,
            state=form.state,
            shape=shape_of(form, abilities),
            channel_id=call.state.get("channel_id", ""),
            post_id=pressed.post_id,
            direct=direct,
        )
        url, state = self.app_url + DIALOG_PATH, self.states.sign(opened, call.person.id)
        self.forms.keep(state, form)
        body = {
            "trigger_id": pressed.trigger_id,
            "url": url,
            "dialog": write_dialog(form, abilities, state=state, url=url),
        }
        try:
            self.door.client.request(
                "POST", api("actions", "dialogs", "open"), token="", deadline=Deadline(10.0), json=body
            )
        except MattermostRefused as error:
            raise ExpiredTrigger(f"dialog not opened: {error}") from error

    def _next(self, reply: Reply, opened: DialogState, sent: DialogRequest) -> dict[str, Any]:
        """The next form, or the same one anew."""
        if not isinstance(reply, ShowForm):
            raise TypeError(f"no form in {type(reply).__name__}")
        form, abilities = reply.form, self._abilities()
        if not abilities.steps:
            # An old server can't show it: what it would have said stands above the fields that are open.
            words = form.header or "More is needed than this Mattermost version can ask for here."
            return {"error": unmarked(f"{words} Use `/servicenow` instead.")}
        taken = held(sent.submission, opened.shape)
        then = replace(opened, path=form.path, state=form.state, shape=shape_of(form, abilities, taken))
        url, state = self.app_url + DIALOG_PATH, self.states.sign(then, sent.user_id)
        self.forms.keep(state, form)
        return {"type": "form", "form": write_dialog(form, abilities, state=state, url=url, taken=taken)}

    def _confirm(self, reply: Reply, call: Call, context: Context) -> None:
        """A dialog's answer has no text: what the thread does not say already is said directly."""
        if isinstance(reply, Text) and reply.text and not reply.announced:
            text = reply.text
            self.door.background.submit(lambda: context.mattermost.tell(call.person.id, text))

    def _context(
        self, person: Person, seconds: float, reads: PermissionReads, pressed: PressedCard | None = None
    ) -> Context:
        door, deadline = self.door, Deadline(seconds)
        as_bot = Session(door.client, self.bot_token(), deadline)
        as_person = Session(door.client, "", deadline)
        return door.context_of(person, deadline, reads, as_bot, as_person, pressed)

    def _abilities(self) -> Abilities:
        return Abilities.of(self.server.facts().version)

    def _tell_suspended(self, person_id: str, context: Context) -> None:
        services = self.door.services
        self.door.background.submit(
            lambda: remind_of_suspension(
                services.stores.accounts,
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
            return jsonify(write_press_error(error, log_refusal(error)))

    @blueprint.post(DIALOG_PATH)
    def dialog() -> ResponseReturnValue:
        try:
            return jsonify(host.dialog(payload(request)))
        except AppError as error:
            return jsonify(_dialog_error(error))

    @blueprint.errorhandler(Exception)
    def _unexpected(error: Exception) -> ResponseReturnValue:
        # Anything else than these two shapes closes a dialog, and leaves a press, without a word (recorded).
        log.error("unexpected", exc_info=error)
        told = AppError(f"unexpected {type(error).__name__}")
        if request.path.endswith(PRESS_PATH):
            return jsonify(write_press_error(told, log_refusal(told)))
        return jsonify(_dialog_error(told))

    return blueprint


def _dialog_error(error: AppError) -> dict[str, Any]:
    """An error for which no dialog of ours is known; a look-up gets nothing to choose from, or it comes again."""
    reference = log_refusal(error)
    try:
        looks_up = payload(request).get("type") == "dialog_lookup"
    except AppError:
        looks_up = False
    if looks_up:
        return write_options(Options())
    return write_dialog_error(error, reference, {})
