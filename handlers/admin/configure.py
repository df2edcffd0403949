"""Choose the ServiceNow instance and its OAuth client while the service runs."""

import structlog

from core.accounts import Tokens
from core.calls import Call, Reply, ShowForm, Text
from core.errors import InvalidInput
from core.instance import SETTING_NAMES, Instance, Proof, instance_problem
from core.menus import Requirement
from core.times import day_text
from core.upstream_errors import MattermostError, ServiceNowError
from forms.admin.configure import MOST_CHARACTERS, PATH, configure_form
from handlers.context import Context
from handlers.form_reader import FormReader
from handlers.form_state import FormState
from handlers.registry import calls

log = structlog.get_logger(__name__)

OLD_PLUGIN = "mattermost-plugin-servicenow"


@calls.form(PATH, needs=Requirement.ADMINISTRATOR)
def open_settings(call: Call, context: Context) -> Reply:
    """Show the current settings, without the secret."""
    ends_at = context.services.legacy_webhook.ends_at
    form = configure_form(
        context.instance,
        context.services.live.environment,
        redirect_address=context.settings.redirect_address,
        legacy_webhook_until=day_text(ends_at) if ends_at else "",
        state=FormState.of(call).signed(context, PATH),
    )
    return ShowForm(form)


@calls.submit(PATH, needs=Requirement.ADMINISTRATOR)
def save_settings(call: Call, context: Context) -> Reply:
    """Check that the instance answers, then store the settings and use them."""
    if not call.state:
        return open_settings(call, context)
    services = context.services
    with context.stores.form_results.claim(PATH):  # one administrator at a time
        entered = _read_instance(call, context)
        legacy = call.values.flag("old_dialect")
        if legacy:
            _check_plugin_is_off(context)
        proof = _probe(context, entered)
        before = context.instance
        if entered != before:
            services.live.set(entered)
        if legacy:
            services.legacy_webhook.switch_on()
        elif services.legacy_webhook.ends_at:
            services.legacy_webhook.switch_off()
    log.info(
        "configured",
        by=call.person.id,
        instance_changed=entered.url != before.url,
        client_changed=entered != before,
        old_dialect=legacy,
    )
    return Text(_summary(context, before, entered, proof), refresh_menus=True)


def _read_instance(call: Call, context: Context) -> Instance:
    """The instance that was entered. What the environment sets can't be changed."""
    form = FormReader(call, context)
    before, environment = context.instance, context.services.live.environment
    parts: dict[str, str] = {}
    for part in SETTING_NAMES:
        if fixed := getattr(environment, part):
            parts[part] = fixed
            continue
        kept = before.client_secret if part == "client_secret" else ""
        entered = form.text(part, most=MOST_CHARACTERS, required="" if kept else "This is needed.")
        if part == "url":
            entered = entered.rstrip("/").lower()
            if problem := instance_problem(entered, context.settings.servicenow_hosts):
                form.refuse(part, f"The address {problem}.")
        elif not (entered.isascii() and entered.isprintable()):
            form.refuse(part, "Only plain letters, digits and signs, as ServiceNow shows it.")
        parts[part] = entered or kept
    moved = parts["url"] != before.url or parts["client_id"] != before.client_id
    retyped = call.values.text("client_secret").strip()
    if before.client_secret and moved and not environment.client_secret and not retyped:
        # The secret is sent to the instance. Never send one instance's secret to another.
        form.refuse("client_secret", "Enter the secret anew, for the address or the client id changes.")
    form.finish()
    return Instance(**parts)


def _check_plugin_is_off(context: Context) -> None:
    """
    With the plugin, every report would be posted twice.

    Raises:
        InvalidInput: The plugin runs, or Mattermost doesn't say.
    """
    try:
        runs = context.mattermost.plugin_runs(OLD_PLUGIN)
    except MattermostError as error:
        log.warning("plugins not readable", reason=error.log_message)
        problem = "Mattermost did not say whether the ServiceNow plugin runs. Try again in a minute."
        raise InvalidInput({"old_dialect": problem}) from error
    if runs:
        problem = "The ServiceNow plugin still runs. Disable it under System Console > Plugins."
        raise InvalidInput({"old_dialect": problem})


def _probe(context: Context, instance: Instance) -> Proof:
    """Raises InvalidInput at the address if the instance doesn't answer, hibernates, or isn't ServiceNow."""
    try:
        return context.services.probe.look(instance, _own_tokens(context, instance), context.deadline)
    except ServiceNowError as error:
        log.warning("instance not accepted", error=type(error).__name__, reason=error.log_message)
        if context.services.live.environment.url:
            raise
        raise InvalidInput({"url": error.user_message}) from error


def _own_tokens(context: Context, instance: Instance) -> Tokens | None:
    """The administrator's own tokens, if they were issued by this instance to this client."""
    account = context.account
    if account is None or account.suspended or account.instance != instance.url:
        return None
    return account.tokens if context.instance.client_id == instance.client_id else None


def _summary(context: Context, before: Instance, after: Instance, proof: Proof) -> str:
    connect = context.settings.connect_address
    lines = ["Saved." if after != before else "Checked; the address and the client are as before."]
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
    if before.url and after.url != before.url:
        lines.append("It is another instance than before: everybody has to connect anew.")
    if ends_at := context.services.legacy_webhook.ends_at:
        lines.append(f"Reports of update set v2.1 are taken until {day_text(ends_at)}.")
    lines.append("Go on with `/servicenow setup`.")
    return "\n".join(f"- {line}" for line in lines)
