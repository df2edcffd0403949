"""Create an incident: open the form, look people and groups up, submit once (spec §7)."""

from collections.abc import Callable, Sequence

from core.calls import Call, Options, Post, Reply, ShowForm, Text, Values
from core.errors import InvalidInput, MattermostError, Refused
from core.menus import Requirement
from core.records import Column, Record
from forms.choices import choices_of
from forms.incident import (
    COLUMNS,
    DESCRIPTION_CHARACTERS,
    LOOKUPS,
    PATH,
    SELECTS,
    SHORT_DESCRIPTION_CHARACTERS,
    incident_form,
)
from forms.mandatory import mandatory_columns
from forms.message import thread_fields
from handlers.attach_thread import attach_thread
from handlers.context import Context
from handlers.conversation import ThreadSource, permalink
from handlers.creating import create_record
from handlers.field_errors import field_errors, in_words
from handlers.idempotency import Attempt
from handlers.mandatory import column_finder, not_shown_text, read_mandatory, refused_columns
from handlers.opened import Opened
from handlers.reference_fields import answer_lookup, chosen, finder, look_up_reference, reference
from handlers.registry import calls
from handlers.subscriptions_create import subscribe_to_new
from mattermost.markdown import first_words, visible

TABLE = "incident"


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Open the form, prefilled from the message on whose menu it was chosen."""
    values = dict(call.values)
    if call.post is not None:
        if not visible(call.post.message) or call.post.type.startswith("system_"):
            return Text(
                "This message has no text to make an incident from. "
                "Use `/servicenow incident create`, or choose another message."
            )
        values |= _from_message(call, call.post, context)
    return _show(call, context, Values(values))


@calls.refresh(PATH, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Build the form again; everything entered stays, but a subcategory of another category."""
    return _show(call, context, call.values, caller_default=False)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer callers, groups or configuration items that match what was typed."""
    extra = {column.name: column for column in _demanded(call, context)}
    if call.selected_field in extra:
        return Options(answer_lookup(call, column_finder(context, extra[call.selected_field])))
    return Options(look_up_reference(call, context, LOOKUPS))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def create(call: Call, context: Context) -> Reply:
    """Create the incident as the person who asked; answer with its link, show its card."""
    opened = Opened.of(call)
    if not call.state and (not visible(call.values.text("short_description")) or _demanded(call, context)):
        # A command: the client opens no modal for what is missing, so we do, with what was typed.
        return _show(call, context, call.values)
    columns = _columns(call, context)
    columns["correlation_id"] = opened.form_id
    try:
        return create_record(TABLE, columns, opened, context, _followed_up(call, opened, context))
    except Refused as refusal:
        known = (*COLUMNS, *(column.name for column in _demanded(call, context)))
        if call.steps and (also := refused_columns(refusal, context.servicenow.cached_columns(TABLE), known)):
            # A data policy that the dictionary does not know: the form is shown again with its fields.
            return _show(call, context, call.values, caller_default=False, also=also, header=refusal.user_message)
        raise field_errors(context, TABLE, known, refusal) from refusal


def _followed_up(call: Call, opened: Opened, context: Context) -> Callable[[Record, Attempt], str]:
    """What else was asked for; its failure does not hide the new incident."""

    def follow_up(record: Record, attempt: Attempt) -> str:
        told = attach_thread(call, record, attempt, context)
        if call.values.flag("subscribe"):
            told.append(subscribe_to_new(context, record, opened.channel_id, f"{opened.form_id}-subscription"))
        return "".join(f"\n\n{one}" for one in told)

    return follow_up


def _demanded(call: Call, context: Context, also: Sequence[str] = ()) -> list[Column]:
    """Columns that this instance demands and the form lacks; those of a refusal come with the form's state."""
    carried = [str(name) for name in call.state.get("also", ())]
    return mandatory_columns(context.servicenow.columns(TABLE), COLUMNS, (*carried, *also))


def _show(
    call: Call,
    context: Context,
    values: Values,
    caller_default: bool = True,
    also: Sequence[str] = (),
    header: str = "",
) -> ShowForm:
    entered, problems = chosen(values, {name: finder(context, name) for name in LOOKUPS})
    account = context.account
    if caller_default and "caller_id" not in entered and account is not None and account.identity.known:
        entered["caller_id"] = account.identity.option
    along = ThreadSource.of(call, context)
    demanded = _demanded(call, context, also)
    texts = {name: values.text(name) for name in ("short_description", "description")}
    elsewhere = not_shown_text(demanded, TABLE, texts, context)
    names = [column.name for column in demanded]
    form = incident_form(
        context.servicenow.columns(TABLE),
        Values(entered),
        state=Opened.of(call).signed(PATH, context, **vars(along), also=names),
        caller_optional=context.settings.caller_optional,
        more=thread_fields(values, messages=along.messages, files=along.files),
        also=names,
        header=" ".join(filter(None, (header, in_words(problems), elsewhere))),
    )
    return ShowForm(form)


def _from_message(call: Call, post: Post, context: Context) -> dict[str, str]:
    """The message whole, with who wrote it and where it stands; its first words as the title."""
    address = permalink(post.id, call.team_name, context)
    try:
        source = f"Mattermost message of @{context.mattermost.username(post.user_id)}: {address}"
    except MattermostError:
        source = f"Mattermost message: {address}"
    room = DESCRIPTION_CHARACTERS - len(source) - 2
    message = post.message if len(post.message) <= room else post.message[: room - 1] + "…"
    return {
        "short_description": first_words(post.message, SHORT_DESCRIPTION_CHARACTERS),
        "description": f"{message}\n\n{source}",
    }


def _columns(call: Call, context: Context) -> dict[str, str]:
    """What is sent to ServiceNow: checked, raw values, empty ones left out."""
    problems: dict[str, str] = {}
    columns: dict[str, str] = {}
    short_description = " ".join(call.values.text("short_description").split())
    description = call.values.text("description").strip()
    if not visible(short_description):
        problems["short_description"] = "Say in a few words what is wrong."
    if len(short_description) > SHORT_DESCRIPTION_CHARACTERS:
        problems["short_description"] = f"At most {SHORT_DESCRIPTION_CHARACTERS} characters fit here."
    if len(description) > DESCRIPTION_CHARACTERS:
        problems["description"] = f"At most {DESCRIPTION_CHARACTERS:,} characters fit here."
    columns |= {"short_description": short_description, "description": description}
    known = context.servicenow.columns(TABLE)
    for name in SELECTS:
        chosen = call.values.text(name)
        allowed = {option.value for option in choices_of(known, name, call.values.text("category"))}
        if chosen and allowed and chosen not in allowed:
            problems[name] = "Choose one of the list."
        columns[name] = chosen[:40]
    for name in LOOKUPS:
        columns[name], problem = reference(call.values.option(name), finder(context, name))
        if problem:
            problems[name] = problem
    columns |= read_mandatory(_demanded(call, context), call.values, context, problems)
    account = context.account
    if not call.state and not columns["caller_id"] and account is not None:
        columns["caller_id"] = account.identity.sys_id  # a command names nobody: the person
    if not columns["caller_id"] and not context.settings.caller_optional and "caller_id" not in problems:
        problems["caller_id"] = "Choose whom this incident is for."
    if problems:
        raise InvalidInput(problems, in_words(problems) if not call.state else None)
    return {name: value for name, value in columns.items() if value}
