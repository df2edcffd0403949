"""``/servicenow setup``: the steps to set up ServiceNow, each with its fix or a button that does it."""

import secrets
from collections.abc import Callable, Mapping

import structlog

from core.calls import Call, Reply, ShowForm
from core.errors import InvalidInput, NotPermitted
from core.menus import Requirement
from forms.admin.setup import MIGRATION_PATH, PATH, Button, confirm_migration_form, setup_form
from handlers.admin import migration
from handlers.admin.configure import OLD_PLUGIN
from handlers.admin.setup_checks import MOST_COUNTED, Findings, check_setup, count_text
from handlers.admin.webhook_keys import NotWritten, find_row, rotate, write_key
from handlers.context import Context
from handlers.form_state import FormState
from handlers.registry import calls

log = structlog.get_logger(__name__)

# Two administrators who create keys or move rows at the same time would undo each other's work.
_LOCK = "setup"
_TEST_SECONDS = 8.0  # of the call's 20; a report that arrives later is shown by "Check again"


class PluginRuns(NotPermitted):
    """With the plugin running, its subscriptions would be posted twice, or not at all."""

    user_message = (
        "The ServiceNow plugin still runs, so nothing was moved. Disable it under **System Console > Plugins** "
        "first; its subscriptions stay."
    )


@calls.form(PATH, needs=Requirement.ADMINISTRATOR)
def open_steps(call: Call, context: Context) -> Reply:
    """Check everything and show it."""
    return _show(call, context, "")


@calls.submit(PATH, needs=Requirement.ADMINISTRATOR)
def press(call: Call, context: Context) -> Reply:
    """Handle a button, then check everything again. The result is shown above the steps."""
    pressed = call.values.text("action")
    if not call.state or pressed in {"", Button.CHECK}:
        return _show(call, context, "")
    if pressed in {Button.TAKE_OVER, Button.GIVE_BACK}:
        return _confirm(call, context, Button(pressed))
    action = _ACTIONS.get(pressed)
    if action is None:
        raise InvalidInput({}, "Press one of the buttons.")
    with context.stores.form_results.claim(_LOCK):
        notice = action(context)
    return _show(call, context, notice)


@calls.submit(MIGRATION_PATH, needs=Requirement.ADMINISTRATOR)
def decide(call: Call, context: Context) -> Reply:
    """Migrate the plugin's subscriptions, or undo that, after it was confirmed."""
    if not call.state:
        return _show(call, context, "")
    with context.stores.form_results.claim(_LOCK):
        match call.values.text("action"):
            case Button.TAKE_OVER:
                _check_plugin_is_off(context)
                notice = migration.migrate(context).summary
            case Button.GIVE_BACK:
                notice = migration.revert(context)
            case _:
                notice = "Nothing was changed."
    return _show(call, context, notice)


def _show(call: Call, context: Context, notice: str) -> Reply:
    found = check_setup(context)
    state = FormState.of(call).signed(context, PATH)
    return ShowForm(setup_form(found.steps, _buttons(context, found), notice, state))


def _buttons(context: Context, found: Findings) -> list[tuple[Button, str]]:
    """The buttons that apply now, in the order of the steps."""
    newest = context.services.keys.newest
    offered = [(Button.CHECK, "Check again")]
    if found.to_write:
        offered.append((Button.WRITE_KEY, "Write key"))
    if found.may_write_keys and found.current and not (newest is not None and newest.from_environment):
        offered.append((Button.NEW_KEY, "New key"))
    if found.current and found.key_in_place:
        offered.append((Button.TEST, "Send a test"))
    if found.foreign and found.plugin_runs is False:
        offered.append((Button.TAKE_OVER, "Take over"))
    if migration.migrated(context):
        if migration.waiting_count(context):
            offered.append((Button.GRANT, "Grant waiting ones"))
        offered.append((Button.GIVE_BACK, "Give back"))
    return offered


def _new_key(context: Context) -> str:
    component, old_secret = context.servicenow.component(), context.services.legacy_webhook.secret()
    try:
        key = rotate(component, context.services.keys, context.settings.app_url, old_secret)
    except NotWritten as error:
        return f"{error.user_message} Press **Write key** to try again."
    return f"ServiceNow signs with the new key `{key.key_id}` from now on; the former one is retired after a day."


def _write_key(context: Context) -> str:
    component, address = context.servicenow.component(), context.settings.app_url
    keys, old_secret = context.services.keys, context.services.legacy_webhook.secret()
    write_key(component, keys, address, find_row(component, address), old_secret)
    newest = keys.newest
    return (
        f"ServiceNow signs with `{newest.key_id}` from now on." if newest else "The old component's secret is written."
    )


def _test(context: Context) -> str:
    """Have the component send a report with a nonce, and wait until our webhook receives it."""
    nonce = secrets.token_hex(16)
    context.servicenow.component().send_test(context.settings.app_url, nonce)
    if context.services.test_reports.arrived(nonce, context.deadline.within(_TEST_SECONDS)):
        return "**The test came back:** ServiceNow's reports reach this service, and their signature holds."
    health = context.services.deliveries.health()
    hint = f" The last request that was refused here: `{health.refused_reason}`." if health.refused_reason else ""
    return (
        f"ServiceNow took the test, and it is still on its way. Press **Check again** in a minute.{hint} If nothing "
        f"comes, ServiceNow can't reach `{context.settings.app_url}`: look at its outbox with `/servicenow status`."
    )


def _grant(context: Context) -> str:
    outcome = migration.grant_waiting(context)
    waits = "".join(f"\n- {count:,} wait: {reason}" for reason, count in outcome.waiting.most_common(10))
    return f"**Granted: {outcome.granted:,}.**{waits}"


_ACTIONS: Mapping[str, Callable[[Context], str]] = {
    Button.NEW_KEY: _new_key,
    Button.WRITE_KEY: _write_key,
    Button.TEST: _test,
    Button.GRANT: _grant,
}


def _confirm(call: Call, context: Context, button: Button) -> Reply:
    """Ask for confirmation. The number of subscriptions can change before they are moved."""
    state = FormState.of(call).signed(context, MIGRATION_PATH)
    cancel = (Button.CANCEL, "Cancel")
    if button is Button.GIVE_BACK:
        count = len(migration.migrated(context))
        text = (
            f"{count_text(count)} reported to this service since they were taken over. Give them back to the plugin's "
            "address? Here they end. The plugin gets them only while the component in ServiceNow is of version 2.1."
        )
        return ShowForm(confirm_migration_form(text, [(button, "Give back"), cancel], state))
    _check_plugin_is_off(context)
    rows = context.servicenow.component().foreign_rows(context.settings.mattermost_url, MOST_COUNTED)
    if not rows:
        return _show(call, context, "No subscription is reported to the plugin any more.")
    text = (
        f"{count_text(len(rows))} reported to the plugin. Take them over? Their rows stay; from then on they are "
        "reported here. Those go on at once whose creator has connected a ServiceNow account here and may post in the "
        "channel; the others wait. All of it can be given back."
    )
    return ShowForm(confirm_migration_form(text, [(button, "Take over"), cancel], state))


def _check_plugin_is_off(context: Context) -> None:
    """Raises PluginRuns, or MattermostError if Mattermost doesn't say."""
    if context.mattermost.plugin_runs(OLD_PLUGIN):
        raise PluginRuns("the plugin runs")
