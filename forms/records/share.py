"""Find a record and share it."""

from collections.abc import Sequence
from dataclasses import replace

from core.calls import Values
from core.fields import AnyField, ChannelField, Form, MarkdownField, Option, SelectField, TextAreaField, UserField
from core.tables import Table
from forms.choices import among
from forms.records.record_lookup import record_field, search_flags

PATH = "record/share"
_TITLE = "Share a record"
SHARE_FLAGS = search_flags(PATH, _TITLE)
EVERY_TABLE = "every"
NOTE_CHARACTERS = 1000


def share_form(
    tables: Sequence[Table], values: Values, *, preview: str, state: str, header: str = "", steps: bool = True
) -> Form:
    """
    The preview and the destination appear when a record is chosen.

    Args:
        tables: The shared tables.
        preview: Markdown of the chosen record; "" if none is chosen.
        steps: Whether the form can be shown again. If not, it has all fields from the start.
    """
    options = [Option("All types", EVERY_TABLE), *_table_options(tables)]
    chosen = among(options, values.text("table")) or EVERY_TABLE
    fields: list[AnyField] = [
        SelectField(name="table", label="Record type", options=options, value=chosen, refresh=True),
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
                name="person", label="Or a person", description="As a direct message.", value=values.option("person")
            ),
            TextAreaField(name="note", label="Note", max_length=NOTE_CHARACTERS, value=values.text("note")),
        ]
    label = "Share" if preview or not steps else "Next"
    return Form(path=PATH, title=_TITLE, header=header, submit_label=label, state=state, fields=fields)


def _table_options(tables: Sequence[Table]) -> list[Option]:
    labels: dict[str, Option] = {}
    for table in tables:
        label = table.label if table.label not in labels else f"{table.label} ({table.name})"
        labels[label] = Option(label, table.name)
    return list(labels.values())
