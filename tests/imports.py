"""What the modules of this repository import, for tests of its structure."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


def modules(package: str) -> list[Path]:
    """The modules of a package, or the single module of that name."""
    single = ROOT / f"{package}.py"
    return [single] if single.exists() else sorted((ROOT / package).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module; don't change it."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, *, annotations: bool = True) -> Iterator[str]:
    """What a module imports. Without *annotations*, only what it imports when it runs."""
    body = [node for node in parsed(path).body if annotations or not _is_type_checking(node)]
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse
