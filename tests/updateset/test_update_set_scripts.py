"""The scripts are ES5.1, use only functions that every supported instance has, and declare all names."""

import re
from collections.abc import Iterator

import pytest
from calmjs.parse import es5
from calmjs.parse.asttypes import (
    Catch,
    FuncDecl,
    FuncExpr,
    Identifier,
    Node,
    PropIdentifier,
    VarDecl,
)
from calmjs.parse.exceptions import ECMASyntaxError

from tests.updateset.artifact import of, scripts
from updateset.payload import SCRIPTS

# Functions that the engine's ES5 mode lacks although the syntax is valid.
UNSUPPORTED = re.compile(
    r"\.(includes|find|findIndex|fill|flat|flatMap|padStart|padEnd|repeat|startsWith|endsWith|replaceAll|at)\("
    r"|Object\.(assign|values|entries|fromEntries)\b|\b(Promise|Map|Set|WeakMap|Symbol|Proxy|Reflect)\b"
    r"|Array\.(from|of)\b|\b(setTimeout|console|require|fetch|atob|btoa|eval)\b|new Function"
    # Missing or without effect in a scoped application.
    r"|gs\.(print|log|sleep|nowDateTime)\b|GlideEncrypter|GlideStringUtil|GlideSecurityManager|setWorkflow"
    r"|autoSysFields|deleteMultiple|updateMultiple"
)
LANGUAGE = {"String", "Math", "Date", "JSON", "parseInt", "isNaN", "undefined", "arguments"}
PLATFORM = {
    "gs",
    "Class",
    "GlideRecord",
    "GlideAggregate",
    "GlideDateTime",
    "GlideDigest",
    "GlideFilter",
    "GlideTableHierarchy",
    "CertificateEncryption",
    "sn_ws",
    "sn_ws_err",
}
# Variables that the platform provides to each kind of script.
GIVEN = {
    "sys_script": {"current", "previous"},
    "sysevent_script_action": {"current", "event"},
    "sys_ws_operation": {"request", "response"},
    "sys_security_acl": {"current", "answer"},
    "sys_script_include": set(),
}


def _children(node: Node) -> Iterator[Node]:
    return (child for child in node.children() if isinstance(child, Node))


def _bound(node: Node) -> Iterator[str]:
    """Names that a function's body declares, without those of nested functions."""
    for child in _children(node):
        if isinstance(child, VarDecl | FuncDecl) and child.identifier is not None:
            yield child.identifier.value
        if isinstance(child, Catch):
            yield child.identifier.value
        if not isinstance(child, FuncDecl | FuncExpr):
            yield from _bound(child)


def _free(node: Node, known: set[str]) -> Iterator[str]:
    """Names that are used but not declared."""
    if isinstance(node, FuncDecl | FuncExpr):
        known = known | {one.value for one in node.parameters or []} | {"arguments"}
        if node.identifier is not None:
            known = known | {node.identifier.value}
        known = known | set(_bound(node))
    if isinstance(node, Identifier) and not isinstance(node, PropIdentifier) and node.value not in known:
        yield node.value
    for child in _children(node):
        yield from _free(child, known)


def undeclared(text: str) -> set[str]:
    """The names that a script uses but doesn't declare."""
    program = es5(text)
    return set(_free(program, set(_bound(program))))


@pytest.mark.parametrize("name", sorted(scripts()))
def test_a_script_is_es5(name: str) -> None:
    """The strict parser accepts it. It needs no newer functions and is ASCII without the end of a CDATA section."""
    text = scripts()[name]
    es5(text)
    plain = re.sub(r"//[^\n]*|/\*.*?\*/|'(?:[^'\\\n]|\\.)*'", "", text, flags=re.DOTALL)
    assert not UNSUPPORTED.search(plain)
    assert text.isascii()
    assert "]]>" not in text
    assert "CONTAINS" not in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("table", GIVEN)
def test_a_script_uses_only_declared_or_provided_names(table: str) -> None:
    """No missing `var` creates a global, and no global is used that the platform doesn't provide."""
    includes = {row.value("name") for row in of("sys_script_include")}
    found = [row for row in of(table) if row.script]
    assert found
    for row in found:
        assert undeclared(row.script) <= LANGUAGE | PLATFORM | includes | GIVEN[table], row.name


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("var a = 1; a = b.c;", {"b"}),
        ("(function (p) { q = p; })(x);", {"q", "x"}),
        ("try { f(); } catch (e) { e.g(); }", {"f"}),
        ("var o = { k: v, m: function n() { return n; } };", {"v"}),
        ("for (var i in list) { use(i); }", {"list", "use"}),
    ],
)
def test_the_check_finds_undeclared_names(text: str, names: set[str]) -> None:
    """Properties, parameters, caught errors and loop variables don't count as undeclared."""
    assert undeclared(text) == names


@pytest.mark.parametrize("text", ["let a;", "var f = () => 1;", "var s = `a`;", "f(a, );", "for (var a of b) {}"])
def test_the_parser_rejects_newer_syntax(text: str) -> None:
    """The parser must be as strict as the oldest instance, or the check would miss errors."""
    with pytest.raises(ECMASyntaxError):
        es5(text)


def test_every_file_is_shipped() -> None:
    """No script is unused."""
    shipped = set(scripts().values())
    for path in SCRIPTS.glob("*.js"):
        assert path.read_text(encoding="ascii").rstrip("\n") in shipped, path.name


def test_logs_have_only_ids() -> None:
    """A log line is a constant text with IDs, counts and statuses as parameters. Nothing is concatenated."""
    calls = [
        call for text in scripts().values() for call in re.findall(r"gs\.(?:info|warn|error|debug)\(([^;]*)\);", text)
    ]
    assert calls
    for call in calls:
        assert re.match(r"'[^']*'(,|$)", call)
        assert not re.search(r"body|secret|text|query|short_description|server\b(?!_)", call.split("'", 2)[2])
