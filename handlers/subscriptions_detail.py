"""One subscription as it is seen: what it is about, how it is doing, and the way to it."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from core.calls import Call, Reply, ShowForm
from core.errors import MattermostError
from core.subscriptions import Status, Subscription
from forms.subscriptions_list import SHOW, detail_form
from handlers.context import Context
from handlers.opened import LIFE
from handlers.subscriptions_form import names_in, read_title
from handlers.subscriptions_permissions import owner_of
from handlers.subscriptions_text import events_text, filter_text, options_text, standing, status_text, subject
from mattermost.markdown import escaped


def show_detail(call: Call, context: Context, subscription: Subscription, *, note: str = "") -> Reply:
    """Show *subscription*; the place in the list where it was picked stays. *note* stands above."""
    status, _ = standing(subscription, context.stores.grants.get(subscription.sys_id))
    record = read_title(subscription, context)
    wanted = context.servicenow.subscriptions(context.settings.app_url).decode(
        subscription.filter_query, subscription.table
    )
    columns = context.servicenow.cached_columns(subscription.table)
    facts = [
        ("Follows", subject(subscription, record, context)),
        ("Events", events_text(subscription.events)),
        ("Only", filter_text(wanted, names_in(wanted, context), columns)),
        ("Posts", options_text(subscription.options)),
        ("In", channel_name(subscription.channel_id, context)),
        ("Made by", maker(subscription, context)),
        ("Status", status_text(subscription, context)),
        ("ID", f"`{subscription.sys_id}`"),
    ]
    lines = [note, ""] if note else []
    lines += [f"**{escaped(subscription.name, 100)}**", ""] if subscription.name else []
    lines += [f"- **{title}:** {text}" for title, text in facts if text]
    if status is Status.BROKEN:
        lines += ["", "Mend the cause, then press **Try again**: your rights are checked anew."]
    place = list_place(call.state)
    state = signed({**place, "sys_id": subscription.sys_id}, SHOW, call, context)
    ids = place.get("ids", ())
    return ShowForm(detail_form(lines, status, state=state, listed=bool(ids), several=len(ids) > 1))


def channel_name(channel_id: str, context: Context) -> str:
    """The channel's name, of whatever team, as far as the person may see it. Markdown."""
    try:
        channel = context.mattermost.channel(channel_id) if channel_id.isalnum() else None
    except MattermostError:
        channel = None
    if channel is None:
        return "a channel that you may not see"
    name = "direct messages" if channel.type == "D" else escaped(channel.display_name or channel.name, 64)
    return f"{name} (archived)" if channel.archived else name


def maker(subscription: Subscription, context: Context) -> str:
    """Who made it: as we know it, else by ServiceNow's user name. Markdown."""
    if owner_id := owner_of(subscription, context):
        try:
            return f"@{escaped(context.mattermost.username(owner_id), 64)}"
        except MattermostError:
            return "somebody who is not here any more"
    return f"{escaped(subscription.created_by, 64)} (in ServiceNow)"


def list_place(state: Mapping[str, Any]) -> dict[str, Any]:
    """Of a form's state: where in which list it was opened."""
    kept = ("channel_id", "root_id", "owner", "where", "table", "status", "before", "last", "first", "start", "ids")
    return {name: state[name] for name in kept if name in state}


def signed(content: Mapping[str, Any], path: str, call: Call, context: Context) -> str:
    """A state for the form at *path*, with an id of its own."""
    return context.signer.sign(
        {"form_id": uuid.uuid4().hex, **content},
        person=call.person.id,
        path=path,
        expires_at=context.clock() + LIFE,
    )


def neighbour(ids: Sequence[str], sys_id: str, step: int) -> str:
    """The next or previous of a page, or itself at its end."""
    if sys_id not in ids:
        return sys_id
    return ids[min(max(ids.index(sys_id) + step, 0), len(ids) - 1)]
