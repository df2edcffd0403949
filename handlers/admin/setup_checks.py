"""Check the steps of ``/servicenow setup`` against the instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from core.errors import NotConnected
from core.instance import OLD_VERSION, VERSION, AuthRow
from core.subscriptions import ROLE
from core.times import time_text
from core.upstream_errors import AccessDenied, MattermostError, NotInstalled, ServiceNowError
from forms.admin.setup import Step, StepStatus
from handlers.admin.configure import OLD_PLUGIN
from handlers.admin.webhook_keys import choose_row
from handlers.context import Context

if TYPE_CHECKING:
    from servicenow.component import ComponentClient

log = structlog.get_logger(__name__)

LINK_SECONDS = 600
DOWNLOAD_PATH = "update-set"
MOST_COUNTED = 1000
_IMPORT = (
    "in ServiceNow open **System Update Sets > Retrieved Update Sets**, choose **Import Update Set from XML**, upload "
    "the file, open **ServiceNow for Mattermost Notifications**, then **Preview Update Set** and **Commit Update Set**."
)


@dataclass
class Findings:
    """
    Args:
        version: The component's version; "" if it is missing or unknown.
        may_write_keys: Whether the account can read and write the component's keys.
        row: Our row among them.
        to_write: Whether ServiceNow lacks a key or a secret that we have.
        foreign: Number of subscriptions that report to the plugin, at most `MOST_COUNTED`.
    """

    steps: list[Step] = field(default_factory=list)
    version: str = ""
    may_write_keys: bool = False
    row: AuthRow | None = None
    key_in_place: bool = False
    to_write: bool = False
    plugin_runs: bool | None = None
    foreign: int = 0

    @property
    def current(self) -> bool:
        """Whether the component is as new as this service needs."""
        return version_of(self.version) >= version_of(VERSION)

    def add(self, title: str, status: StepStatus, text: str) -> None:
        self.steps.append(Step(title, status, text))


def check_setup(context: Context) -> Findings:
    """Check every step that can be checked now. Never raises: a failed step says what to do."""
    found = Findings()
    if context.instance.missing:
        names = ", ".join(f"`{name}`" for name in context.instance.missing)
        found.add("Instance and OAuth client", StepStatus.TO_DO, f"missing are {names}. Run `/servicenow configure`.")
        return found
    found.add("Instance and OAuth client", StepStatus.DONE, f"{context.instance.url}, set.")
    try:
        component = context.servicenow.component()
        found.version = component.version()
        found.add("OAuth works", StepStatus.DONE, "ServiceNow answers with your account.")
        for check in (_component, _role, _key, _webhook, _plugin):
            check(context, found, component)
    except NotConnected:
        connect = context.settings.connect_address
        text = f"[connect your account]({connect}), one that is an administrator in ServiceNow, then come back."
        found.add("OAuth works", StepStatus.TO_DO, text)
    except ServiceNowError as error:
        log.warning("setup not checked", error=type(error).__name__, reason=error.log_message)
        found.add("ServiceNow answers", StepStatus.TO_DO, error.user_message)
    return found


def version_of(version: str) -> tuple[int, ...]:
    """A version to compare with others. An unknown format is older than all others."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdecimal() for part in parts) else ()


def update_set_link(context: Context) -> str:
    """A link to the update set that works for ten minutes, for anyone who has it."""
    content = {"by": context.person.id}
    expires_at = context.clock() + LINK_SECONDS
    token = context.signer.sign(content, person="", path=DOWNLOAD_PATH, expires_at=expires_at)
    return f"[the update set]({context.settings.app_url}/{DOWNLOAD_PATH}?token={token}) (the link lasts 10 minutes)"


def _component(context: Context, found: Findings, _component: ComponentClient) -> None:
    title, link = "Component in ServiceNow", update_set_link(context)
    how = f"download {link}; {_IMPORT}"
    if found.current:
        newer = "" if found.version == VERSION else f", newer than this service's {VERSION}"
        found.add(title, StepStatus.DONE, f"version {found.version}{newer}. To import it elsewhere: {link}.")
    elif not found.version:
        found.add(title, StepStatus.TO_DO, f"it is not installed. To install it: {how}")
    else:
        name, ends = f"version {found.version}", ""
        if found.version == OLD_VERSION:
            name, ends = "the plugin's, version 2.1", " From then on the plugin gets no notices any more."
        text = f"it is {name}; needed is {VERSION}. To upgrade, which keeps every row: {how}{ends}"
        found.add(title, StepStatus.TO_DO, text)


