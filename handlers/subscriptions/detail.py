"""Show one subscription: what it follows, its status, and what can be done with it."""

from core.calls import Call, Reply, ShowForm
from core.subscriptions import Status, Subscription
from core.upstream_errors import MattermostError
from forms.subscriptions.list import SHOW, detail_form
from handlers.context import Context
from handlers.subscriptions.lookups import names_in, read_title
from handlers.subscriptions.permissions import current_status, owner_of, status_text
from handlers.subscriptions.states import DetailState
from handlers.subscriptions.text import channel_text_of, creator_text, events_text, filter_text, options_text, subject
from mattermost.markdown import escaped


def show_detail(call: Call, context: Context, subscription: Subscription, *, note: str = "") -> Reply:
    """*note* is Markdown, shown above the subscription."""
    status, _ = current_status(context, subscription)
    rows = context.servicenow.subscriptions(context.settings.app_url)
    wanted = rows.decode(subscription.filter_query, subscription.table)
    columns = context.servicenow.cached_columns(subscription.table)
    facts = [
        ("Follows", subject(context, subscription, read_title(context, subscription))),
        ("Events", events_text(subscription.events)),
        ("Only", filter_text(wanted, names_in(context, wanted), columns)),
        ("Posts", options_text(subscription.options)),
        ("In", channel_text_of(context, subscription.channel_id)),
        ("Made by", _creator(context, subscription)),
        ("Status", status_text(context, subscription)),
        ("ID", f"`{subscription.sys_id}`"),
    ]
    lines = [note, ""] if note else []
    lines += [f"**{escaped(subscription.name, 100)}**", ""] if subscription.name else []
    lines += [f"- **{title}:** {text}" for title, text in facts if text]
    if status is Status.BROKEN:
        lines += ["", "Mend the cause, then press **Try again**: your rights are checked anew."]
    state = DetailState.of(call).about(subscription.sys_id)
    form = detail_form(
        lines, status, state=state.signed(context, SHOW), listed=bool(state.ids), several=len(state.ids) > 1
    )
    return ShowForm(form)


def _creator(context: Context, subscription: Subscription) -> str:
    username = ""
    if owner_id := owner_of(context, subscription):
        try:
            username = context.mattermost.username(owner_id)
        except MattermostError:
            return "somebody who is not here any more"
    return creator_text(username, subscription)
