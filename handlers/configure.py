"""Which ServiceNow, and with which OAuth client: set by system administrators while the service runs."""

from datetime import UTC, datetime

import structlog

from core.accounts import Tokens
from core.calls import Call, Reply, ShowForm, Text, Values
from core.errors import InvalidInput
from core.instance import SETTING_NAMES, Instance, Proof, instance_problem
from core.menus import Requirement
from core.upstream_errors import MattermostError, ServiceNowError
from forms.configure import MOST_CHARACTERS, PATH, configure_form
from handlers.context import Context
from handlers.opened import Opened
from handlers.registry import calls

log = structlog.get_logger(__name__)

OLD_PLUGIN = "mattermost-plugin-servicenow"


@calls.form(PATH, needs=Requirement.ADMINISTRATOR)
def open_settings(call: Call, context: Context) -> Reply:
    """Show what is set, without the secret."""
    return _show(call, context, Values())


@calls.submit(PATH, needs=Requirement.ADMINISTRATOR)
def save_settings(call: Call, context: Context) -> Reply:
    """Look at the instance, then store and use what was entered."""
    if not call.state:
        return _show(call, context, Values())
    with context.stores.form_results.claim(PATH):  # one administrator at a time
        wanted = _checked(call.values, context)
        dialect = call.values.flag("old_dialect")
        if dialect:
            _without_plugin(context)
        proof = _looked_at(wanted, context)
        before = context.instance
        if wanted != before:
            context.services.live.set(wanted)
        if dialect:
            context.services.old_dialect.switch_on()
        elif context.services.old_dialect.ends_at:
            context.services.old_dialect.switch_off()
    log.info(
        "configured",
        by=call.person.id,
        instance_changed=wanted.url != before.url,
        client_changed=wanted != before,
        old_dialect=dialect,
    )
    return Text(_summary(wanted, before, proof, context), refresh_menus=True)


def _show(call: Call, context: Context, values: Values) -> Reply:
    ends_at = context.services.old_dialect.ends_at
    return ShowForm(
        configure_form(
            context.instance,
            context.services.live.environment,
            values,
            redirect_address=context.settings.redirect_address,
            old_dialect_until=day(ends_at) if ends_at else "",
            state=Opened.of(call).signed(PATH, context),
        )
    )


def _checked(values: Values, context: Context) -> Instance:
    """What was entered over what is in force; what the environment sets is not ours to change."""
    problems: dict[str, str] = {}
    wanted: dict[str, str] = {}
    for part in SETTING_NAMES:
        fixed = getattr(context.services.live.environment, part)
        entered = values.text(part).strip()
        if part == "url":
            entered = entered.rstrip("/").lower()
        kept = part == "client_secret" and not entered
        wanted[part] = fixed or (context.instance.client_secret if kept else entered)
        if fixed:
            continue
        if problem := _problem(part, wanted[part], context):
            problems[part] = problem
    retyped = bool(values.text("client_secret").strip())
    before = context.instance
    moved = wanted["url"] != before.url or wanted["client_id"] != before.client_id
    if before.client_secret and moved and not context.services.live.environment.client_secret and not retyped:
        # A secret is sent to the instance: never the one's to another.
        problems |= {"client_secret": "Enter the secret anew, for the address or the client id changes."}
    if problems:
        raise InvalidInput(problems)
    return Instance(**wanted)


def _problem(part: str, value: str, context: Context) -> str:
    if not value:
        return "This is needed."
    if len(value) > MOST_CHARACTERS:
        return f"At most {MOST_CHARACTERS} characters fit here."
    if part == "url":
        problem = instance_problem(value, context.settings.servicenow_hosts)
        return f"The address {problem}." if problem else ""
    if not (value.isascii() and value.isprintable()):
        return "Only plain letters, digits and signs, as ServiceNow shows it."
    return ""


def _without_plugin(context: Context) -> None:
    """
    Both would get every report, and every notice would be posted twice.

    Raises:
        InvalidInput: The plugin runs, or Mattermost does not say.
    """
    try:
        runs = context.mattermost.plugin_runs(OLD_PLUGIN)
    except MattermostError as error:
        log.warning("plugins not readable", reason=error.log_message)
        user_message = "Mattermost did not say whether the ServiceNow plugin runs. Try again in a minute."
        raise InvalidInput({"old_dialect": user_message}) from error
    if runs:
        raise InvalidInput(
            {"old_dialect": "The ServiceNow plugin still runs. Disable it under System Console > Plugins."}
        )


def _looked_at(wanted: Instance, context: Context) -> Proof:
    """Raises InvalidInput at the address where the instance is not there, asleep or no ServiceNow."""
    try:
        return context.services.probe.look(wanted, _own_tokens(wanted, context), context.deadline)
    except ServiceNowError as error:
        log.warning("instance not accepted", error=type(error).__name__, reason=error.log_message)
        user_message = error.user_message.replace("Nothing was saved; try again", "Try again")
        if context.services.live.environment.url:
            raise
        raise InvalidInput({"url": user_message}) from error


def _own_tokens(wanted: Instance, context: Context) -> Tokens | None:
    """The administrator's own connection, where this client made it."""
    account = context.account
    same = account is not None and account.instance == wanted.url and context.instance.client_id == wanted.client_id
    return account.tokens if account is not None and same and not account.suspended else None


def _summary(wanted: Instance, before: Instance, proof: Proof, context: Context) -> str:
    connect = context.settings.connect_address
    lines = ["Saved." if wanted != before else "Checked; the address and the client are as before."]
    match proof:
        case Proof.PROVEN:
            lines.append("The instance answers, and the OAuth client works: it renewed your own connection.")
        case Proof.REFUSED:
            lines.append(
                "The instance answers, but it did not renew your own connection with this client: either the secret "
                f"is wrong or your connection has ended. [Connect again]({connect}) to find out."
            )
        case Proof.NONE:
            lines.append(
                "The instance answers. Whether client id and secret are right can't be told yet, for ServiceNow "
                f"refuses a good and a bad client in the same words: [connect your account]({connect}) to find out."
            )
    if before.url and wanted.url != before.url:
        lines.append("It is another instance than before: everybody has to connect anew.")
    if ends_at := context.services.old_dialect.ends_at:
        lines.append(f"Reports of update set v2.1 are taken until {day(ends_at)}.")
    lines.append("Go on with `/servicenow setup`.")
    return "\n".join(f"- {line}" for line in lines)


def day(moment: float) -> str:
    """A day for people, such as ``24 November 2026 (UTC)``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%-d %B %Y (UTC)")
