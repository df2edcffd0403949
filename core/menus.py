"""What a person is offered: commands and menu entries, free of any host's wire format."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.calls import Kind
from core.fields import Form


class Requirement(StrEnum):
    """What an entry needs. Declared once per handler: hides the entry and guards the handler."""

    NOTHING = "nothing"
    CONFIGURED = "configured"
    LINKED = "linked"  # has an account, suspended or not
    CONNECTED = "connected"
    NOT_CONNECTED = "not connected"  # only hides the entry: a stale menu may still connect
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Standing:
    """Where a person stands, known from settings, one read of local storage and the call itself."""

    configured: bool
    linked: bool
    connected: bool
    administrator: bool

    def meets(self, requirement: Requirement) -> bool:
        """Whether an entry with *requirement* is offered."""
        match requirement:
            case Requirement.NOTHING:
                return True
            case Requirement.CONFIGURED:
                return self.configured
            case Requirement.LINKED:
                return self.configured and self.linked
            case Requirement.CONNECTED:
                return self.configured and self.connected
            case Requirement.NOT_CONNECTED:
                return self.configured and not self.connected
            case Requirement.ADMINISTRATOR:
                return self.administrator


@dataclass(frozen=True)
class Command:
    """
    A command as typed after ``/servicenow``.

    ``form`` holds what can be typed behind it; what runs is ``path`` with ``kind``. ``administrators``: whether
    it is for them alone.
    """

    words: tuple[str, ...]
    path: str
    kind: Kind
    description: str
    hint: str = ""
    form: Form | None = None
    administrators: bool = False


@dataclass(frozen=True)
class Entry:
    """An entry of the channel header / app bar or of the post menu. ``word`` is unique in its place."""

    word: str
    label: str
    path: str
    kind: Kind


@dataclass(frozen=True)
class Menus:
    """Everything one person is offered."""

    commands: Sequence[Command] = ()
    channel_header: Sequence[Entry] = ()
    post_menu: Sequence[Entry] = ()
