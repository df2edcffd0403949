"""
Project rules: imports, module sizes, settings, dependencies and caches.

`tests/scenarios/test_verification.py` checks that every route verifies its caller, and
`tests/scenarios/test_form_limits.py` checks that every form keeps both hosts' limits.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.dead_cases import any_refusal, dead_cases
from tests.imports import ROOT, imports, modules

CHANGELOG_SECTIONS = ("Upgrading", "Added", "Changed", "Fixed", "Security", "Removed")

# What each package or module can import from the product (design §2). `mattermost.cards` and its imports
# are pure, so handlers can use them.
ALLOWED: dict[str, set[str]] = {
    "core": {"core"},
    "forms": {"core", "forms"},
    "http_client": {"core", "http_client"},
    "mattermost": {"core", "http_client", "mattermost"},
    "servicenow": {"core", "http_client", "servicenow"},
    "storage": {"core", "storage"},
    "updateset": {"core", "updateset"},
    "handlers": {"core", "forms", "handlers", "mattermost.cards", "mattermost.markdown"},
    "notifications": {
        "core",
        "forms",
        "notifications",
        "mattermost.cards",
        "mattermost.markdown",
        "mattermost.notice_cards",
    },
    "web": {"core", "handlers", "mattermost", "notifications", "web"},
    "sandbox": {"sandbox"},
    "config": {"core.instance", "core.notices"},
}
TOP = ("app", "cli", "offline", "wiring")  # can import everything
OURS = {*ALLOWED, *TOP}


# Packages that get clients from outside and annotate them with their classes. Here an import inside
# `if TYPE_CHECKING:` creates no dependency, and a Protocol for each class would only repeat it.
ANNOTATE_ONLY = ("handlers", "notifications")


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_the_design_allows(package: str) -> None:
    """No module violates the import table. In particular, the sandbox shares nothing with the product."""
    offences = []
    for path in modules(package):
        for name in imports(path, annotations=package not in ANNOTATE_ONLY):
            if name.split(".")[0] not in OURS or (package == "config" and name == "config"):
                continue
            allowed = ALLOWED[package]
            if not any(name == one or name.startswith(f"{one}.") or one.startswith(f"{name}.") for one in allowed):
                offences.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not offences


def test_the_core_needs_only_the_standard_library() -> None:
    """`core` imports nothing that has to be installed."""
    foreign = {
        name
        for path in modules("core")
        for name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names | {"core"}
    }
    assert not foreign


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def _graph() -> dict[str, set[str]]:
    """Each module of the product with its imports, including those in functions and for annotations."""
    paths = {_name(path): path for package in sorted(OURS) for path in modules(package)}
    return {name: {one for one in imports(path) if one in paths and one != name} for name, path in paths.items()}


def _depths(folder: str) -> dict[str, int]:
    """The length of the longest import chain in *folder* from each of its modules."""
    inside = {name for name in _graph() if name.rpartition(".")[0] == folder and not name.endswith(".__init__")}
    graph = {name: _graph()[name] & inside for name in inside}
    depths: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        depths[name] = 1 + max((depths[one] for one in graph[name]), default=0)
    return depths


def test_no_module_imports_itself_through_others() -> None:
    """There are no import cycles, not even of imports inside functions or of annotations."""
    try:
        TopologicalSorter(_graph()).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' imports '.join(reversed(error.args[1]))}")


def test_imports_in_a_folder_are_at_most_four_levels_deep() -> None:
    """A reader of a module needs at most three more levels of its folder."""
    folders = {name.rpartition(".")[0] for name in _graph()} - {""}
    found = {folder: max(_depths(folder).values(), default=0) for folder in folders}
    assert not {folder: depth for folder, depth in found.items() if depth > 4}


def _answers_calls(node: ast.stmt) -> bool:
    """Whether it is a handler, which is registered for a path and has no other caller."""
    return isinstance(node, ast.FunctionDef) and ast.unparse(node.args) == "call: Call, context: Context"


def test_one_name_has_one_meaning() -> None:
    """No two modules define a public class or function of the same name. Handlers are identified by their paths."""
    defined: dict[str, list[str]] = {}
    for path in [one for package in sorted(OURS - {"sandbox"}) for one in modules(package)]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not _answers_calls(node):
                defined.setdefault(node.name, []).append(_name(path))
    assert not {name: found for name, found in defined.items() if len(found) > 1 and not name.startswith("_")}


def test_parameters_have_one_order() -> None:
    """Functions take the call, the context and the attempt first, in this order."""
    order = ["Call", "Context", "Attempt"]
    offences = []
    for path in [*modules("handlers"), *modules("web")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            taken = [ast.unparse(one.annotation) for one in node.args.args if one.annotation is not None]
            first = sorted((one for one in taken if one in order), key=order.index)
            if taken[: len(first)] != first:
                offences.append(f"{path.relative_to(ROOT)}: {node.name}({', '.join(taken)})")
    assert not offences


def test_no_module_has_the_name_of_a_library() -> None:
    """In ``from limits import``, it must be clear which module is meant."""
    installed = set(packages_distributions())
    assert not [name for name in _graph() if name.rpartition(".")[2] in installed]


def test_the_domain_model_is_small() -> None:
    """`core` has at most 20 modules. Code that isn't part of the domain model belongs elsewhere."""
    assert len(modules("core")) <= 20


