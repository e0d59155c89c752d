"""The expressions of Argo's templates, as far as ours go: read into a tree, searched for variables, and evaluated.

The grammar is the part of expr-lang that argo/ uses: `? :`, `||`, `&&`, comparisons, `in`, `!`, `-`, lists, calls, and
paths such as `inputs.parameters['tile-years']`. Anything else is refused, so that nothing passes unread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
"""A tag as Argo finds it: from two braces to the next two."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+)|(?P<text>"[^"]*"|'[^']*')|(?P<name>[A-Za-z_]\w*)|(?P<sign>==|!=|<=|>=|&&|\|\||[][().,?:!<>-]))"""
)


class ExpressionError(Exception):
    """An expression that Argo would not evaluate, or that this cannot."""


def as_int(value: Any) -> int:
    """Read a whole number, from a text too: what expr-lang calls `int`."""
    if isinstance(value, bool) or not re.fullmatch(r"[+-]?\d+", str(value)):
        raise ExpressionError(f"asInt cannot read {value!r}")
    return int(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "asInt": as_int,
    "toJson": json.dumps,
    "len": len,
    "split": lambda text, between: text.split(between),
}


@dataclass(frozen=True)
class Tree:
    """A part of an expression."""

    kind: str
    """constant, path, list, call, !, -, ?, or a sign that stands between two."""
    value: Any = None
    """Of a constant, the dotted name of a path, or the name of a function."""
    parts: tuple[Tree, ...] = field(default=())

    def paths(self) -> Iterator[str]:
        """Yield the variables in it, such as `inputs.parameters.run`."""
        if self.kind == "path":
            yield self.value
        for part in self.parts:
            yield from part.paths()


class _Reader:
    LEVELS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"))

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.at = 0

    def _tokens(self) -> Iterator[str]:
        at = 0
        while self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise ExpressionError(f"cannot read {self.text[at:]!r} of {self.text!r}")
            at = match.end()
            yield match[match.lastgroup or 0]

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *expected: str) -> str:
        token = self.peek()
        if not token or (expected and token not in expected):
            raise ExpressionError(f"{self.text!r} has {token or 'its end'!r} where {expected or 'more'} belongs")
        self.at += 1
        return token

    def whole(self) -> Tree:
        tree = self.choice()
        if self.peek():
            raise ExpressionError(f"{self.text!r} goes on after its end with {self.peek()!r}")
        return tree

    def choice(self) -> Tree:
        condition = self.binary(0)
        if self.peek() != "?":
            return condition
        self.take("?")
        then = self.choice()
        self.take(":")
        return Tree("?", None, (condition, then, self.choice()))

    def binary(self, level: int) -> Tree:
        if level == len(self.LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() in self.LEVELS[level]:
            left = Tree(self.take(), None, (left, self.binary(level + 1)))
        return left

    def unary(self) -> Tree:
        if self.peek() in ("!", "-"):
            return Tree(self.take(), None, (self.unary(),))
        return self.primary()

    def primary(self) -> Tree:
        token = self.take()
        if token.isdigit():
            return Tree("constant", int(token))
        if token[0] in "\"'":
            return Tree("constant", token[1:-1])
        if token == "(":
            inner = self.choice()
            self.take(")")
            return inner
        if token == "[":
            return Tree("list", None, self.several("]"))
        if not token[0].isalpha():
            raise ExpressionError(f"{self.text!r} has {token!r} where a value belongs")
        if self.peek() == "(":
            self.take("(")
            return Tree("call", token, self.several(")"))
        return self.path(token)

    def path(self, name: str) -> Tree:
        while self.peek() in (".", "["):
            if self.take() == ".":
                name = f"{name}.{self.take()}"
            else:
                name = f"{name}.{self.take()[1:-1]}"
                self.take("]")
        return Tree("path", name)

    def several(self, end: str) -> tuple[Tree, ...]:
        found: list[Tree] = []
        while self.peek() != end:
            found.append(self.choice())
            if self.peek() != end:
                self.take(",")
        self.take(end)
        return tuple(found)


def parse(text: str) -> Tree:
    """Read an expression.

    Raises:
        ExpressionError: it is none, or calls a function that is not known here.
    """
    tree = _Reader(text).whole()
    for call in _calls(tree):
        if call not in FUNCTIONS:
            raise ExpressionError(f"{text!r} calls {call}, which is not known; there are {', '.join(FUNCTIONS)}")
    return tree


def _calls(tree: Tree) -> Iterator[str]:
    if tree.kind == "call":
        yield tree.value
    for part in tree.parts:
        yield from _calls(part)


def evaluate(text: str, scope: Mapping[str, Any]) -> Any:
    """Evaluate an expression.

    Args:
        text: of the expression.
        scope: variable to value, by dotted name.

    Raises:
        ExpressionError: it cannot be read, or a variable is not there.
    """
    return _value(parse(text), scope)


def _value(tree: Tree, scope: Mapping[str, Any]) -> Any:
    kind, parts = tree.kind, tree.parts
    if kind == "constant":
        return tree.value
    if kind == "path":
        return _known(tree.value, scope)
    if kind == "?":
        return _value(parts[1] if _value(parts[0], scope) else parts[2], scope)
    if kind in ("||", "&&"):
        first = bool(_value(parts[0], scope))
        return first if first == (kind == "||") else bool(_value(parts[1], scope))
    values = [_value(part, scope) for part in parts]
    return FUNCTIONS[tree.value](*values) if kind == "call" else _operated(kind, values)


def _known(path: str, scope: Mapping[str, Any]) -> Any:
    if path not in scope:
        raise ExpressionError(f"there is no {path}")
    return scope[path]


def _operated(sign: str, values: list[Any]) -> Any:
    if sign == "list":
        return values
    if len(values) == 1:
        return -values[0] if sign == "-" else not values[0]
    left, right = values
    if sign == "in":
        return any(_equal(left, one) for one in right)
    if sign in ("==", "!="):
        return _equal(left, right) == (sign == "==")
    if type(left) is not type(right):
        raise ExpressionError(f"{left!r} {sign} {right!r} compares different types")
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign]


def _equal(left: Any, right: Any) -> bool:
    """Compare as expr-lang does: a text is never a number."""
    return type(left) is type(right) and bool(left == right)


def tags(text: str) -> Iterator[str]:
    """Yield what stands between braces, an expression with its `=`."""
    for match in TAG.finditer(text):
        yield match[1].strip()


def rendered(value: Any, scope: Mapping[str, Any]) -> Any:
    """Fill in a value's tags, as Argo does: in its JSON, each value escaped as the inside of a JSON text.

    Raises:
        ExpressionError: a variable is not there.
    """

    def filled(match: re.Match[str]) -> str:
        tag = json.loads(f'"{match[1].strip()}"')  # the tag is inside a JSON text, where a quote is escaped
        if tag.startswith("="):
            result = evaluate(tag[1:], scope)
        elif tag in scope:
            result = scope[tag]
        else:
            raise ExpressionError(f"there is no {tag}")
        return json.dumps(str(result))[1:-1]

    return json.loads(TAG.sub(filled, json.dumps(value)))
