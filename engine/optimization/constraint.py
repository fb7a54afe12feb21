"""Constraints over parameters: comparisons and arithmetic, read without ever being executed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final, TypeAlias

from engine.flow.errors import ConfigurationError

ParameterValue: TypeAlias = "int | Decimal | str | bool"
"""A value that a parameter may take; fractions are exact decimals."""

_Operand: TypeAlias = "Fraction | str | bool"

MAX_LENGTH: Final = 500
"""Characters of one constraint."""

_ARITHMETIC: Final[dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda left, right: Fraction(left // right),
    ast.Mod: operator.mod,
}
_ORDER: Final[dict[type[ast.cmpop], Callable[[Fraction, Fraction], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ALLOWED: Final = "allowed are parameters, numbers, + - * / // %, < <= > >= == != and, or, not"


class Constraint:
    """One condition over parameters, such as ``fast * 2 < slow``.

    Numbers are exact fractions, so ``0.1 * 3 == 0.3`` holds and ``/`` never rounds.

    Raises:
        ConfigurationError: the text is no such condition, or names an unknown parameter.
    """

    def __init__(self, text: str, names: Collection[str]) -> None:
        self.text = text
        if len(text) > MAX_LENGTH:
            raise ConfigurationError(f"constraint of {len(text)} characters: at most {MAX_LENGTH}")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConfigurationError(
                f"constraint {text!r} cannot be read; {_ALLOWED}", cause=error
            ) from error
        if not isinstance(tree, ast.Compare | ast.BoolOp | ast.UnaryOp):
            raise self._refusal("is not a comparison")
        self._check(tree, names)
        self._tree: ast.expr = tree

    def holds(self, parameters: Mapping[str, ParameterValue]) -> bool:
        """Return whether *parameters* satisfy it; a division by zero does not.

        Raises:
            ConfigurationError: text is compared with a number.
        """
        try:
            return bool(self._value(self._tree, parameters))
        except ZeroDivisionError:
            return False

    def _check(self, node: ast.expr, names: Collection[str]) -> None:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                if any(type(op) not in _ORDER | {ast.Eq: None, ast.NotEq: None} for op in ops):
                    raise self._refusal("uses a comparison that is not allowed")
                children = [left, *others]
            case ast.BoolOp(values=values):
                children = values
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd(), operand=operand):
                children = [operand]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                children = [left, right]
            case ast.Name(id=name):
                if name not in names:
                    raise self._refusal(
                        f"names {name!r}, which is no parameter; "
                        f"parameters are {', '.join(sorted(names))}"
                    )
                children = []
            case ast.Constant(value=bool() | int() | float() | str()):
                children = []
            case _:
                raise self._refusal(f"uses {ast.unparse(node)!r}")
        for child in children:
            self._check(child, names)

    def _value(self, node: ast.expr, parameters: Mapping[str, ParameterValue]) -> _Operand:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                operands = [self._value(item, parameters) for item in (left, *others)]
                pairs = pairwise(operands)
                return all(self._compare(op, *pair) for op, pair in zip(ops, pairs, strict=True))
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._value(item, parameters) for item in values)
            case ast.BoolOp(values=values):
                return any(self._value(item, parameters) for item in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._value(operand, parameters)
            case ast.UnaryOp(op=op, operand=operand):
                number = self._number(operand, parameters)
                return -number if isinstance(op, ast.USub) else number
            case ast.BinOp(left=left, op=op, right=right):
                act = _ARITHMETIC[type(op)]
                return act(self._number(left, parameters), self._number(right, parameters))
            case ast.Name(id=name):
                return _operand(parameters[name])
            case ast.Constant(value=bool() | str() as value):
                return value
            case ast.Constant(value=value):
                return Fraction(repr(value))
            case _:
                raise self._refusal(f"uses {ast.unparse(node)!r}")

    def _number(self, node: ast.expr, parameters: Mapping[str, ParameterValue]) -> Fraction:
        value = self._value(node, parameters)
        if not isinstance(value, Fraction):
            raise self._refusal(f"computes with {value!r}, which is not a number")
        return value

    def _compare(self, op: ast.cmpop, left: _Operand, right: _Operand) -> bool:
        if isinstance(op, ast.Eq):
            return left == right
        if isinstance(op, ast.NotEq):
            return left != right
        if not isinstance(left, Fraction) or not isinstance(right, Fraction):
            pair = f"{_shown(left)} and {_shown(right)}"
            raise self._refusal(f"orders {pair}, which are not both numbers")
        return _ORDER[type(op)](left, right)

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"constraint {self.text!r} {what}; {_ALLOWED}")


def _shown(value: _Operand) -> str:
    return str(value) if isinstance(value, Fraction) else repr(value)


def _operand(value: ParameterValue) -> _Operand:
    return value if isinstance(value, bool | str) else Fraction(value)
