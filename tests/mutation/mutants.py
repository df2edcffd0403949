"""Small changes to a module's source, one at a time, each of which should make a test fail."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "+",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.BitOr: "&",
    ast.BitAnd: "|",
}
_GENERICS = {"Callable", "dict", "list", "tuple"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """Replaces *start* to *end* of the source (UTF-8 bytes) with *new*. Its *name* doesn't depend on line numbers."""

    name: str
    line: int
    start: int
    end: int
    new: str

    def apply(self, source: bytes) -> bytes:
        """The changed source."""
        return source[: self.start] + self.new.encode() + source[self.end :]


def mutants(source: bytes) -> list[Mutant]:
    """All mutants of a module, except those that don't compile."""
    return list(_Finder(source).found())


class _Finder(ast.NodeVisitor):
    """Leaves docstrings, annotations, log lines and sentences unchanged. Other tests check texts."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._scope: list[str] = []
        self._changes: list[tuple[str, ast.AST, str]] = []

    def found(self) -> Iterator[Mutant]:
        self.visit(ast.parse(self._source))
        seen: Counter[str] = Counter()
        for scope, node, new in self._changes:
            start, end = self._span(node)
            was = " ".join(self._source[start:end].decode().split())
            name = f"{scope}: {_short(was)} → {_short(' '.join(new.split()))}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            mutant = Mutant(name, getattr(node, "lineno", 0), start, end, new)
            try:
                compile(mutant.apply(self._source), "mutant", "exec")
            except (SyntaxError, ValueError):
                continue
            yield mutant

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: _Function) -> None:
        """Visit its defaults and body, but not its annotations and decorators."""
        self._scope.append(node.name)
        for default in (*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)):
            self.visit(default)
        self._body(node.body)
        self._scope.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        self._body(node.body)
        self._scope.pop()

    def visit_Module(self, node: ast.Module) -> None:
        self._body(node.body)

    def _body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) or _is_log(node.value):
            return  # a docstring or a log line
        if isinstance(node.value, ast.Call):
            self._change(node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not _is_type(node.value):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._change(node, "pass")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            if not isinstance(node.value, ast.Constant) or node.value.value not in {None, False, ""}:
                self._change(node.value, "None")
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self._negated(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negated(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._change(test, "True")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        operands = [self._text(one) for one in node.values]
        word = " and " if isinstance(node.op, ast.And) else " or "
        other = " or " if isinstance(node.op, ast.And) else " and "
        self._change(node, f"({other.join(f'({one})' for one in operands)})")
        for index in range(len(operands)):
            left = [f"({one})" for number, one in enumerate(operands) if number != index]
            self._change(node, f"({word.join(left)})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1:
            new = _COMPARISONS[type(node.ops[0])]
            self._change(node, f"{self._text(node.left)} {new} {self._text(node.comparators[0])}")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._change(node, self._text(node.operand))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        new = _ARITHMETIC.get(type(node.op))
        if new is not None and not isinstance(node.left, ast.JoinedStr):
            self._change(node, f"({self._text(node.left)}) {new} ({self._text(node.right)})")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg is not None and len(node.keywords) + len(node.args) > 1:
                others = [*node.args, *(one.value for one in node.keywords if one is not keyword)]
                names = [*("" for _ in node.args), *(_named(one) for one in node.keywords if one is not keyword)]
                inside = ", ".join(name + self._text(one) for name, one in zip(names, others, strict=True))
                self._change(node, f"{self._text(node.func)}({inside})")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._change(node, str(not value))
        elif isinstance(value, int | float):
            self._change(node, repr(value + 1))
        elif isinstance(value, str) and value and value.count(" ") < 3:
            self._change(node, repr(f"{value}~"))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Visit only the placeholders. Python 3.11 has no positions for the text around them."""

    def _negated(self, test: ast.expr) -> None:
        if not isinstance(test, ast.Compare | ast.UnaryOp):
            self._change(test, f"not ({self._text(test)})")

    def _change(self, node: ast.AST, new: str) -> None:
        self._changes.append((".".join(self._scope) or "module", node, new))

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()

    def _span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._lines[node.lineno - 1] + node.col_offset, self._lines[node.end_lineno - 1] + node.end_col_offset


def _short(text: str) -> str:
    return text if len(text) <= 70 else f"{text[:40]}…{text[-29:]}"


def _named(keyword: ast.keyword) -> str:
    return f"{keyword.arg}=" if keyword.arg else "**"


def _is_type(node: ast.expr) -> bool:
    """Whether it is a type alias's value, which can contain forward references."""
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in _GENERICS


def _is_log(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
    )
