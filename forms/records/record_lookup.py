"""What the forms about one record share: choosing it, and a title with its number. Pure."""

import unicodedata
from collections.abc import Sequence

from core.calls import Values
from core.fields import TITLE_BYTES, AnyField, Form, LookupField, Option, TextField
from core.records import Record

RECORD = "record"
MOST_LABEL = 150  # characters of a record in a list of options
_KEPT = "\u200c\u200d\t\n\r"


def record_field(values: Values, *, position: int = 0, required: bool = True) -> LookupField:
    """A record by number or words."""
    return LookupField(
        name=RECORD,
        label="Record",
        hint="Number, or two letters of its text",
        description="Twenty are shown at most; type more to narrow them down.",
        required=required,
        position=position,
        value=values.option(RECORD),
    )


def record_words_field() -> TextField:
    """The rest of a command's line: a record's number, or keywords."""
    return TextField(name=RECORD, label="Record", hint="[number or words]", position=-1, max_length=200)


def pick_form(path: str, title: str, values: Values, *, more: Sequence[AnyField] = (), header: str = "") -> Form:
    """Ask which record is meant, for a command that named none or one that is not clear."""
    return Form(path=path, title=title, header=header, submit_label="Next", fields=[record_field(values), *more])


def titled(words: str, number: str) -> str:
    """*words* and the number, or *words* alone where a dialog's title has no room for both."""
    title = f"{words} {number}".strip()
    return title if len(title.encode()) <= TITLE_BYTES else words


def record_option(record: Record) -> Option:
    """A record as a choice: number and text; the value names its table, too, and its word is the number."""
    text = " ".join(_visible(record.value("short_description")).split())
    label = f"{record.number}: {text}" if text else record.number
    label = label if len(label) <= MOST_LABEL else label[: MOST_LABEL - 1] + "…"
    return Option(label, f"{record.table}.{record.sys_id}", record.number)


def _visible(text: str) -> str:
    """Without marks that turn the writing direction and other signs that only steer; what joins emoji stays."""
    return "".join(one for one in text if one in _KEPT or unicodedata.category(one) not in {"Cc", "Cf"})
