"""Errors form one tree, which the docstrings of `core/errors.py` and `core/upstream_errors.py` draw."""

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
# Exceptions of ours that no person meets, and why they are none of the tree.
OTHERS = {
    "BadQuery": "a stored filter that the builder does not read; its caller says what is wrong with the subscription",
    "ConfigError": "settings are wrong, so nothing has started; the command line prints it",
    "ExchangeError": "an HTTP exchange failed; both clients raise errors of the tree for it",
    "FormLimit": "a form of ours exceeds what a host takes: a mistake in the code",
    "InvalidDateTime": "a text is no time; its caller names the field",
    "UnsafeValue": "a value can't stand in a query: a mistake in the code",
}


def ours() -> Iterator[tuple[str, str, list[str]]]:
    """Module, name and bases of every class in the product; imports each module on the way."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    for path in [*paths, *(ROOT / f"{name}.py" for name in MODULES)]:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        importlib.import_module(module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield module, node.name, [ast.unparse(base).rpartition(".")[2] for base in node.bases]


def drawn() -> dict[str, str]:
    """Each class of the drawing, and the class that it stands below."""
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


def test_the_tree_is_drawn_whole() -> None:
    """Every error of the product stands below its base, and nothing else is drawn."""
    modules = {module for module, _, _ in ours()}

    def below(base: type[AppError]) -> Iterator[type[AppError]]:
        for one in base.__subclasses__():
            if one.__module__ in modules:
                yield one
                yield from below(one)

    tree = {"AppError": ""} | {one.__name__: one.__bases__[0].__name__ for one in below(AppError)}
    assert drawn() == tree


def test_every_exception_is_in_the_tree_or_has_a_reason_not_to_be() -> None:
    """A class that ends up as an exception and is no `AppError` is listed here."""
    exceptions = {"Exception", "BaseException", "ValueError", "TypeError", "RuntimeError", "KeyError", "OSError"}
    classes = list(ours())
    for _ in classes:
        grown = {name for _, name, bases in classes if exceptions & set(bases)} - exceptions
        if not grown:
            break
        exceptions |= grown
    beside = {name for _, name, bases in classes if name in exceptions} - set(drawn())
    assert beside == set(OTHERS)


def test_an_error_is_told_apart_by_its_class_and_attributes() -> None:
    """Nobody reads an error's text, its exact type or its arguments to find out what happened."""
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
