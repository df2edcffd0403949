"""``/servicenow status``: the health of the service, for administrators. It shows no secrets."""

from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from core.calls import Call, Reply, Text
from core.errors import AppError, NotConnected
from core.menus import Requirement
from core.subscriptions import Status
from core.times import time_text
from core.upstream_errors import ServiceNowError
from handlers.admin import migration
from handlers.context import Context
from handlers.registry import calls
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)

_LISTED = 10  # broken and waiting subscriptions; the others are only counted
_REASONS = {
    "stale": "its time was more than 5 minutes off",
    "unknown_key": "signed with a key that does not count here",
    "bad_mac": "its signature was wrong",
}


@calls.submit("status/show", needs=Requirement.ADMINISTRATOR)
def show_status(call: Call, context: Context) -> Reply:
    """Show all parts, also if one of them can't be read."""
    parts: Sequence[tuple[str, Callable[[Context], list[str]]]] = (
        ("Notices", _notices),
        ("Reports from ServiceNow", _reports),
        ("Component in ServiceNow", _component),
        ("Subscriptions", _subscriptions),
        ("Accounts", _accounts),
        ("This service", _service),
    )
    sections = ["\n- ".join((f"#### {title}", *lines_of(context))) for title, lines_of in parts]
    return Text("\n\n".join(sections))


def _notices(context: Context) -> list[str]:
    health = context.services.deliveries.health()
    since = f", the oldest since {time_text(health.oldest_at)}" if health.waiting and health.oldest_at else ""
    lines = [f"Waiting to be posted: {health.waiting:,}{since}", f"Last one posted: {_when(health.delivered_at)}"]
    if health.trouble:
        lines.append(f"Tried again, for the last try failed: {escaped(health.trouble, 200)}")
    if health.given_up:
        lines.append(f"Given up since the service started: {health.given_up:,}")
    return lines


def _reports(context: Context) -> list[str]:
    health = context.services.deliveries.health()
    refused = _when(health.refused_at)
    if health.refused_at:
        reason = _REASONS.get(health.refused_reason, escaped(health.refused_reason.replace("_", " "), 80))
        refused = f"{refused}: {reason}"
    lines = [f"Last one refused: {refused}", f"ServiceNow's clock: {_offset(health.clock_offset)}"]
    if health.refused:
        counts = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in sorted(health.refused.items()))
        lines.append(f"Refused since the service started: {counts}")
    keys = context.services.keys.accepted()
    if not keys:
        lines.append("Webhook keys: none yet; make one with `/servicenow setup`")
    for key in keys:
        source = "from `WEBHOOK_SECRETS`" if key.from_environment else f"made on {time_text(key.made_at)}"
        lines.append(f"Webhook key `{key.key_id}`: {source}, last used {_when(key.used_at)}")
    if ends_at := context.services.legacy_webhook.ends_at:
        lines.append(f"Reports of update set v2.1 are taken until {time_text(ends_at)}")
    return lines


def _component(context: Context) -> list[str]:
    if context.instance.missing:
        return ["Not configured yet. Set it up with `/servicenow configure`."]
    try:
        health = context.servicenow.component().health()
    except NotConnected as error:
        return [error.user_message]
    except ServiceNowError as error:
        log.warning("component's status not readable", error=type(error).__name__, reason=error.log_message)
        return [f"Not to be found out: {error.user_message} See `/servicenow setup`."]
    oldest = f", the oldest since {health.oldest_queued} (UTC)" if health.queued else ""
    lines = [
        f"Version {escaped(health.version, 20)}",
        f"Waiting there: {health.queued:,}{oldest}",
        f"Given up there: {health.dead:,}",
    ]
    if health.last_status or health.last_error:
        answer = f"HTTP {health.last_status}" if health.last_status else "no answer"
        lines.append(f"Its last try: {answer}" + (f", {escaped(health.last_error, 200)}" if health.last_error else ""))
    return lines


def _subscriptions(context: Context) -> list[str]:
    grants = context.stores.grants.all()
    counted = Counter(grant.status for grant in grants)
    lines = [f"{counted[status]:,} {status}" for status in Status]
    broken = [grant for grant in grants if grant.status == Status.BROKEN]
    for grant in broken[:_LISTED]:
        name = escaped(grant.name, 100) or f"of {escaped(grant.table, 40)}"
        lines.append(f"Broken: {name}: {escaped(grant.reason, 200)}")
    if len(broken) > _LISTED:
        lines.append(f"… and {len(broken) - _LISTED:,} more that are broken")
    parked = sorted(context.stores.parked.all(), key=lambda one: -one.seen_at)
    if parked:
        lines.append(f"{len(parked):,} in ServiceNow that nobody who may has asked for; nothing of them is posted")
    for row in parked[:_LISTED]:
        maker = escaped(row.created_by, 60) or "nobody"
        lines.append(f"Not posted: `{row.sys_id}`, made by {maker}: {escaped(row.reason, 200)}")
    if taken := len(migration.migrated(context)):
        waiting = migration.waiting_count(context)
        lines.append(f"{taken:,} were taken over from the plugin; {waiting:,} of them wait for their creators")
    return lines


def _accounts(context: Context) -> list[str]:
    accounts = context.stores.accounts.all()
    other = sum(account.instance != context.instance.url for account in accounts)
    suspended = sum(account.suspended and account.instance == context.instance.url for account in accounts)
    lines = [f"{len(accounts):,} connected, of which {suspended:,} have to connect again"]
    return lines + ([f"{other:,} belong to another instance"] if other else [])


def _service(context: Context) -> list[str]:
    return [f"Bot's token: {_bot_token(context)}", f"Storage: {_storage(context)}"]


def _bot_token(context: Context) -> str:
    health = context.services.bot_token.health()
    if health.lasting:
        refused = ", **which Mattermost refuses**; the newest session is used instead" if health.refused else ""
        return f"`MATTERMOST_BOT_TOKEN`{refused}"
    age = max(0.0, context.clock() - health.seen_at) if health.seen_at else None
    found = f"the newest session, {age / 60:.0f} minutes old" if age is not None else "none"
    return found + (". **The last attempt to get a fresh one failed**" if health.trouble else "")


def _storage(context: Context) -> str:
    try:
        context.stores.check()
    except AppError as error:
        log.error("storage check failed", reason=error.log_message)
        return f"**does not take changes.** {error.user_message}"
    return "takes changes"


def _when(at: float) -> str:
    return time_text(at) if at else "never"


def _offset(seconds: float) -> str:
    if abs(seconds) < 1:
        return "as ours"
    return f"{abs(seconds):,.0f} seconds {'ahead of' if seconds > 0 else 'behind'} ours"
