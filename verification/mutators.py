"""Small mistakes that somebody could have made in a source: where, and what the text would be.

A mutant is one replacement in the text of a file, found by its syntax tree, so that all other lines keep
their numbers.  Left out is what cannot matter by construction: docstrings, annotations, decorators,
``__slots__`` and ``__all__``, texts, and what is put into the message of an error.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
"""How an operator is written, and what takes its place: the border moved, and the contrary."""

ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"),
}

JOURNAL = "src/spotline/record/journal.py"
"""What may not be lost stands here: it gets mutants of its own besides."""
SILENT_NAMES = frozenset({"__slots__", "__all__"})
FOLDERS = ("folder", "path", "parent", "root", "work")
"""How the names of paths end: what is divided there is none."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LONGEST = 160
"""Characters of a line as it is told; the middle of a longer one is left out."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One replacement in a file.

    Attributes
    ----------
    file : str
        Relative to the root of the repository.
    operator : str
        Kind of mistake.
    start, end : int
        Bytes of the file that are replaced.
    text : str
        What takes their place.
    line : int
        Line, from 1, in which the replaced text begins.
    runs : tuple of int
        Lines by which tests are chosen: a test that runs one of them can notice.  Empty for what runs when
        the module is imported: any test can.
    original, mutant : str
        The lines that are changed, before and after, in one line each.
    inside : str
        Name of the function; empty outside of any.
    """

    file: str
    operator: str
    start: int
    end: int
    text: str
    line: int
    runs: tuple[int, ...]
    original: str
    mutant: str
    inside: str = ""

    def applied(self, source: bytes) -> bytes:
        """The file with the mistake."""
        return source[: self.start] + self.text.encode() + source[self.end :]


@dataclass(frozen=True, slots=True)
class Sample:
    """Mutants that are to be tried.

    Attributes
    ----------
    places : dict
        Number of all mutants, by file.
    drawn : tuple of Mutant
        Of all files, each by its share.
    of_journal : tuple of Mutant
        Of the journal, those besides.
    """

    places: dict[str, int]
    drawn: tuple[Mutant, ...]
    of_journal: tuple[Mutant, ...]


def mutants_of(file: str, source: bytes) -> list[Mutant]:
    """All mutants of a file, in the order of their places.

    Parameters
    ----------
    file : str
        Its name, for the mutants.
    source : bytes
        What stands in it, in UTF-8.
    """
    finder = _Finder(file, source)
    finder.body(ast.parse(source))
    return sorted(finder.found, key=lambda one: (one.start, one.end, one.text))


