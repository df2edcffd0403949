"""The form to add or edit a subscription."""

from collections.abc import Mapping, Sequence

from core.calls import Values
from core.fields import (
    AnyField,
    ChannelField,
    Form,
    MultiSelectField,
    Option,
    SelectField,
    SwitchField,
    TextAreaField,
    TextField,
)
from core.records import Column
from core.subscriptions import DEFAULT_EVENTS, EVENT_LABELS, FILTER_CHARACTERS, NAME_CHARACTERS, PRIORITIES, Event
from core.tables import table_of
from forms.choices import among, choices_of, lookup

ADD = "subscriptions/add"
EDIT = "subscriptions/edit"

ONE_RECORD, WHOLE_TABLE = "record", "table"
SAVE, TEST = "save", "test"
LOOKUPS = ("assignment_group", "cmdb_ci")
FILTER_FIELDS = ("priority", "assignment_group", "category", "cmdb_ci", "text", "filter")
TEXT_CHARACTERS = 100

_KINDS = (Option("A whole table", WHOLE_TABLE), Option("One record", ONE_RECORD))
_PRIORITY_LABELS = {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning"}
_LOOKUP_LABELS = {"assignment_group": "Assignment group", "cmdb_ci": "Configuration item"}


def subscription_form(
    tables: Mapping[str, str],
    columns: Mapping[str, Column],
    values: Values,
    *,
    path: str,
    state: str,
    fresh: bool,
    header: str = "",
) -> Form:
    """
    Args:
        tables: Labels of the tables that can be subscribed to, by name.
        columns: Columns of the chosen table that the person can see.
        path: `ADD` or `EDIT`.
        fresh: Whether the form is opened now, so that empty fields get their defaults.
    """
    table, kind = chosen_table(values, tables), kind_of(values)
    save = Option("Subscribe" if path == ADD else "Save", SAVE)
    return Form(
        path=path,
        title="Add subscription" if path == ADD else "Edit subscription",
        header=header,
        state=state,
        fields=[
            ChannelField(name="channel", label="Channel", value=values.option("channel")),
            SwitchField(
                name="direct",
                label="Send to me alone",
                description="As direct messages of the bot, instead of in a channel.",
                value=values.flag("direct"),
            ),
            SelectField(name="kind", label="What to follow", options=_KINDS, value=kind, required=True, refresh=True),
            SelectField(
                name="table",
                label="Table",
                options=[Option(label, name) for name, label in tables.items()],
                value=table,
                required=True,
                refresh=True,
            ),
            *_record(values, kind),
            MultiSelectField(
                name="events",
                label="Events",
                required=True,
                options=[Option(EVENT_LABELS[event], event.value) for event in events_of(table, kind)],
                value=_events(values, table, kind, fresh),
            ),
            *(_filters(columns, values, table) if kind == WHOLE_TABLE else ()),
            TextField(
                name="name",
                label="Name",
                hint="How it is called in lists",
                max_length=NAME_CHARACTERS,
                value=values.text("name")[:NAME_CHARACTERS],
            ),
            _switch("show_comment", "Show comment text", values, default=True),
            _switch("in_thread", "Reply in a thread", values, default=True),
            _switch("mention_assignee", "Mention the assignee", values, default=False),
            SelectField(name="action", label="Action", options=[save, Option("Test", TEST)], buttons=True),
        ],
    )


def chosen_table(values: Values, tables: Mapping[str, str]) -> str:
    """The chosen table, or else the first one."""
    chosen = values.text("table")
    return chosen if chosen in tables else next(iter(tables))


def kind_of(values: Values) -> str:
    """`ONE_RECORD` or `WHOLE_TABLE`."""
    return ONE_RECORD if values.text("kind") == ONE_RECORD else WHOLE_TABLE


def events_of(table: str, kind: str) -> list[Event]:
    """The events to choose from. A single record exists already, so its creation isn't offered."""
    return [event for event in table_of(table).events if kind == WHOLE_TABLE or event is not Event.CREATED]


def _events(values: Values, table: str, kind: str, fresh: bool) -> list[str]:
    chosen = [option.value for option in values.options("events")]
    if fresh and not chosen:
        chosen = [event.value for event in DEFAULT_EVENTS]
    offered = {event.value for event in events_of(table, kind)}
    return [event for event in chosen if event in offered]


def _record(values: Values, kind: str) -> Sequence[AnyField]:
    if kind != ONE_RECORD:
        return ()
    return (lookup("record", "Record", "Its number, or words of its title", values, required=True),)


def _filters(columns: Mapping[str, Column], values: Values, table: str) -> list[AnyField]:
    fields: list[AnyField] = []
    for name in table_of(table).filter_columns:
        match name:
            case "priority":
                fields.append(_priority(columns, values))
            case "category":
                if options := choices_of(columns, name):
                    chosen = among(options, values.text(name))
                    fields.append(SelectField(name=name, label="Category", options=options, value=chosen))
            case _:
                fields.append(lookup(name, _LOOKUP_LABELS[name], "Two letters of its name", values))
    text = values.text("text")[:TEXT_CHARACTERS]
    fields.append(TextField(name="text", label="Text contains", max_length=TEXT_CHARACTERS, value=text))
    fields.append(
        TextAreaField(
            name="filter",
            label="Encoded query",
            description="For what the fields above can't say, such as priority=1^state!=6",
            max_length=FILTER_CHARACTERS,
            value=values.text("filter")[:FILTER_CHARACTERS],
        )
    )
    return fields


def _priority(columns: Mapping[str, Column], values: Values) -> SelectField:
    labels = _PRIORITY_LABELS | {option.value: option.label for option in choices_of(columns, "priority")}
    options = [Option(labels[value] if value == "1" else f"{labels[value]} or above", value) for value in PRIORITIES]
    chosen = among(options, values.text("priority"))
    return SelectField(name="priority", label="Priority at least", options=options, value=chosen)


def _switch(name: str, label: str, values: Values, *, default: bool) -> SwitchField:
    return SwitchField(name=name, label=label, value=values.flag(name) if name in values else default)
