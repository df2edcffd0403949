"""Errors form one tree, which is drawn in the docstrings of `core/errors.py` and `core/upstream_errors.py`."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from core import errors, upstream_errors
from core.errors import AppError

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "core",
    "forms",
    "handlers",
    "http_client",
    "mattermost",
    "servicenow",
    "storage",
    "notifications",
    "updateset",
    "web",
)
MODULES = ("app", "cli", "config", "offline", "wiring")
DEPTHS = "*x+-="
# Exceptions that people never see, and why they aren't in the tree.
OTHERS = {
    "BadQuery": "a stored filter that the builder does not read; its caller says what is wrong with the subscription",
    "ConfigError": "settings are wrong, so nothing has started; the command line prints it",
    "ExchangeError": "an HTTP exchange failed; both clients raise errors of the tree for it",
    "FormLimit": "a form of ours exceeds what a host takes: a mistake in the code",
    "InvalidDateTime": "a text is no time; its caller names the field",
    "UnsafeValue": "a value can't stand in a query: a mistake in the code",
}


def ours() -> Iterator[tuple[str, str, list[str]]]:
    """Module, name and bases of every class in the product. Imports each module."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    for path in [*paths, *(ROOT / f"{name}.py" for name in MODULES)]:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        importlib.import_module(module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield module, node.name, [ast.unparse(base).rpartition(".")[2] for base in node.bases]


def drawn() -> dict[str, str]:
    """Each class in the drawing, and its base."""
    found: dict[str, str] = {}
    above: list[str] = []
    drawing = f"{errors.__doc__}\n{upstream_errors.__doc__}"
    for mark, names in re.findall(r"^ *([*x+=-]) (_?[A-Z]\w+(?:, _?[A-Z]\w+)*)", drawing, re.MULTILINE):
        depth = DEPTHS.index(mark)
        for name in names.split(", "):
            assert name not in found, f"{name} stands there twice"
            found[name] = above[depth - 1] if depth else ""
            above[depth:] = [name]
    return found


def test_the_drawing_has_the_whole_tree() -> None:
    """It has every error of the product below its base, and nothing else."""
    modules = {module for module, _, _ in ours()}

    def below(base: type[AppError]) -> Iterator[type[AppError]]:
        for one in base.__subclasses__():
            if one.__module__ in modules:
                yield one
                yield from below(one)

    tree = {"AppError": ""} | {one.__name__: one.__bases__[0].__name__ for one in below(AppError)}
    assert drawn() == tree


def test_every_exception_is_in_the_tree_or_has_a_reason() -> None:
    """An exception that isn't an `AppError` is listed here."""
    exceptions = {"Exception", "BaseException", "ValueError", "TypeError", "RuntimeError", "KeyError", "OSError"}
    classes = list(ours())
    for _ in classes:
        grown = {name for _, name, bases in classes if exceptions & set(bases)} - exceptions
        if not grown:
            break
        exceptions |= grown
    beside = {name for _, name, bases in classes if name in exceptions} - set(drawn())
    assert beside == set(OTHERS)


def test_errors_are_distinguished_by_class_and_attributes() -> None:
    """No code checks an error's text, exact type or arguments to find out what happened."""
    offences = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            for pattern in (
                r"type\((error|refusal|refused)\) is",
                r" in str\((error|refusal|refused)\)",
                r"\.args = ",
                r"getattr\(\w+, \"retry_after",
            ):
                offences += [f"{path.relative_to(ROOT)}: {one[0]}" for one in re.finditer(pattern, text)]
    assert not offences
