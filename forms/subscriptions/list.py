"""The forms to list subscriptions, to show one, and to confirm its deletion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.fields import AnyField, Form, LookupField, Option, SelectField
from core.subscriptions import Status

LIST = "subscriptions/list"
SHOW = "subscriptions/show"
DELETE = "subscriptions/delete"
PAUSE = "subscriptions/pause"
RESUME = "subscriptions/resume"
SEND_TEST = "subscriptions/test"

ME, ANYONE = "me", "anyone"
THIS_CHANNEL, ALL_CHANNELS = "this_channel", "all_channels"
ANY = "any"

_OWNERS = (Option("Me", ME), Option("Anyone", ANYONE))
_PLACES = (Option("This channel", THIS_CHANNEL), Option("All channels", ALL_CHANNELS))
_STATUSES = (
    Option("Any status", ANY),
    Option("Active", Status.ACTIVE.value),
    Option("Paused", Status.PAUSED.value),
    Option("Broken", Status.BROKEN.value),
    Option("Waiting", "waiting"),
)


_OWNER_FLAG = SelectField(name="owner", label="Made by", options=_OWNERS, position=1, hint="[me | anyone]")
_PLACE_FLAG = SelectField(name="where", label="In", options=_PLACES, position=2, hint="[this_channel | all_channels]")
LIST_FLAGS = Form(path=LIST, title="Subscriptions", fields=[_OWNER_FLAG, _PLACE_FLAG])


@dataclass(frozen=True, kw_only=True)
class ListFilter:
    """Which subscriptions a list shows. ``table`` and ``status`` are "" for any."""

    owner: str = ME
    where: str = THIS_CHANNEL
    table: str = ""
    status: str = ""


def list_form(
    shown: ListFilter,
    tables: Mapping[str, str],
    lines: Sequence[str],
    picks: Sequence[Option],
    *,
    state: str,
    previous: bool,
    further: bool,
) -> Form:
    """
    Args:
        lines: A line of Markdown per subscription, or a sentence if there are none.
        picks: The same subscriptions as options: numbered label and sys_id.
        previous, further: Whether there is a previous and a next page.
    """
    buttons = [Option("Open", "open")] if picks else []
    if previous:
        buttons.append(Option("Previous", "previous"))
    if further:
        buttons.append(Option("Next", "next"))
    buttons += [Option("Filter", "filter"), Option("Add", "add")]
    fields: list[AnyField] = [SelectField(name="pick", label="Subscription", options=picks)] if picks else []
    table_options = [Option("Any table", ANY), *(Option(label, name) for name, label in tables.items())]
    fields += [
        SelectField(name="owner", label="Made by", options=_OWNERS, value=shown.owner),
        SelectField(name="where", label="In", options=_PLACES, value=shown.where),
        SelectField(name="table", label="Table", options=table_options, value=shown.table or ANY),
        SelectField(name="status", label="Status", options=_STATUSES, value=shown.status or ANY),
        SelectField(name="action", label="Action", options=buttons, buttons=True),
    ]
    return Form(path=LIST, title="Subscriptions", header="\n".join(lines), fields=fields, state=state)


def id_flags(path: str) -> Form:
    """The flags of commands about one subscription, such as ``/servicenow subscriptions edit``."""
    one = LookupField(name="subscription", label="Subscription", position=1, hint="[id]")
    return Form(path=path, title="Subscription", fields=[one])


def detail_form(lines: Sequence[str], status: Status, *, state: str, listed: bool, several: bool) -> Form:
    """
    Show one subscription.

    Args:
        lines: Markdown.
        listed: Whether it was picked from a list, to which the person can return.
        several: Whether the page of that list has other subscriptions.
    """
    match status:
        case Status.ACTIVE:
            change = Option("Pause", "pause")
        case Status.PAUSED:
            change = Option("Resume", "resume")
        case Status.BROKEN:
            change = Option("Try again", "resume")
    buttons = [Option("Edit", "edit"), change, Option("Send a test", "test"), Option("Delete", "delete")]
    if several:
        buttons += [Option("Previous", "previous"), Option("Next", "next")]
    if listed:
        buttons.append(Option("Back to list", "back"))
    action = SelectField(name="action", label="Action", options=buttons, buttons=True)
    return Form(path=SHOW, title="Subscription", header="\n".join(lines), fields=[action], state=state)


def confirm_delete_form(subject: str, place: str, *, state: str) -> Form:
    """Ask before deleting. *subject* is Markdown, *place* is ``channel`` or ``conversation``."""
    buttons = [Option("Delete", "delete"), Option("Keep", "keep")]
    action = SelectField(name="action", label="Action", options=buttons, buttons=True)
    header = (
        f"Delete this subscription? {subject}\n\nIts {place} gets no more notifications, and a message there says so."
    )
    return Form(path=DELETE, title="Delete subscription", header=header, fields=[action], state=state)
