"""The form that finds a record and shares it. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from core.calls import Values
from core.fields import (
    AnyField,
    ChannelField,
    Form,
    MarkdownField,
    Option,
    SelectField,
    TextAreaField,
    UserField,
)
from core.tables import Table
from forms.records.record_lookup import record_field, record_words_field

PATH = "record/share"
EVERY_TABLE = "every"
NOTE_CHARACTERS = 1000


def share_form(
    tables: Sequence[Table], values: Values, *, preview: str, state: str, header: str = "", steps: bool = True
) -> Form:
    """
    Build the form: record type, record, and once one is chosen its preview and where it goes.

    Args:
        tables: What may be shared here.
        values: What was entered so far.
        preview: Markdown of the chosen record; "" while none is chosen.
        steps: Whether the form can be shown again; else it holds everything at once.
    """
    options = [Option("All types", EVERY_TABLE), *_labelled(tables)]
    chosen = values.text("table") or EVERY_TABLE
    fields: list[AnyField] = [
        SelectField(
            name="table",
            label="Record type",
            options=options,
            value=chosen if chosen in {option.value for option in options} else EVERY_TABLE,
            refresh=True,
        ),
        replace(record_field(values), refresh=True),
    ]
    if preview:
        fields.append(MarkdownField(name="preview", label="Preview", text=preview))
    if preview or not steps:
        fields += [
            ChannelField(
                name="channel",
                label="Channel",
                description="Any channel that you may post in; empty when a person gets it.",
                value=values.option("channel"),
            ),
            UserField(
                name="person",
                label="Or a person",
                description="As a direct message.",
                value=values.option("person"),
            ),
            TextAreaField(name="note", label="Note", max_length=NOTE_CHARACTERS, value=values.text("note")),
        ]
    label = "Share" if preview or not steps else "Next"
    return Form(path=PATH, title="Share a record", header=header, submit_label=label, state=state, fields=fields)


def share_flags() -> Form:
    """What can be typed behind ``/servicenow share``: a number or words."""
    return Form(path=PATH, title="Share a record", fields=[record_words_field()])


def _labelled(tables: Sequence[Table]) -> list[Option]:
    labels: dict[str, Option] = {}
    for table in tables:
        label = table.label if table.label not in labels else f"{table.label} ({table.name})"
        labels[label] = Option(label, table.name)
    return list(labels.values())