def test_every_capability_is_registered() -> None:
    """`handlers/capabilities.py` imports each module that registers a handler, so each handler can be called."""
    registers = re.compile(r"^@?calls\.(form|refresh|lookup|submit)\(", re.MULTILINE)
    registering = {_name(path) for path in modules("handlers") if registers.search(path.read_text(encoding="utf-8"))}
    code = "import sys, handlers.capabilities; print(*(name for name in sys.modules if name.startswith('handlers.')))"
    imported = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(registering) >= 15
    assert registering <= set(imported.stdout.split())


def test_capabilities_have_the_same_folders_everywhere() -> None:
    """The forms of `handlers/records` are in `forms/records`, and its tests in `tests/scenarios/records`."""

    def folders(place: str) -> set[str]:
        return {path.name for path in (ROOT / place).iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders("handlers") == folders("forms")
    assert folders("handlers") <= folders("tests/scenarios")
    assert {path.relative_to(ROOT / "forms") for path in (ROOT / "forms").glob("*/*.py")} <= {
        path.relative_to(ROOT / "handlers") for path in (ROOT / "handlers").glob("*/*.py")
    }


def test_modules_are_short() -> None:
    """No module has more than 500 lines."""
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for package in (*ALLOWED, *TOP)
        for path in modules(package)
    }
    assert not {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > 500}


def test_every_setting_is_documented() -> None:
    """docs/settings.md lists exactly the settings that `config.py` reads."""
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "config.py").read_text(encoding="utf-8")))
    documented = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(encoding="utf-8"), re.M))
    assert read == documented


def test_the_changelog_has_each_section_once_and_in_order() -> None:
    """Union merges of branches can repeat a section."""
    for release in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        sections = re.findall(r"^### (.+)$", release, re.M)
        assert sections == [one for one in CHANGELOG_SECTIONS if one in sections], (
            "A merge repeated old entries: take main's CHANGELOG.md and add only your new lines."
        )


def test_every_dependency_has_a_reason() -> None:
    """Each dependency in pyproject.toml has a comment, except type stubs and common tools."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)
    wanted = project["project"]["dependencies"] + [
        name for group in project["dependency-groups"].values() for name in group if isinstance(name, str)
    ]
    lines = text.splitlines()
    plain = ("types-", "pytest>", "mypy>", "ruff>")
    bare = [
        name
        for name in wanted
        if not name.startswith(plain) and not any(f'"{name}"' in line and "#" in line for line in lines)
    ]
    assert wanted
    assert not bare


def test_lock_files_name_no_index() -> None:
    """They have exact versions with hashes and no URL of a package index."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        pinned = re.findall(r"^([\w.-]+)==", text, re.M)
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)


def _caches(scope: ast.Module | ast.ClassDef) -> Iterator[str]:
    """Names and attributes with a cache of cachetools. Each class is a separate scope."""
    nodes = ast.walk(scope) if isinstance(scope, ast.ClassDef) else iter(scope.body)
    for node in nodes:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
            continue
        if ast.unparse(node.value.func) in {"TTLCache", "LRUCache", "Cache"}:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (ast.unparse(target) for target in targets)


def _unlocked(node: ast.AST, caches: set[str], *, locked: bool = False) -> Iterator[str]:
    """Uses of *caches* outside `with …lock` or `with …changed`, except where they are created."""
    if isinstance(node, ast.With) and any(
        re.search(r"lock|changed", ast.unparse(item.context_expr)) for item in node.items
    ):
        locked = True
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and ast.unparse(node) in caches:
        if not locked:
            yield f"{ast.unparse(node)} in line {node.lineno}"
        return
    for child in ast.iter_child_nodes(node):
        yield from _unlocked(child, caches, locked=locked)


def test_caches_are_used_only_under_a_lock() -> None:
    """Threads share every cache of cachetools, and no operation is safe without a lock."""
    found = 0
    offences = []
    for path in (path for package in ALLOWED if package != "sandbox" for path in modules(package)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        scopes: list[ast.Module | ast.ClassDef] = [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef))]
        for scope in scopes:
            caches = set(_caches(scope))
            found += len(caches)
            offences += [f"{path.relative_to(ROOT)}: {use}" for use in _unlocked(scope, caches)]
    assert found >= 10
    assert not offences


