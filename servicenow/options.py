"""Rows as choices of a look-up. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from core.fields import Option, marked


def unique(found: Iterable[Option]) -> list[Option]:
    """
    Options with unique labels, for clients drop the second: namesakes show the end of their sys_id.

    All of them do: a name that several bear stands for none of them.
    """
    options = [option for option in found if option.label.strip() and option.value]  # not all may be read
    named = Counter(option.label for option in options)
    unlike = [
        replace(option, label=marked(option.label, option.value)) if named[option.label] > 1 else option
        for option in options
    ]
    return list({option.label: option for option in unlike}.values())
