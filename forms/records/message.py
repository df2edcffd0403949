"""Add a message, its thread, and its files to a record."""

from collections.abc import Sequence

from core.calls import Values
from core.fields import AnyField, Form, Option, SelectField, SwitchField
from forms.choices import among
from forms.records.record_lookup import record_field

PATH = "message/add"

COMMENT, WORK_NOTE = "comments", "work_notes"
_KINDS = (
    Option("Work note (people with a role see it)", WORK_NOTE),
    Option("Comment (the caller sees it, too)", COMMENT),
)


def message_form(values: Values, *, messages: int, files: int, state: str) -> Form:
    """
    Args:
        values: What was entered or found in the message; ``record`` is the record that it mentions.
        messages, files: How many the thread has. A message without a thread counts as one.
    """
    kind = among(_KINDS, values.text("kind")) or WORK_NOTE  # by default, the caller doesn't see the conversation
    return Form(
        path=PATH,
        title="Add to record",
        submit_label="Add",
        state=state,
        fields=[
            record_field(values),
            SelectField(name="kind", label="Add as", options=_KINDS, value=kind, required=True),
            *thread_fields(values, messages=messages, files=files),
        ],
    )


def thread_fields(values: Values, *, messages: int, files: int) -> Sequence[AnyField]:
    """Switches to also add the thread and the files, if there are any."""
    fields: list[AnyField] = []
    if messages > 1:
        whole = values.flag("whole_thread")
        description = f"All {messages} messages, each with author, time and link."
        fields.append(SwitchField(name="whole_thread", label="The whole thread", description=description, value=whole))
    if files:
        label, value = "Files too" if files > 1 else "The file too", values.flag("files") if "files" in values else True
        description = "As attachments of the record."
        fields.append(SwitchField(name="files", label=label, description=description, value=value))
    return fields
