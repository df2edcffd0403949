"""The documentation names what exists: the diagram's arrows, the hops of the main paths, modules, and functions."""

import ast
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from tests.acts import opened
from tests.imports import ROOT, imports, modules, parsed
from tests.reports import Component, grant, incident, stored
from tests.test_rules import OURS

GUIDE = ROOT / "docs" / "architecture.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = (*OURS, "docs", "tests", "benchmarks", "scripts")
HERE: dict[str, Any] = {"channel": "service-desk"}

_ARROW = re.compile(r"^ *([\w &]+) (-->|-\.->) ([\w &]+)$", re.MULTILINE)
_HOP = re.compile(r"^( *)(\S+\.(?:py|js)) +(\w[\w.]*) +\S.*$")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_diagram_has_the_arrows_of_the_imports() -> None:
    """A solid arrow for each import between packages, a dashed one if all of them are for annotations only."""
    drawn: dict[str, set[tuple[str, str]]] = {"-->": set(), "-.->": set()}
    for sources, arrow, targets in _ARROW.findall(GUIDE.read_text(encoding="utf-8")):
        drawn[arrow] |= {(source, target) for source in sources.split(" & ") for target in targets.split(" & ")}
    solid, dashed = set(), set()
    for package in OURS:
        for path in modules(package):
            solid |= {(package, name.split(".")[0]) for name in imports(path, annotations=False)}
            dashed |= {(package, name.split(".")[0]) for name in imports(path)}
    between = {(source, target) for source in OURS for target in OURS if source != target}
    assert drawn["-->"] == solid & between
    assert drawn["-.->"] == (dashed - solid) & between


@dataclass
class Hop:
    """One line of a path, with the lines that are indented below it."""

    module: str
    function: str
    hops: list["Hop"] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.module} {self.function}"


def _paths() -> list[Hop]:
    """The first hop of each path in the guide."""
    found: list[Hop] = []
    for language, block in _BLOCK.findall(GUIDE.read_text(encoding="utf-8").partition("## Authentication")[0]):
        if language:
            continue  # the diagram
        above: list[tuple[int, Hop]] = []
        for line in block.splitlines():
            match = _HOP.match(line)
            assert match is not None, line
            hop, depth = Hop(match[2], match[3]), len(match[1])
            while above and above[-1][0] >= depth:
                above.pop()
            (above[-1][1].hops if above else found).append(hop)
            above.append((depth, hop))
    return found


def _all(hops: list[Hop]) -> Iterator[Hop]:
    for hop in hops:
        yield hop
        yield from _all(hop.hops)


def test_each_hop_exists_in_its_module() -> None:
    """No line of a path names a function that was renamed or moved."""
    hops = list(_all(_paths()))
    assert len(hops) > 100
    missing = []
    for hop in hops:
        path = ROOT / hop.module
        if not path.exists():
            missing.append(str(hop))
        elif path.suffix == ".py":
            if not _has(parsed(path), hop.function.split(".")):
                missing.append(str(hop))
        elif not re.search(rf"\bfunction {hop.function}\b|\b{hop.function}: function\b", path.read_text()):
            missing.append(str(hop))
    assert not missing


def _has(scope: ast.AST, names: list[str]) -> bool:
    """Whether a function or class with these nested *names* is defined."""
    if not names:
        return True
    inside = (node for node in ast.iter_child_nodes(scope) if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return any(_has(node, names[1:]) for node in inside if node.name == names[0])


@dataclass
class Called:
    """A call of a function of the product. ``above`` are the calls that it was made in, by their number."""

    name: str
    above: frozenset[int]


class Tracer:
    """Records the product's calls in threads that start while it is on."""

    def __init__(self) -> None:
        self.calls: list[Called] = []
        self._names: dict[CodeType, str] = {}
        self._lock = threading.Lock()
        self._thread = threading.local()

    @contextmanager
    def on(self) -> Iterator[None]:
        """Trace inside ``with``."""
        threading.setprofile(self._profile)
        try:
            yield
        finally:
            threading.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event not in {"call", "return"}:
            return
        name = self._names.get(frame.f_code)
        if name is None:
            name = self._names[frame.f_code] = _name(frame.f_code)
        if not name:
            return
        stack: list[int] = self._thread.__dict__.setdefault("stack", [])
        if event == "return":
            if stack:
                stack.pop()
            return
        with self._lock:
            stack.append(len(self.calls))
            self.calls.append(Called(name, frozenset(stack[:-1])))


def _name(code: CodeType) -> str:
    """As in a path of the guide; "" for code outside the product."""
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0].removesuffix(".py") not in OURS - {"sandbox"}:
        return ""
    return f"{path.relative_to(ROOT).as_posix()} {code.co_qualname.replace('.<locals>', '')}"