class _Finder:
    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source = file, source
        self.found: list[Mutant] = []
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
        self.is_default = False
        self.head = range(0)

    # Places ----------------------------------------------------------------------------------------

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def add(self, operator: str, node: ast.expr | ast.stmt, start: int, end: int, text: str) -> None:
        """Note a mutant; `node` is the smallest that runs where the replaced text stands."""
        line = self.source.count(b"\n", 0, start) + 1
        last = self.source.count(b"\n", 0, end) + 1
        assert node.end_lineno is not None
        runs: set[int] = set()
        if self.is_default and self.function is not None:
            runs.update(range(self.function.body[0].lineno, (self.function.end_lineno or 0) + 1))
        elif self.function is not None:
            runs.update(self.head, range(node.lineno, node.end_lineno + 1))
        first, behind = self.starts[line - 1], self.starts[min(last, len(self.starts) - 1)]
        before = self.source[first:behind].decode()
        after = (self.source[first:start] + text.encode() + self.source[end:behind]).decode()
        self.found.append(
            Mutant(
                self.file,
                operator,
                start,
                end,
                text,
                line,
                tuple(sorted(runs)),
                one_line(before),
                one_line(after),
                self.function.name if self.function is not None else "",
            )
        )

    def swap(self, operator: str, sides: tuple[ast.expr, ast.expr], sign: str, others: Sequence[str]) -> None:
        """Replace the sign that stands between two operands."""
        begin, stop = self.end(sides[0]), self.start(sides[1])
        gap = self.source[begin:stop].decode()
        pattern = r"\s+".join(map(re.escape, sign.split()))
        if sign[0].isalpha():
            pattern = rf"\b{pattern}\b"
        found = re.search(pattern, re.sub(r"#[^\n]*", lambda hidden: " " * len(hidden[0]), gap))
        assert found, f"{self.file}: no {sign} in {gap!r}"
        start = begin + len(gap[: found.start()].encode())
        for other in others:
            self.add(operator, sides[1], start, start + len(found[0].encode()), other)

    # Statements ------------------------------------------------------------------------------------

    def body(self, node: ast.AST) -> None:
        """Look at the children of a node."""
        for child in ast.iter_child_nodes(node):
            self.look(child)

    def look(self, node: ast.AST) -> None:
        """Look at a node, and at what is below it unless that cannot matter."""
        if isinstance(node, ast.stmt):
            self.head = _head(node)
        if isinstance(node, FUNCTIONS):
            self.in_function(node)
        elif isinstance(node, ast.ClassDef):
            for statement in node.body:
                self.look(statement)
        elif isinstance(node, ast.Expr):
            self.in_expression(node)
        elif isinstance(node, ast.Raise):
            self.delete(node)
        elif isinstance(node, ast.Return):
            if node.value is not None and not _is_constant(node.value, None):
                self.add("early return", node, self.start(node), self.end(node), "return")
            self.body(node)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None and not _is_name(node.annotation, "TypeAlias"):
                self.look(node.value)
        elif isinstance(node, ast.Assign):
            if not any(_is_name(target, *SILENT_NAMES) for target in node.targets):
                self.body(node)
        elif isinstance(node, ast.AugAssign):
            self.augmented(node)
            self.look(node.value)
        elif isinstance(node, ast.If | ast.While | ast.IfExp):
            self.condition(node)
        elif isinstance(node, ast.Assert):
            self.look(node.test)
        elif not isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal):
            self.expression(node)

    def in_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if any(_is_name(one, "overload") for one in node.decorator_list):
            return
        outer, self.function = self.function, node
        self.is_default = True
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.look(default)
        self.is_default = False
        for statement in node.body:
            self.look(statement)
        self.function = outer

    def in_expression(self, node: ast.Expr) -> None:
        """A statement whose value nobody takes: a docstring, an ellipsis, or a call."""
        if isinstance(node.value, ast.Constant):
            return
        if isinstance(node.value, ast.Call):
            self.delete(node)
        self.body(node)

    def delete(self, node: ast.stmt) -> None:
        self.add("statement deleted", node, self.start(node), self.end(node), "pass")

    def augmented(self, node: ast.AugAssign) -> None:
        sign, other = ARITHMETIC.get(type(node.op), ("", ""))
        if not sign or _is_text(node.value):
            return
        begin, stop = self.end(node.target), self.start(node.value)
        start = begin + self.source[begin:stop].index(f"{sign}=".encode())
        for text in (f"{other}=", "="):
            self.add("augmented assignment", node, start, start + len(sign) + 1, text)

    def condition(self, node: ast.If | ast.While | ast.IfExp) -> None:
        if isinstance(node, ast.If) and _is_name(node.test, "TYPE_CHECKING"):
            return
        if isinstance(node.test, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
            start, end = self.start(node.test), self.end(node.test)
            self.add("not", node.test, start, end, f"(not {self.source[start:end].decode()})")
        self.body(node)

    # Expressions -----------------------------------------------------------------------------------

    def expression(self, node: ast.AST) -> None:
        if isinstance(node, ast.Compare):
            for left, op, right in zip(
                [node.left, *node.comparators], node.ops, node.comparators, strict=False
            ):
                sign, others = COMPARISONS[type(op)]
                self.swap("comparison", (left, right), sign, others)
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            if _is_text(node.left) or _is_text(node.right):
                return
            if _is_constant(node.left, None) or _is_constant(node.right, None):
                return  # a union of types
            if isinstance(node.op, ast.Div) and _ends_in(node.left, *FOLDERS):
                return  # a path, and no number
            sign, other = ARITHMETIC[type(node.op)]
            self.swap("arithmetic", (node.left, node.right), sign, (other,))
        elif isinstance(node, ast.BoolOp):
            sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                self.swap("and/or", (left, right), sign, (other,))
        elif isinstance(node, ast.UnaryOp):
            self.unary(node)
        elif isinstance(node, ast.Constant):
            self.constant(node)
        self.body(node)

    def unary(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.add("not", node, self.start(node), self.start(node) + len("not"), "")
        elif isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            self.add("arithmetic", node, self.start(node), self.start(node) + len("-"), "+")

    def constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            texts = [str(not value)]
        elif isinstance(value, int):
            texts = [str(value + 1), "0"] if value else ["1"]
        elif isinstance(value, float):
            texts = [repr(2.0 * value), "0.0"] if value else ["1.0"]
        else:
            return
        operator = "default" if self.is_default else "constant"
        for text in texts:
            self.add(operator, node, self.start(node), self.end(node), text)


def one_line(text: str) -> str:
    """A text in one line, without the middle if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


def _head(node: ast.stmt) -> range:
    """Lines of a statement, without those of statements inside it."""
    inside: list[ast.stmt] = getattr(node, "body", [])
    last = max(node.lineno, inside[0].lineno - 1) if inside else (node.end_lineno or node.lineno)
    return range(node.lineno, last + 1)


def _is_name(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _ends_in(node: ast.AST, *names: str) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.endswith(names)


def _is_constant(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _is_text(node: ast.AST) -> bool:
    """Whether a node is a text, or texts put together."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )
