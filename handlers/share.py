"""Find a record and share its card with a channel or a person (spec §8)."""

import structlog

from core.calls import Call, Channel, Options, Reply, ShowForm, Text, Value, Values, is_mattermost_id
from core.errors import InvalidInput, MayNotPost
from core.fields import Option
from core.menus import Requirement
from core.records import Record
from core.tables import shared_tables
from core.upstream_errors import MattermostRefused, NotFound
from forms.record import RECORD, record_option
from forms.share import NOTE_CHARACTERS, PATH, share_form
from handlers.cards import post_card_once
from handlers.context import Context
from handlers.idempotency import Attempt, once
from handlers.opened import Opened
from handlers.record_lookup import NoSuchRecord, look_up_records, requested_record, resolve_record, shared_table_names
from handlers.record_updates import link_to
from handlers.registry import calls
from mattermost.cards import record_summary, record_title
from mattermost.markdown import escaped, quoted

log = structlog.get_logger(__name__)

_PREVIEWED = 4  # fields beside the title: those that a search in all tables finds, too


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Open the form; the channel is the one being viewed."""
    return _show(call, context, call.values)


@calls.refresh(PATH, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Another type forgets the record; a chosen record shows its preview."""
    values = dict(call.values)
    if call.selected_field == "table":
        values.pop(RECORD, None)
    return _show(call, context, Values(values))


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records of the chosen type, or of all."""
    chosen = call.values.text("table")
    names = shared_table_names(context)
    return Options(look_up_records(call, context, [chosen] if chosen in names else names))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def share(call: Call, context: Context) -> Reply:
    """Read the record once more, with the sharer's rights, and post its card."""
    if not call.state:
        return _typed(call, context)
    option = call.values.option(RECORD)
    if option is None:
        raise InvalidInput({RECORD: "Choose the record to share."})
    if call.steps and not call.state.get("asked"):
        return _show(call, context, call.values)  # the record was typed and sent before its preview came
    place = _place(call)
    note = call.values.text("note").strip()
    if len(note) > NOTE_CHARACTERS:
        raise InvalidInput({"note": f"At most {NOTE_CHARACTERS:,} characters fit here."})
    opened = Opened.of(call)

    def work(attempt: Attempt) -> Text:
        try:
            record = requested_record(call, context)
        except NotFound as error:
            raise InvalidInput({RECORD: error.user_message}, error.user_message) from error
        assert record is not None  # the field is filled
        attempt.made(record)
        text = _shared(record, place, note, opened, attempt, context)
        log.info("record shared", table=record.table, sys_id=record.sys_id, person=context.person.id)
        return Text(text)

    return once(opened.form_id, context, work)


def _typed(call: Call, context: Context) -> Reply:
    """A command: what was typed is looked for, and the form opens with what was found."""
    if call.values.option(RECORD) is None:
        return _show(call, context, Values())
    try:
        record = requested_record(call, context)
    except NoSuchRecord as error:
        return _show(call, context, Values(), header=error.user_message)
    assert record is not None  # something was typed
    return _show(call, context, Values({RECORD: record_option(record)}), record=record)


def _show(call: Call, context: Context, values: Values, *, record: Record | None = None, header: str = "") -> ShowForm:
    entered: dict[str, Value] = dict(values)
    option = values.option(RECORD)
    preview = ""
    if option is not None:
        record = record or _seen(option, context)
        address = context.links.record(record.table, record.sys_id)
        preview = record_summary(record, address, _PREVIEWED)
    if "channel" not in entered and "person" not in entered and call.channel is not None:
        entered |= _here(call.channel)
    form = share_form(
        shared_tables(context.settings.shared_tables),
        Values(entered),
        preview=preview,
        state=Opened.of(call).signed(PATH, context, asked=bool(preview)),
        header=header,
        steps=call.steps,
    )
    return ShowForm(form)


def _here(channel: Channel) -> dict[str, Value]:
    """The viewed channel as the default; a direct or group message, which clients do not list, is there too."""
    name = "This conversation" if channel.type in {"D", "G"} else channel.display_name or channel.name
    return {"channel": Option(name, channel.id)} if name and not channel.archived else {}


def _seen(option: Option, context: Context) -> Record:
    """The chosen record as the search found it; read only where that is forgotten."""
    table, _, sys_id = option.value.partition(".")
    return context.servicenow.records.found(table, sys_id) or resolve_record(context, option)


def _place(call: Call) -> tuple[str, Option]:
    """Where the card goes: ``channel`` or ``person``, and which."""
    channel, person = call.values.option("channel"), call.values.option("person")
    if channel is not None and person is not None and channel.value != call.state.get("channel_id"):
        raise InvalidInput({"person": "Choose a channel or a person, not both: clear one of them."})
    if person is not None:
        return "person", _chosen("person", person)
    if channel is not None:
        return "channel", _chosen("channel", channel)
    raise InvalidInput({"channel": "Choose a channel, or a person below."})


def _chosen(kind: str, option: Option) -> Option:
    """A choice that names an id, as every entry of the list does; a client can send anything."""
    if not is_mattermost_id(option.value):
        raise InvalidInput({kind: f"Choose a {kind} from the list."})
    return option


def _shared(
    record: Record, place: tuple[str, Option], note: str, opened: Opened, attempt: Attempt, context: Context
) -> str:
    kind, target = place
    try:
        channel_id = context.mattermost.direct_channel(target.value) if kind == "person" else target.value
        here = channel_id == opened.channel_id
        post_card_once(
            context,
            attempt,
            record,
            channel_id=channel_id,
            root_id=opened.root_id if here else "",
            did="shared",
            message=quoted(note, NOTE_CHARACTERS) if note else "",
        )
    except MayNotPost as error:
        raise InvalidInput({kind: error.user_message}, f"{error.user_message} Nothing was shared.") from error
    except MattermostRefused as error:
        raise InvalidInput({kind: "Mattermost does not let you write there."}, f"{error.user_message}") from error
    where = escaped(target.label, 100)
    title = escaped(record_title(record).partition(": ")[2], 160)
    return f"Shared {link_to(context, record)} ({title}) with {where}."
