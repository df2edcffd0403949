"""The forms of ``/servicenow setup``."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.fields import Form, Option, SelectField

PATH = "setup/steps"
MIGRATION_PATH = "setup/takeover"


class StepStatus(StrEnum):
    """The result of a step, as a character that every font has."""

    DONE = "✓"
    TO_DO = "✗"
    WAITS = "…"  # depends on an earlier step
    NOTE = "–"


@dataclass(frozen=True)
class Step:
    """``text`` says what was found, and the exact fix if there is something to do."""

    title: str
    status: StepStatus
    text: str


class Button(StrEnum):
    """The buttons, by their values."""

    CHECK = "check"
    WRITE_KEY = "write_key"
    NEW_KEY = "new_key"
    TEST = "test"
    TAKE_OVER = "take_over"
    GRANT = "grant"
    GIVE_BACK = "give_back"
    CANCEL = "cancel"


def setup_form(steps: Sequence[Step], buttons: Sequence[tuple[Button, str]], notice: str, state: str) -> Form:
    """
    Args:
        buttons: The buttons that apply now, with their labels.
        notice: The result of the last press; "" when the form opens.
    """
    lines = [f"{step.status.value} **{step.title}**: {step.text}" for step in steps]
    header = "\n\n".join([notice, "---", *lines] if notice else lines)
    return _form(PATH, "Set up ServiceNow", header, buttons, state)


def confirm_migration_form(text: str, buttons: Sequence[tuple[Button, str]], state: str) -> Form:
    """Ask before subscriptions are migrated or moved back."""
    return _form(MIGRATION_PATH, "Plugin's subscriptions", text, buttons, state)


def _form(path: str, title: str, header: str, buttons: Sequence[tuple[Button, str]], state: str) -> Form:
    options = [Option(label, button.value) for button, label in buttons]
    field = SelectField(name="action", label="Action", options=options, buttons=True)
    return Form(path=path, title=title, header=header, fields=[field], state=state)
