"""The form of ``/servicenow configure``. It never contains the secret."""

from collections.abc import Mapping

from core.fields import AnyField, Form, MarkdownField, SwitchField, TextField
from core.instance import SETTING_NAMES, Instance

PATH = "configure/settings"
MOST_CHARACTERS = 255

_LABELS = {
    "url": "ServiceNow address",
    "client_id": "OAuth client id",
    "client_secret": "OAuth client secret",
}


def configure_form(
    instance: Instance,
    environment: Instance,
    *,
    redirect_address: str,
    legacy_webhook_until: str,
    state: str,
) -> Form:
    """
    Args:
        instance: The current settings.
        environment: Settings from the environment. They are shown and can't be changed.
        redirect_address: Must be registered in ServiceNow exactly like this.
        legacy_webhook_until: Day until which requests of update set v2.1 are accepted; "" if they are rejected.
    """
    fields: list[AnyField] = [
        _from_environment(part, instance) if getattr(environment, part) else _text(part, instance)
        for part in SETTING_NAMES
    ]
    until = f"On until {legacy_webhook_until}; saving renews it. " if legacy_webhook_until else ""
    fields.append(
        SwitchField(
            name="old_dialect",
            label="Accept update set v2.1",
            description=f"{until}Takes reports of the old component for 30 days. Not beside a running plugin.",
            value=bool(legacy_webhook_until),
        )
    )
    return Form(
        path=PATH,
        title="Configure ServiceNow",
        header=(
            "In ServiceNow, under **System OAuth > Application Registry**, make an **OAuth API endpoint for "
            f"external clients** with this redirect address:\n```\n{redirect_address}\n```"
        ),
        submit_label="Check and save",
        state=state,
        fields=fields,
    )


def _text(part: str, instance: Instance) -> TextField:
    secret = part == "client_secret"
    kept = secret and bool(instance.client_secret)
    hints: Mapping[str, str] = {
        "url": "https://example.service-now.com",
        "client_id": "32 characters, as ServiceNow shows it",
        "client_secret": "Leave empty to keep the present one" if kept else "As ServiceNow shows it",
    }
    return TextField(
        name=part,
        label=_LABELS[part],
        hint=hints[part],
        required=not kept,
        max_length=MOST_CHARACTERS,
        subtype={"url": "url", "client_secret": "password"}.get(part, "text"),
        value="" if secret else getattr(instance, part)[:MOST_CHARACTERS],
    )


def _from_environment(part: str, instance: Instance) -> MarkdownField:
    shown = "not shown" if part == "client_secret" else f"`{getattr(instance, part)}`"
    text = f"{_LABELS[part]}: {shown} (set by `{SETTING_NAMES[part]}` in the service's environment)"
    return MarkdownField(name=part, label=_LABELS[part], text=text)
