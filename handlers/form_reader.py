"""Read and check what a person entered in a form."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date

from core.calls import Call, Value, Values
from core.errors import InvalidInput
from core.fields import Option
from core.times import EXAMPLE, stored
from handlers.context import Context
from handlers.reference_fields import Find, is_reference, resolve
from mattermost.markdown import visible

NOT_OFFERED = "Choose one of the list."
_DAY = "2026-11-24"


class FormReader:
    """
    Reads values by field name and collects what is wrong with them, so that the person sees all problems at once.

    Each method returns the checked value. It returns the empty value if the field is empty or wrong; a wrong field
    is in `problems`, and so is an empty one if *required* says what to ask for. Call `finish` before using the values.

    Args:
        values: What was entered, if not the call's own values.
        typed: Whether it was typed as a command, which has no fields to show problems at.
    """

    def __init__(
        self, call: Call, context: Context, values: Values | None = None, *, typed: bool | None = None
    ) -> None:
        self.values = call.values if values is None else values
        self.context = context
        self.typed = not call.state if typed is None else typed
        self._problems: dict[str, str] = {}

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong, by field."""
        return self._problems

    @property
    def summary(self) -> str:
        """All problems in one line, for a command and for a form's header."""
        return " ".join(f"--{name}: {problem}" for name, problem in self._problems.items())

    def refuse(self, name: str, problem: str) -> None:
        """Note a problem of the field *name*, unless it has one already."""
        self._problems.setdefault(name, problem)

    def finish(self) -> None:
        """
        Raises:
            InvalidInput: With all problems found so far.
        """
        if self._problems:
            raise InvalidInput(self._problems, self.summary if self.typed else None)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the field problems of an `InvalidInput` that the block raises."""
        try:
            yield
        except InvalidInput as error:
            if not error.fields:
                raise
            for name, problem in error.fields.items():
                self.refuse(name, problem)

    def text(self, name: str, *, most: int, required: str = "") -> str:
        """
        A text without spaces around it. A required one needs visible characters.

        Args:
            most: Characters, 0 for any number.
        """
        return self._short_enough(name, self.values.text(name).strip(), most, required)

    def line(self, name: str, *, most: int, required: str = "") -> str:
        """As `text`, on one line."""
        return self._short_enough(name, " ".join(self.values.text(name).split()), most, required)

    def choice(self, name: str, options: Collection[Option], *, required: str = "") -> str:
        """The value of one of *options*. Without options, any value: ServiceNow decides."""
        return self.one_of(name, {option.value for option in options}, required=required)

    def one_of(self, name: str, offered: Collection[str], *, required: str = "") -> str:
        """As `choice`, by the options' values."""
        value = self.values.text(name).strip()
        if value and offered and value not in offered:
            self.refuse(name, NOT_OFFERED)
            return ""
        return self._filled(name, value, required)

    def choices(self, name: str, offered: Collection[str], *, required: str = "") -> tuple[str, ...]:
        """The values of several options, in the order of *offered*."""
        chosen = {option.value for option in self.values.options(name)}
        if not chosen <= set(offered):
            self.refuse(name, "Choose from the list.")
        elif not chosen:
            self._filled(name, "", required)
        return tuple(value for value in offered if value in chosen)

    def reference(self, name: str, find: Find, *, required: str = "") -> str:
        """The sys_id of a row that was chosen, or typed and found by *find*."""
        option = self.values.option(name)
        if option is None:
            return self._filled(name, "", required)
        with self.collecting():
            return resolve(name, option, find).value
        return ""

    def resolved(self, finders: Mapping[str, Find]) -> Values:
        """All values to show again, with typed references replaced by the rows they name. Others are left out."""
        entered: dict[str, Value] = dict(self.values)
        for name, find in finders.items():
            option = self.values.option(name)
            if option is not None and not is_reference(option):
                del entered[name]
                with self.collecting():
                    entered[name] = resolve(name, option, find)
        return Values(entered)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A switch, or *default* if the form doesn't have it."""
        return self.values.flag(name) if name in self.values else default

    def moment(self, name: str, *, required: str = "") -> str:
        """A day and time in the person's ServiceNow time zone, as ServiceNow stores it: UTC."""
        return self._parsed(
            name, lambda typed: stored(typed, self.context.time_zone), f"Write day and time like {EXAMPLE}.", required
        )

    def day(self, name: str, *, required: str = "") -> str:
        """A day, in ISO format."""
        return self._parsed(
            name,
            lambda typed: date.fromisoformat(typed[: len(_DAY)]).isoformat(),
            f"Write a day like {_DAY}.",
            required,
        )

    def number(self, name: str, *, required: str = "") -> str:
        """A decimal number, as typed."""
        return self._parsed(name, _number, "Write a number.", required)

    def _parsed(self, name: str, parse: Callable[[str], str], problem: str, required: str) -> str:
        typed = self.values.text(name).strip()
        if not typed:
            return self._filled(name, "", required)
        try:
            return parse(typed)
        except ValueError:
            self.refuse(name, problem)
            return ""

    def _short_enough(self, name: str, text: str, most: int, required: str) -> str:
        if most and len(text) > most:
            self.refuse(name, f"At most {most:,} characters fit here.")
            return ""
        return self._filled(name, text, required)

    def _filled(self, name: str, text: str, required: str) -> str:
        if required and not visible(text):
            self.refuse(name, required)
        return text


def _number(typed: str) -> str:
    digits = typed.replace(".", "", 1).removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("not a number")
    return typed
