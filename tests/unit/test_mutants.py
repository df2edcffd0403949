"""The mutants of `make mutate`: what is changed, and what is left alone."""

import pytest

from tests.mutation.mutants import mutants


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a and b", ["x = ((a) or (b))", "x = ((b))", "x = ((a))"]),
        ("x = not a", ["x = a"]),
        ("if a:\n    pass", ["if not (a):\n    pass"]),
        ("x = [b for b in c if b]", ["x = [b for b in c if True]"]),
        ("x = 300.0", ["x = 301.0"]),
        ("x: int = True", ["x: int = False"]),
        ("x = 'ä'", ["x = 'ä~'"]),
        ("check(a)", ["pass"]),
        ("x = check(a, b=c)", ["x = check(a)"]),
        ("raise Refused('no')", ["pass"]),
        ("def f(a=1):\n    return a", ["def f(a=2):\n    return a", "def f(a=1):\n    return None"]),
    ],
)
def test_each_place_is_changed_in_each_way(source: str, changed: list[str]) -> None:
    """One change a mutant, and the rest of the source as it was."""
    encoded = source.encode()
    assert [one.apply(encoded).decode() for one in mutants(encoded)] == changed


@pytest.mark.parametrize(
    "source",
    [
        '"""What it is."""',
        "log.warning('x', a=1)",
        "def f() -> 'str': ...",
        "user_message = 'Nothing was saved. Try again.'",
        "x = f'{a}…'",
    ],
)
def test_words_and_types_are_left_alone(source: str) -> None:
    """Docstrings, log lines, annotations, sentences; and nothing that changes no behavior."""
    assert mutants(source.encode()) == []


def test_a_name_outlives_moved_lines_and_tells_twins_apart() -> None:
    """The list of survivors goes by names."""
    source = b"def f():\n    x = 1\n    y = 1\n"
    names = [one.name for one in mutants(source)]
    assert names == ["f: 1 → 2", "f: 1 → 2 #2"]
    assert [one.name for one in mutants(b"\n\n" + source)] == names
