"""
Finds cases of a test module that never run, and unspecific error assertions, for `tests/test_rules.py`.

A parametrized name that no code uses, a dictionary case that no parameter selects and a branch for a value that
no parameter has look like tests but check nothing. An assertion that any error passes checks too little.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# Errors with many causes. A test must check which one was returned.
BROAD = frozenset(
    {
        "AppError", "HTTPError", "InvalidInput", "MattermostError", "MattermostRefused", "NotPermitted", "NotVerified",
        "ServiceNowError",
    }
)  # fmt: skip
_SAYS_NOTHING = frozenset({"detail", "error", "errors", "form", "items", "navigate", "ok", "status", "text", "type"})


@dataclass(frozen=True)
class Parameter:
    """A parametrized argument; ``values`` are its texts, or None if some aren't texts or aren't known here."""

    name: str
    values: frozenset[str] | None


def dead_cases(source: str) -> Iterator[str]:
    """A line for each case of a module that never runs. A case that tests share must run in one of them."""
    tree = ast.parse(source)
    constants = _assigned(tree.body)
    run: dict[str, set[str]] = {}
    for test in _functions(tree):
        own = _assigned(list(ast.walk(test)))
        for parameter in _parameters(test, constants):
            names = [node for line in test.body for node in ast.walk(line) if isinstance(node, ast.Name)]
            if not any(node.id == parameter.name for node in names):
                yield f"{test.name}: {parameter.name!r} is parametrized and never looked at"
            elif parameter.values is not None:
                for shared, looked_at in _looked_at(test, parameter.name, constants | own):
                    if shared in constants and shared not in own:
                        run.setdefault(shared, set()).update(parameter.values)
                    elif never := looked_at - parameter.values:
                        yield f"{test.name}: {sorted(never)} never run"
    for name, values in run.items():
        if never := (_texts(constants[name], {}) or frozenset()) - values:
            yield f"{name}: {sorted(never)} never run"


def any_refusal(source: str) -> Iterator[str]:
    """A line for each test of a module that asserts an error but not its text."""
    for test in _functions(ast.parse(source)):
        asserts = [node for node in ast.walk(test) if isinstance(node, ast.Assert)]
        bare = [node for node in asserts if _only_refused(node.test)]
        expected = any(_expects_text(node) for node in ast.walk(test))
        if bare and not expected and not any(_says(node.test) for node in asserts if node not in bare):
            yield f"{test.name}: {ast.unparse(bare[0].test)}"
        for name in _raised(test):
            yield f"{test.name}: any {name}"


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def _assigned(nodes: list[ast.stmt] | list[ast.AST]) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
    return found


def _parameters(test: ast.FunctionDef, constants: dict[str, ast.expr]) -> Iterator[Parameter]:
    for decorator in test.decorator_list:
        call = constants.get(decorator.id, decorator) if isinstance(decorator, ast.Name) else decorator
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith(".parametrize") or len(call.args) < 2:
            continue
        first = call.args[0]
        names = [text for one in getattr(first, "elts", [first]) if (text := _text(one)) is not None]
        if len(names) == 1 and "," not in names[0]:
            yield Parameter(names[0], _texts(call.args[1], constants))
        else:
            yield from (Parameter(name.strip(), None) for names_ in names for name in names_.split(","))


def _looked_at(test: ast.FunctionDef, name: str, known: dict[str, ast.expr]) -> Iterator[tuple[str, frozenset[str]]]:
    """Texts that the parameter is compared with or used as a key for, by the name of their constant, or ""."""
    for node in ast.walk(test):
        found: frozenset[str] | None = None
        of: ast.expr = ast.Constant("")
        if isinstance(node, ast.Subscript) and _is(node.slice, name):
            of = node.value
            found = _keys(of, known)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            of = node.func.value
            found = _keys(of, known) if node.args and _is(node.args[0], name) else None
        elif isinstance(node, ast.Compare) and _is(node.left, name):
            of = node.comparators[0]
            text = _text(of)
            found = frozenset({text}) if text is not None else _texts(of, known)
        elif isinstance(node, ast.Match) and _is(node.subject, name):
            patterns = [case.pattern for case in node.cases]
            texts = [_text(one.value) for one in patterns if isinstance(one, ast.MatchValue)]
            found = frozenset(text for text in texts if text is not None)
        if found is not None:
            yield of.id if isinstance(of, ast.Name) else "", found


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _keys(node: ast.expr, known: dict[str, ast.expr]) -> frozenset[str] | None:
    value = known.get(node.id) if isinstance(node, ast.Name) else node
    return _texts(value, known) if isinstance(value, ast.Dict) else None


def _texts(node: ast.expr | None, known: dict[str, ast.expr]) -> frozenset[str] | None:
    """The texts of a list, tuple or set, or the keys of a dictionary. None if any isn't a text."""
    if isinstance(node, ast.Name):
        node = known.get(node.id)
    parts: list[ast.expr | None] = []
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        parts = [*node.elts]
    elif isinstance(node, ast.Dict):
        parts = node.keys
    texts = [_text(one) for one in parts]
    found = frozenset(text for text in texts if text is not None)
    return found if texts and None not in texts else None


def _only_refused(test: ast.expr) -> bool:
    """Whether it is like `answer["error"]`, `answer["type"] == "error"` or `answer.status_code == 403`."""
    if isinstance(test, ast.Subscript):
        return _text(test.slice) in {"error", "errors"}
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Attribute) and test.func.attr == "get":
        return bool(test.args) and _text(test.args[0]) in {"error", "errors"}
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    left, right, how = test.left, test.comparators[0], test.ops[0]
    if isinstance(how, ast.Eq) and isinstance(left, ast.Subscript):
        return _text(left.slice) == "type" and _text(right) == "error"
    if isinstance(how, ast.In) and _text(left) == "error":
        return True
    if isinstance(left, ast.Attribute) and left.attr in {"status_code", "status"} and isinstance(how, ast.Eq | ast.In):
        codes = [one.value for one in ast.walk(right) if isinstance(one, ast.Constant) and isinstance(one.value, int)]
        return bool(codes) and all(400 <= code < 500 for code in codes)
    return False


def _says(test: ast.expr) -> bool:
    """Whether an assertion checks a text, or that something contains a variable's value."""
    for node in ast.walk(test):
        text = _text(node) if isinstance(node, ast.expr) else None
        if text is not None and len(text) > 2 and text not in _SAYS_NOTHING:
            return True
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.ops[0], ast.In)
            and not isinstance(node.left, ast.Constant)
        ):
            return True
    return False


def _expects_text(node: ast.AST) -> bool:
    """Whether it is `expect(…).to_have_text(…)`, as in browser tests."""
    return isinstance(node, ast.Attribute) and node.attr in {"to_have_text", "to_contain_text"}


def _raised(test: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(test):
        for item in node.items if isinstance(node, ast.With) else ():
            call = item.context_expr
            if not isinstance(call, ast.Call) or ast.unparse(call.func) != "pytest.raises":
                continue
            name = ast.unparse(call.args[0]).rpartition(".")[2]
            if name in BROAD and not call.keywords and item.optional_vars is None:
                yield name