def _missing(hop: Hop, calls: list[Called], start: int = 0, parent: int | None = None) -> tuple[int, str]:
    """
    Look for *hop* after call number *start* and inside call *parent*, and for what is below it.

    Returns:
        The number of its call and "", or which hop is missing.
    """
    problem = ""
    for number in range(start, len(calls)):
        called = calls[number]
        if called.name != str(hop) or (parent is not None and parent not in called.above):
            continue
        last = number
        for below in hop.hops:
            last, found = _missing(below, calls, last + 1, number)
            problem = problem or found
            if found:
                break
        else:
            return number, ""
    return start, problem or f"{hop} was not called here"


def test_the_main_paths_are_called_as_documented(component: Component) -> None:
    """Each line calls those that are indented below it, in this order."""
    world, tracer = component.world, Tracer()
    agent = world.person("agent")
    traced: list[list[Called]] = []

    def trace() -> None:
        world.settle()
        traced.append(list(tracer.calls))
        tracer.calls.clear()

    with tracer.on():
        [subscription] = stored(world, grant(world))  # starts the service's threads
        message = agent.say("service-desk", "The printer is on fire")
        entry = agent.entries("/post_menu", "service-desk")["Create ServiceNow incident"]["submit"]
        opened(agent.call(entry, post_id=message["id"], **HERE))  # what is cached later is read now
        world.settle()
        tracer.calls.clear()

        form = opened(agent.call(entry, post_id=message["id"], **HERE))
        trace()
        assert agent.submit(form, {}, **HERE)["type"] == "ok"
        trace()
        card = world.mattermost.posts_in("service-desk")[-1]
        dialog = agent.press_action(card["id"], "comment").dialog
        trace()
        assert dialog is not None
        assert agent.submit_dialog(dialog, {"comments": "Try water."}, channel_id=card["channel_id"]) == {}
        trace()
        component.changed(incident(world), [subscription])
        world.settle()
        traced += [tracer.calls, tracer.calls]  # receiving a report and posting its notice

    paths = [hop for hop in _paths() if hop.module.endswith(".py")]
    assert len(paths) == len(traced)
    assert [problem for hop, calls in zip(paths, traced, strict=True) if (problem := _missing(hop, calls)[1])] == []


@cache
def _sources() -> dict[str, ast.Module]:
    """Every module of the product and of the doubles by its dotted name."""
    found = {}
    for package in OURS:
        for path in modules(package):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = parsed(path)
    return found


@cache
def _file_names() -> set[str]:
    return {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")} | {f"{one}.py" for one in OURS}


@cache
def _classes() -> dict[str, set[str]]:
    """Members of every class by its name, those of its bases in this repository included."""
    own: dict[str, set[str]] = {}
    bases: dict[str, set[str]] = {}
    for tree in _sources().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                own.setdefault(node.name, set()).update(_members(node))
                bases.setdefault(node.name, set()).update(ast.unparse(base).split("[")[0] for base in node.bases)

    def members(name: str) -> set[str]:
        return own.get(name, set()).union(*(members(base) for base in bases.get(name, ()) if base != name))

    return {name: members(name) for name in own}


def _members(scope: ast.Module | ast.ClassDef) -> Iterator[str]:
    """Names that a module or class defines; attributes of ``self`` too."""
    for node in scope.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
    if isinstance(scope, ast.ClassDef):
        for inner in ast.walk(scope):
            if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
                yield inner.attr


def _named(text: str) -> Iterator[str]:
    """What is written as code: inside backticks, and paths in blocks."""
    for block in re.findall(r"^ *```.*?^ *```", text, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"(?<![\w/.:-])[\w.-]+(?:/[\w.-]+)+\.\w+", block)
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)):
        yield from re.findall(r"(?<![\w/.:<$-])[A-Za-z_.][\w.-]*(?:/[\w.*-]+)*", span)


def _is_wrong(name: str) -> bool:
    """Whether *name* looks like a module, a function, or a class member of ours that isn't there."""
    if "/" in name:
        ours = name.partition("/")[0] in FOLDERS and not re.search(r"NAME|FOLDER|\*", name)
        return ours and not any((ROOT / f"{name}{suffix}").exists() for suffix in ("", ".py"))
    if name.endswith((".py", ".js")):
        return name not in _file_names()
    names = name.split(".")
    if len(names) < 2 or names[-1] in {"", "json", "toml"}:
        return False
    for length in range(len(names) - 1, 0, -1):
        module = ".".join(names[:length])
        if f"{module}.{names[length]}" in _sources():
            return False
        if module in _sources():
            return names[length] not in set(_members(_sources()[module]))
    return names[0] in _classes() and names[1] not in _classes()[names[0]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_the_documentation_names_exists(document: Path) -> None:
    """Modules, functions, class members, and linked files."""
    text = document.read_text(encoding="utf-8")
    assert sorted({name for name in _named(text) if _is_wrong(name)}) == []
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []
