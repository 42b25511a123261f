"""An expression over signals: `power_a + power_b`, `[spindle/load] / 100 if state == 'ACTIVE' else 0`.

A signal whose name is more than letters, digits and _ stands in square brackets. There are numbers, texts, + - * / // %
**, comparisons, and, or, not, `x if … else y`, and the functions of FUNCTIONS; no attributes, no loops, nothing else.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from simpleeval import InvalidExpression, SimpleEval

from contract.model import Value

MOST: Final = 1000
"""Characters of an expression."""
MOST_DEEP: Final = 32
_PARTS: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\[\s*([A-Za-z0-9_./-]{1,128})\s*\]|(\[)|\b(__\w*)")


class ExpressionError(ValueError):
    """A text that is no expression; says why."""


def _of_numbers(act: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*values: Any) -> Any:
        for value in values:
            if isinstance(value, str):
                raise TypeError(f"{value!r:.40} is no number")
        return act(*values)

    return checked


def _power(base: float, exponent: float) -> float:
    return math.pow(base, exponent)  # a float: no number of a million digits


def _round(value: float, digits: float = 0) -> float:
    return round(float(value), max(-20, min(20, int(digits))))


_Act = Callable[..., Any]
_BARE_FUNCTIONS: Final[Mapping[str, _Act]] = {
    "abs": abs, "min": min, "max": max, "round": _round, "sqrt": math.sqrt, "exp": math.exp, "log": math.log,
    "log10": math.log10, "sin": math.sin, "cos": math.cos, "tan": math.tan, "atan2": math.atan2, "hypot": math.hypot,
    "floor": math.floor, "ceil": math.ceil, "int": int, "float": float, "bool": bool,
}  # fmt: skip
FUNCTIONS: Final = {name: _of_numbers(function) for name, function in _BARE_FUNCTIONS.items()}
_ARITHMETIC: Final[Mapping[type[ast.AST], _Act]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: _power, ast.USub: operator.neg,
    ast.UAdd: operator.pos, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_OPERATORS: Final[Mapping[type[ast.AST], _Act]] = {
    **{kind: _of_numbers(act) for kind, act in _ARITHMETIC.items()},
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Not: operator.not_,
}
_KNOWN: Final = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Name, ast.Constant,
    ast.Load, ast.And, ast.Or, *_OPERATORS,
)  # fmt: skip


class Expression:
    """A checked expression, parsed once. `names` are the signals in it."""

    def __init__(self, text: str) -> None:
        """Raise ExpressionError."""
        if len(text) > MOST:
            raise ExpressionError(f"it has {len(text)} characters, and may have {MOST}")
        self._signals: dict[str, str] = {}  # by name in the parsed text
        python = _PARTS.sub(self._named, text).strip()
        try:
            self._tree = ast.parse(python, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ExpressionError(f"{text!r:.80} is no expression: write e.g. power_a + power_b") from error
        self._check(self._tree, 0)
        self.names: frozenset[str] = frozenset(self._signals.values())
        self._evaluator = SimpleEval(operators=dict(_OPERATORS), functions=dict(FUNCTIONS))

    def _named(self, found: re.Match[str]) -> str:
        if found[2] or found[3]:
            raise ExpressionError(f"{found[0]!r} has no meaning here: a signal in brackets is [spindle/load]")
        if not found[1]:
            return found[0]
        name = f"__{len(self._signals)}"
        self._signals[name] = found[1]
        return f" {name} "

    def _check(self, node: ast.AST, deep: int) -> None:
        if deep > MOST_DEEP:
            raise ExpressionError(f"it is more than {MOST_DEEP} levels deep")
        if not isinstance(node, _KNOWN):
            raise ExpressionError(f"{ast.unparse(node)!r:.60} is not allowed: {_ALLOWED}")
        if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str):
            raise ExpressionError(f"{node.value!r:.60} is no number and no text")
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value.bit_length() > 64:
            raise ExpressionError("a number has more than 64 bits")
        if isinstance(node, ast.Name):
            self._signals.setdefault(node.id, node.id)
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.keywords:
                raise ExpressionError(f"{ast.unparse(node)!r:.60} is not allowed: {_ALLOWED}")
            if node.func.id not in FUNCTIONS:
                raise ExpressionError(f"there is no function {_hint(node.func.id)}")
            children.remove(node.func)
        for child in children:
            self._check(child, deep + 1)

    def value(self, values: Mapping[str, Value]) -> Value:
        """Return what comes of these values of its signals; raise ValueError, ArithmeticError or TypeError."""
        self._evaluator.names = {name: values[signal] for name, signal in self._signals.items()}
        try:
            found = self._evaluator.eval("", previously_parsed=self._tree)
        except InvalidExpression as error:
            raise ValueError(str(error)) from error
        if isinstance(found, int) and not isinstance(found, bool) and found.bit_length() > 64:
            return float(found)
        if not isinstance(found, float | int | str) or (isinstance(found, float) and not math.isfinite(found)):
            raise ValueError(f"{found!r:.40} is no value")
        return found


def _hint(word: str) -> str:
    near = difflib.get_close_matches(word, FUNCTIONS, n=1)
    return f"{word!r}; did you mean {near[0]!r}?" if near else f"{word!r}; have: {', '.join(sorted(FUNCTIONS))}"


_ALLOWED: Final = "numbers, texts, signals, + - * / // % **, comparisons, and, or, not, if else, functions"
