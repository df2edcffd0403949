"""What forms about one record have in common: a field to choose it, and a title with its number."""

import unicodedata

from core.calls import Values
from core.fields import TITLE_BYTES, AnyField, Form, LookupField, Option, TextField
from core.records import Record

RECORD = "record"
MOST_LABEL = 150  # characters of a record in a list of options
_KEPT = "\u200c\u200d\t\n\r"


def record_field(values: Values, *, position: int = 0, required: bool = True) -> LookupField:
    return LookupField(
        name=RECORD,
        label="Record",
        hint="Number, or two letters of its text",
        description="Twenty are shown at most; type more to narrow them down.",
        required=required,
        position=position,
        value=values.option(RECORD),
    )


def record_flags(path: str, title: str, *more: AnyField) -> Form:
    """What people can type after a command about one record: its number, then *more*."""
    return Form(path=path, title=title, fields=[record_field(Values(), position=1, required=False), *more])


def search_flags(path: str, title: str) -> Form:
    """What people can type after a command that finds a record: its number or keywords."""
    words = TextField(name=RECORD, label="Record", hint="[number or words]", position=-1, max_length=200)
    return Form(path=path, title=title, fields=[words])


def pick_form(path: str, title: str, header: str = "", values: Values | None = None, *more: AnyField) -> Form:
    """Ask for the record of a command that named none, or an ambiguous one. *header* says why."""
    field = record_field(values or Values())
    return Form(path=path, title=title, header=header, submit_label="Next", fields=[field, *more])


def titled(words: str, number: str) -> str:
    """*words* and the number, or *words* alone if a dialog's title has no room for both."""
    title = f"{words} {number}".strip()
    return title if len(title.encode()) <= TITLE_BYTES else words


def record_option(record: Record) -> Option:
    """A record as a choice. Its value contains the table and the sys_id; its word is the number."""
    text = " ".join(_without_control_characters(record.value("short_description")).split())
    label = f"{record.number}: {text}" if text else record.number
    label = label if len(label) <= MOST_LABEL else label[: MOST_LABEL - 1] + "…"
    return Option(label, f"{record.table}.{record.sys_id}", record.number)


def _without_control_characters(text: str) -> str:
    """Also without marks that change the writing direction. Emoji keep their joiners."""
    return "".join(one for one in text if one in _KEPT or unicodedata.category(one) not in {"Cc", "Cf"})