def _role(context: Context, found: Findings, component: ComponentClient) -> None:
    how = (
        f"In ServiceNow open **Users**, the user, the tab **Roles**, **Edit**, add `{ROLE}`, **Save**. "
        "Everybody who subscribes channels needs it."
    )
    if not found.version:
        found.add("Role", StepStatus.WAITS, f"`{ROLE}` comes with the component.")
    elif component.may_subscribe():
        found.add("Role", StepStatus.DONE, f"your account may manage subscriptions. To give `{ROLE}` to others: {how}")
    else:
        found.add("Role", StepStatus.TO_DO, f"your account lacks `{ROLE}`. {how}")


def _key(context: Context, found: Findings, component: ComponentClient) -> None:
    title, old = "Webhook key", bool(context.services.legacy_webhook.ends_at)
    if not found.current and not (found.version and old):
        found.add(title, StepStatus.WAITS, "needs the current component.")
        return
    try:
        rows = component.auth_rows(context.settings.app_url)
    except (AccessDenied, NotInstalled):
        text = (
            "your ServiceNow account may not read the component's keys. Somebody who is an administrator in both "
            "Mattermost and ServiceNow has to run this."
        )
        found.add(title, StepStatus.TO_DO, text)
        return
    found.may_write_keys = True
    found.row = choose_row(rows)
    held = found.row.key_id if found.row else ""
    newest = context.services.keys.newest
    accepted = {key.key_id for key in context.services.keys.accepted()}
    found.key_in_place = bool(held) and held in accepted
    secret = context.services.legacy_webhook.secret()
    old_lacks = bool(secret) and (found.row is None or found.row.old_secret != secret)
    found.to_write = old_lacks or (newest is not None and held != newest.key_id)
    if old_lacks:
        text = "the component of version 2.1 has no secret for this service yet. Press **Write key**."
        found.add("Reports of version 2.1", StepStatus.TO_DO, text)
    if not found.current:
        return
    if newest is None:
        found.add(title, StepStatus.TO_DO, "there is none yet. Press **New key**.")
    elif held == newest.key_id:
        found.add(title, StepStatus.DONE, f"ServiceNow signs with `{held}`.")
    elif found.key_in_place:
        text = (
            f"ServiceNow signs with `{held}`, which still counts; the newest is `{newest.key_id}`. Press **Write key**."
        )
        found.add(title, StepStatus.TO_DO, text)
    else:
        what = f"`{held}`, which is refused here" if held else "none"
        found.add(
            title, StepStatus.TO_DO, f"ServiceNow has {what}. Press **Write key**; reports that wait there come later."
        )


def _webhook(context: Context, found: Findings, component: ComponentClient) -> None:
    title = "Reports reach this service"
    used = max((key.used_at for key in context.services.keys.accepted()), default=0.0)
    if used:
        found.add(title, StepStatus.DONE, f"the last one came on {time_text(used)}.")
    elif found.current and found.key_in_place:
        text = f"none came yet. Press **Send a test**; ServiceNow has to reach `{context.settings.app_url}`."
        found.add(title, StepStatus.TO_DO, text)
    else:
        found.add(title, StepStatus.WAITS, "needs the component and the key.")


def _plugin(context: Context, found: Findings, component: ComponentClient) -> None:
    title = "The ServiceNow plugin"
    try:
        found.plugin_runs = context.mattermost.plugin_runs(OLD_PLUGIN)
    except MattermostError as error:
        log.warning("plugins not readable", reason=error.log_message)
        found.add(title, StepStatus.NOTE, "Mattermost did not say whether it runs. Check again in a minute.")
        return
    if found.current or (found.version and context.services.legacy_webhook.ends_at):
        try:
            found.foreign = len(component.foreign_rows(context.settings.mattermost_url, MOST_COUNTED))
        except (AccessDenied, NotInstalled):
            pass  # the role is missing, as another step says
    count = count_text(found.foreign)
    if found.plugin_runs and context.services.legacy_webhook.ends_at:
        text = (
            "it runs, and reports of version 2.1 are taken here as well, so notices are posted twice. Disable the "
            "plugin, or switch **Accept update set v2.1** off in `/servicenow configure`."
        )
        found.add(title, StepStatus.TO_DO, text)
    elif found.plugin_runs:
        text = "it still runs. Disable it under **System Console > Plugins** before anything of it is taken over."
        found.add(title, StepStatus.NOTE, f"{text} {count} reported to it." if found.foreign else text)
    elif found.foreign:
        found.add(
            title, StepStatus.TO_DO, f"it does not run any more; {count} still reported to it. Press **Take over**."
        )
    else:
        found.add(title, StepStatus.DONE, "it does not run, and no subscription is reported to it.")


def count_text(count: int) -> str:
    """``1 subscription is``, ``12 subscriptions are``, ``1,000 or more subscriptions are``."""
    if count == 1:
        return "1 subscription is"
    return f"{count:,}{' or more' if count >= MOST_COUNTED else ''} subscriptions are"
