"""Expressions of columns, such as `0.1 * amount - 5`, read without running any code.

Python's parser reads the text, and only numbers, columns, `+ - * /`, `min`, `max`, `abs` and
`column("a name with blanks")` are taken over into a tree of our own. Nothing else has a meaning.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.statistics.bootstrap import Floats

_LONGEST = 1000
_OPERATORS: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": np.divide,
}
_FUNCTIONS: Mapping[str, Callable[..., Floats]] = {
    "min": np.minimum,
    "max": np.maximum,
    "abs": np.abs,
}
_NUMBER, _COLUMN, _NEGATIVE = "number", "column", "negative"


@dataclass(frozen=True)
class Expression:
    """A part of an expression.

    Attributes:
        kind: `number`, `column`, `negative`, or the name of an operator or function.
        number: The number.
        name: The name of the column.
        parts: What the operator or function applies to.

    Example:
        >>> found = parse("max(0.1 * amount - 5, 0)", "outcome_values")
        >>> sorted(found.columns())
        ['amount']
        >>> found.values({"amount": np.array([10.0, 100.0])}).tolist()
        [0.0, 5.0]
    """

    kind: str
    number: float = 0.0
    name: str = ""
    parts: "tuple[Expression, ...]" = ()

    def columns(self) -> Iterator[str]:
        """Yield the names of the columns, repeated ones, too."""
        if self.kind == _COLUMN:
            yield self.name
        for part in self.parts:
            yield from part.columns()

    def values(self, columns: Mapping[str, Floats]) -> Floats:
        """Return the value for each row; NaN or infinite where it is undefined.

        Args:
            columns: The columns by name.
        """
        if self.kind == _NUMBER:
            return np.float64(self.number) * np.ones(1)
        if self.kind == _COLUMN:
            return columns[self.name]
        found = [part.values(columns) for part in self.parts]
        with np.errstate(all="ignore"):
            if self.kind == _NEGATIVE:
                return -found[0]
            if self.kind in _OPERATORS:
                return _OPERATORS[self.kind](*found)
            result = found[0]
            if self.kind == "abs":
                return np.abs(result)
            for each in found[1:]:
                result = _FUNCTIONS[self.kind](result, each)
            return result


def parse(text: str, where: str) -> Expression:
    """Read an expression.

    Args:
        text: The expression.
        where: What it belongs to, for messages.

    Raises:
        UserError: If it is no expression of numbers and columns.
    """
    if len(text) > _LONGEST:
        raise UserError(f"{where}: the expression is longer than {_LONGEST:,} characters.")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _of(tree.body, text, where)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        told = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserError(f"{where}: {text!r} is not an expression: {told}.") from error


def _of(node: ast.expr, text: str, where: str) -> Expression:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        if isinstance(node.value, bool):
            raise UserError(f"{where}: {node.value} in {text!r} is not a number.")
        return Expression(_NUMBER, float(node.value))
    if isinstance(node, ast.Name):
        return Expression(_COLUMN, name=node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _of(node.operand, text, where)
        return Expression(_NEGATIVE, parts=(inner,)) if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and type(node.op).__name__ in _OPERATORS:
        sides = (_of(node.left, text, where), _of(node.right, text, where))
        return Expression(type(node.op).__name__, parts=sides)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _call(node.func.id, node.args, text, where)
    raise UserError(
        f"{where}: {ast.unparse(node)!r} in {text!r} is not allowed; an expression has numbers, "
        'columns, + - * /, min, max, abs and column("name").'
    )


def _call(name: str, arguments: list[ast.expr], text: str, where: str) -> Expression:
    if name == _COLUMN and len(arguments) == 1:
        (given,) = arguments
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            return Expression(_COLUMN, name=given.value)
    if name in _FUNCTIONS and arguments and (name != "abs" or len(arguments) == 1):
        return Expression(name, parts=tuple(_of(part, text, where) for part in arguments))
    raise UserError(
        f"{where}: {name}(...) in {text!r} is not allowed; the functions are min, max, abs of "
        'numbers, and column("name").'
    )
