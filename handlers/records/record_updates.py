"""
What every action on a record does: compare the record with what the person saw, write once, update its cards and
announce the change in their thread.
"""

from collections.abc import Collection, Mapping, Sequence

import structlog

from core.calls import Call, Text
from core.errors import InvalidInput, NotPermitted
from core.records import Record
from core.tables import table_of
from core.upstream_errors import MattermostError, NotSaved, Refused
from handlers.confirmed import confirmed
from handlers.context import Context
from handlers.form_state import RecordRef
from handlers.records.cards import card_of, shown_version
from handlers.records.field_errors import field_errors
from mattermost.cards import record_link
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)

_VALUE_CHARACTERS = 300
_NAME_CHARACTERS = 100
NOT_READ = "ServiceNow did not answer in time, so what it has now is not shown."


class PartlySaved(NotSaved):
    """ServiceNow saved some columns and ignored others. ``after`` is the updated record."""

    def __init__(self, log_message: str, user_message: str, after: Record, saved: Sequence[str]) -> None:
        super().__init__(log_message, f"{user_message} The other fields were saved.")
        self.after = after
        self.saved = saved


def is_stale(seen: RecordRef | None, now: Record) -> bool:
    """Whether somebody changed the record since the person saw it."""
    return seen is not None and seen.sys_mod_count not in {"", now.value("sys_mod_count")}


def stale_header(call: Call, now: Record) -> str:
    """
    `stale_text` as the header of the form that is shown again.

    Raises:
        InvalidInput: With this text, if an open form can't be shown again. Its state can't be updated, so submitting it
            would be refused each time.
    """
    if not call.steps:
        raise InvalidInput({}, stale_text(now, "close this and press the button again to see it"))
    return stale_text(now)


def stale_text(now: Record, then: str = "send this again to overwrite") -> str:
    """Who changed the record, what it is now, and what to do."""
    who = escaped(now.value("sys_updated_by"), 60) or "Somebody"
    shown = [
        f"{label}: **{escaped(now.display(column), _VALUE_CHARACTERS) or 'N/A'}**"
        for label, column in (("State", "state"), ("Priority", "priority"), ("Assigned to", "assigned_to"))
    ]
    return (
        f":warning: **{who}** changed {escaped(now.number, 40)} since you opened it. It is now: "
        f"{', '.join(shown)}. Nothing was saved; {then}."
    )


def update_record(context: Context, now: Record, columns: Mapping[str, str], fields: Collection[str] = ()) -> Record:
    """
    Write *columns* and return the updated record, with its card's columns.

    Args:
        fields: The form's fields, at which a refusal is shown if it is about their columns.

    Raises:
        InvalidInput: ServiceNow refused it because of one of *fields*.
        MayBeSaved: There was no answer, and the lookup couldn't tell either.
        NotSaved: ServiceNow answered with success but didn't save this.
        PartlySaved: As before, but it saved other columns of this write.
        ServiceNowError: Nothing was saved, with the reason.
    """
    # A journal column always reads as empty.
    compared = {name: value for name, value in columns.items() if name not in {"comments", "work_notes"}}
    wanted = tuple(dict.fromkeys((*table_of(now.table).card_columns, *compared)))
    try:
        after = confirmed(
            send=lambda: context.servicenow.records.update(now.table, now.sys_id, columns, wanted),
            look=lambda: _find_update(context, now, compared, wanted),
            address=context.links.record(now.table, now.sys_id),
            what="the record",
        )
    except Refused as refusal:
        raise field_errors(context, now.table, fields, refusal) from refusal
    dropped = [name for name, value in compared.items() if after.value(name) != value]
    if dropped:
        log_message = f"{now.table}: not kept: {', '.join(dropped)}"
        saved = [
            name for name in columns if name not in dropped and (name not in compared or _differs(now, after, name))
        ]
        if saved and _differs(now, after, "sys_mod_count"):
            raise PartlySaved(log_message, _not_kept_text(after, dropped), after, saved)
        raise NotSaved(log_message, _not_kept_text(after, dropped))
    log.info("record changed", table=now.table, sys_id=now.sys_id, columns=sorted(columns))
    return after


def _find_update(context: Context, now: Record, compared: Mapping[str, str], wanted: Sequence[str]) -> Record | None:
    """The record as an unanswered write left it. None if nothing was saved."""
    found = context.servicenow.records.read(now.table, now.sys_id, wanted)
    changed = found.value("sys_mod_count") != now.value("sys_mod_count")
    return found if changed and all(found.value(name) == value for name, value in compared.items()) else None


def _differs(before: Record, after: Record, column: str) -> bool:
    return before.value(column) != after.value(column)


def _not_kept_text(after: Record, dropped: Sequence[str]) -> str:
    if "state" not in dropped:
        return NotSaved.user_message
    state = escaped(after.display("state"), _VALUE_CHARACTERS)
    told = f"ServiceNow left the state at {state}. This transition isn't allowed."
    return f"{told} Use the form in ServiceNow." if table_of(after.table).state_needs_form else told


def announce(call: Call, context: Context, after: Record, line: str, told: str) -> Text:
    """
    Update the record's cards in this channel, post *line* in the thread of one, and answer *told*.

    The thread is that of the card whose button was pressed, or else of the newest card. If Mattermost refuses, the
    record is changed anyway.

    Args:
        line: What the person did. It follows their name, such as ``added a comment``.
        told: The private confirmation.
    """
    ref = RecordRef.to(call, after)
    pressed = [ref.post_id] if ref.post_id else []
    post_ids = dict.fromkeys((*pressed, *context.stores.cards.of(ref.channel_id, after.sys_id)))
    try:
        announced = context.mattermost.announce(
            channel_id=ref.channel_id,
            post_ids=post_ids,
            attachment=card_of(context, after, ref.channel_id),
            shows=shown_version(after),
            root_id=ref.root_id,
            text=f"{escaped(context.display_name, _NAME_CHARACTERS)} {line}",
        )
    except (MattermostError, NotPermitted) as error:
        log.warning("thread line not posted", channel=ref.channel_id, reason=error.log_message)
        announced = False
    return Text(told, announced=announced)


def link_to(context: Context, record: Record) -> str:
    """The record's number as a link."""
    return record_link(record, context.links.record(record.table, record.sys_id))


def change_text(label: str, before: Record, after: Record, column: str) -> str:
    """Such as ``State New → In Progress``, escaped."""
    old, new = (escaped(record.display(column), _VALUE_CHARACTERS) or "N/A" for record in (before, after))
    return f"{label} {old} → {new}"
