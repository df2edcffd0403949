"""A form that a client would silently cut can't be built."""

import pytest

from core.fields import (
    Form,
    FormLimit,
    LookupField,
    MarkdownField,
    MultiSelectField,
    Option,
    SelectField,
    SwitchField,
    TextAreaField,
    TextField,
)

HIGH = Option("1 - High", "1")


def _text(name: str = "short_description", label: str = "Short description") -> TextField:
    return TextField(name=name, label=label, max_length=160)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: _text(name="two words"), "one lower-case word"),
        (lambda: _text(label=" "), "no label"),
        (lambda: LookupField(name="a", label="A", position=-1), "only a text takes the rest of a line"),
        (lambda: _text(label="ä" * 13), "26 bytes; a dialog takes 24"),
        (lambda: TextField(name="a", label="A", max_length=9, description="x" * 151), "a dialog takes 150"),
        (lambda: TextField(name="a", label="A", max_length=9, hint="x" * 151), "a dialog takes 150"),
        (lambda: TextField(name="a", label="A", max_length=0), "max_length"),
        (lambda: TextField(name="a", label="A", max_length=1, subtype="colour"), "no subtype"),
        (lambda: TextAreaField(name="a", label="A", max_length=0), "max_length"),
        (lambda: SelectField(name="a", label="A", options=[]), "no options"),
        (lambda: SelectField(name="a", label="A", options=[HIGH, Option("1 - High", "2")]), "label"),
        (lambda: SelectField(name="a", label="A", options=[HIGH, Option("2", "1")]), "value"),
        (lambda: SelectField(name="a", label="A", options=[Option("", "1")]), "without label"),
        (lambda: SelectField(name="a", label="A", options=[HIGH], value="9"), "none of its options"),
        (lambda: MultiSelectField(name="a", label="A", options=[]), "no options"),
        (lambda: SwitchField(name="a", label="A", required=True), "demand a yes"),
        (lambda: MarkdownField(name="a", label="A", text=" "), "no text"),
        (lambda: Form(path="p/q", title="", fields=[]), "no title"),
        (lambda: Form(path="p/q", title="x" * 25, fields=[]), "a dialog takes 24"),
        (lambda: Form(path="p/q", title="T", fields=[_text(), _text(label="Other")]), "name twice"),
        (lambda: Form(path="p/q", title="T", fields=[_text(), _text(name="b")]), "label twice"),
    ],
)
def test_an_exceeded_limit_is_named(build: object, named: str) -> None:
    """Each limit of either host is reported by name."""
    assert callable(build)
    with pytest.raises(FormLimit, match=named):
        build()


def test_two_sets_of_submit_buttons_are_rejected() -> None:
    """The Apps framework shows one."""
    one = SelectField(name="a", label="A", options=[HIGH], buttons=True)
    two = SelectField(name="b", label="B", options=[HIGH], buttons=True)
    with pytest.raises(FormLimit, match="two sets"):
        Form(path="p/q", title="T", fields=[one, two])


def test_a_form_within_all_limits_is_built() -> None:
    """It isn't changed."""
    form = Form(path="p/q", title="x" * 24, fields=[_text(), LookupField(name="caller_id", label="Caller")])
    assert [field.name for field in form.fields] == ["short_description", "caller_id"]