def test_paths_of_mattermost_are_built_of_checked_segments() -> None:
    """
    Only `mattermost/paths.py` writes a path as text. Elsewhere, a segment is a constant, an `Id` or a `Name`, so that
    no value from outside can change the requested path (design §4).
    """
    offences = []
    for path in [one for package in OURS - {"sandbox"} for one in modules(package)]:
        if path == ROOT / "mattermost" / "paths.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/api/v4"):
                offences.append(f"{where}: a path as text")
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "Path" and "mattermost.paths.Path" in set(imports(path)):
                offences.append(f"{where}: a path made by hand")
            if node.func.id in {"api", "apps_plugin"}:
                offences += [f"{where}: {ast.unparse(one)}" for one in node.args if not _is_segment(one)]
    assert not offences


def test_handlers_read_and_sign_states_in_one_place() -> None:
    """`handlers/form_state.py` types the state of forms. Only the signed download link isn't tied to a person."""
    untyped = re.compile(r"\bstate\.get\(|\bstate\[|\bsigner\.sign\(")
    found = {path.name for path in modules("handlers") if untyped.search(path.read_text(encoding="utf-8"))}
    assert found == {"form_state.py", "setup_checks.py"}


def _is_segment(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"Id", "Name"}
    if isinstance(node, ast.Name):
        return node.id.isupper()  # a constant of a module
    return isinstance(node, ast.Constant) and re.fullmatch(r"[a-z0-9_-]+", str(node.value)) is not None


def _tests(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / "tests" / folder).rglob("test_*.py"))


def test_every_case_of_a_test_runs() -> None:
    """Tests use every parametrized name, and each case, key and branch has a parameter that selects it."""
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in _tests("")
        for line in dead_cases(path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_error_tests_check_which_error_was_returned() -> None:
    """
    A test of an error checks its text or its specific class. Otherwise, any other error would pass too.

    In the contract tests of the doubles, the HTTP status is what was recorded.
    """
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in _tests("scenarios", "unit", "e2e")
        for line in any_refusal(path.read_text(encoding="utf-8"))
    ]
    assert not found


PARAMETRIZED = """
CASES = {"a": 1, "b": 2}
every = pytest.mark.parametrize("how", ["a", "b"])

@pytest.mark.parametrize("how", ["a"])
def test_a(how, other): assert BODY
"""
DEAD = {
    "other == 1": "'how' is parametrized and never looked at",
    "CASES[how]": "CASES: ['b'] never run",
    "CASES.get(how)": "CASES: ['b'] never run",
    "{'a': 1, 'e': 2}[how]": "['e'] never run",
    "1 if how == 'c' else 2": "['c'] never run",
    "how in {'a', 'd'}": "['d'] never run",
}
REFUSED = {
    "answer['error']": True,
    "answer.get('errors')": True,
    "answer['type'] == 'error'": True,
    "'error' in answer": True,
    "answer.status_code == 403": True,
    "answer['error'] == 'Too late.'": False,
    "words in answer['error']": False,
    "answer['type'] == 'ok'": False,
    "answer.status_code == 200": False,
}


@pytest.mark.parametrize("body", DEAD)
def test_the_rule_finds_dead_cases(body: str) -> None:
    """It finds each kind of dead case, and reports nothing if all cases run."""
    found = [line.removeprefix("test_a: ") for line in dead_cases(PARAMETRIZED.replace("BODY", body))]
    assert found == [DEAD[body]]
    everything = PARAMETRIZED.replace('["a"]', "CASES").replace("BODY", "CASES[how]")
    assert list(dead_cases(everything)) == []
    apart = PARAMETRIZED.replace("BODY", "CASES[how]")
    assert list(dead_cases(apart + apart.replace('["a"]', '["b"]').replace("test_a", "test_b"))) == []


@pytest.mark.parametrize("asserted", REFUSED)
def test_the_rule_finds_unspecific_error_tests(asserted: str) -> None:
    """It finds assertions that any error passes, unless another assertion checks which one."""
    alone = f"def test_a(answer, words):\n    assert {asserted}\n"
    assert bool(list(any_refusal(alone))) is REFUSED[asserted]
    assert list(any_refusal(f"{alone}    assert 'could not be verified' in str(answer)\n")) == []
    raised = "def test_a():\n    with pytest.raises(NotVerified{}):\n        x()\n"
    assert list(any_refusal(raised.format(""))) == ["test_a: any NotVerified"]
    assert list(any_refusal(raised.format(", match='expired'"))) == []
