"""Expressions of Colang: Python's syntax over an allow-list, compiled once into closures."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .. import operations
from .expression_syntax import SLOTS, ExpressionError, parsed

Evaluate: TypeAlias = Callable[[Mapping[str, Any]], Any]

_UNKNOWN_WORD = "'{0}' is no variable (write '${0}') and no text (quote it)"
_CONSTANTS = (str, int, float, complex, bool, type(None))


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
        source: as written.
        evaluate: context -> value. Raises what Python raises for such an expression.
        variables: those it reads.
        is_constant: whether the value never changes.
    """

    source: str
    evaluate: Evaluate
    variables: frozenset[str]
    is_constant: bool = False


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands between the parentheses of a call, in order; positional ones are named `$1`, `$2`, ..."""

    items: tuple[tuple[str, Expression], ...] = ()

    def evaluate(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """The values on a context; each call gives new containers."""
        return {name: value.evaluate(context) for name, value in self.items}


def compile_expression(text: str, *, functions: Mapping[str, Callable[..., Any]] | None = None) -> Expression:
    """Compiles an expression; `$name` reads the context, None if unset.

    Args:
        functions: what may be called by name; default: `len`.

    Raises:
        ExpressionError: not an expression, or one with parts that are not allowed.
    """
    tree, names = parsed(text)
    compiler = _Compiler(names, {"len": len} if functions is None else functions)
    evaluate = compiler.compile(tree)
    return Expression(text, evaluate, frozenset(names.values()), isinstance(tree, ast.Constant))


def compile_value(text: str) -> Expression:
    """Compiles a parameter's value: a literal, a variable, or a part of one (None if there is none).

    Raises:
        ExpressionError: anything else.
    """
    tree, names = parsed(text)
    return _ValueCompiler(names).expression(tree, text)


def compile_arguments(text: str) -> Arguments:
    """Compiles a comma-separated list of values, `key=value` or bare.

    Raises:
        ExpressionError: not such a list.
    """
    tree, names = parsed(text, call=True)
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.func.id != "_":
        raise ExpressionError(f"'{text}' is not a list of parameters")
    compiler = _ValueCompiler(names)
    items = [(f"${number}", compiler.expression(arg)) for number, arg in enumerate(tree.args, 1)]
    for keyword in tree.keywords:
        if keyword.arg is None:
            raise ExpressionError("'**' is not allowed in parameters")
        if any(keyword.arg == name for name, _ in items):
            raise ExpressionError(f"parameter '{keyword.arg}' is given twice")
        items.append((keyword.arg, compiler.expression(keyword.value)))
    return Arguments(tuple(items))


class _Compiler:
    """Compiles one expression."""

    def __init__(self, names: Mapping[str, str], functions: Mapping[str, Callable[..., Any]]):
        self._names = names
        self._functions = functions

    def compile(self, node: ast.expr) -> Evaluate:
        method = self._METHODS.get(type(node))
        if method is None:
            raise ExpressionError(f"{_described(node)} is not allowed in an expression")
        return method(self, node)

    def _constant(self, node: ast.Constant) -> Evaluate:
        value = node.value
        if not isinstance(value, _CONSTANTS):
            raise ExpressionError(f"{_described(node)} is not allowed in an expression")
        return lambda context: value

    def _name(self, node: ast.Name) -> Evaluate:
        name = self._names.get(node.id)
        if name is None:
            raise ExpressionError(_UNKNOWN_WORD.format(node.id))
        return lambda context: context.get(name)

    def _attribute(self, node: ast.Attribute) -> Evaluate:
        attr = _checked(node.attr)
        read = operations.attribute
        if isinstance(node.value, ast.Name) and node.value.id in self._names:
            name = self._names[node.value.id]
            return lambda context: read(context.get(name), attr)
        inner = self.compile(node.value)
        return lambda context: read(inner(context), attr)

    def _subscript(self, node: ast.Subscript) -> Evaluate:
        value = self.compile(node.value)
        index = self._slice(node.slice) if isinstance(node.slice, ast.Slice) else self.compile(node.slice)
        return lambda context: value(context)[index(context)]

    def _slice(self, node: ast.Slice) -> Evaluate:
        none = ast.Constant(None)
        start, stop, step = (self.compile(part or none) for part in (node.lower, node.upper, node.step))
        return lambda context: slice(start(context), stop(context), step(context))

    def _binary(self, node: ast.BinOp) -> Evaluate:
        operate = operations.BINARY.get(type(node.op))
        if operate is None:
            raise ExpressionError(f"operator {type(node.op).__name__} is not allowed in an expression")
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda context: operate(left(context), right(context))

    def _unary(self, node: ast.UnaryOp) -> Evaluate:
        operate = operations.UNARY[type(node.op)]
        operand = self.compile(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda context: not operand(context)
        return lambda context: operate(operand(context))

    def _boolean(self, node: ast.BoolOp) -> Evaluate:
        parts = [self.compile(value) for value in node.values]
        wanted = isinstance(node.op, ast.Or)
        *firsts, last = parts

        def evaluate(context: Mapping[str, Any]) -> Any:
            for part in firsts:
                value = part(context)
                if bool(value) is wanted:
                    return value
            return last(context)

        return evaluate

    def _comparison(self, node: ast.Compare) -> Evaluate:
        first = self.compile(node.left)
        rest = [
            (operations.COMPARISON[type(operator)], self.compile(operand))
            for operator, operand in zip(node.ops, node.comparators, strict=True)
        ]
        if len(rest) == 1:
            compare, second = rest[0]
            return lambda context: compare(first(context), second(context))

        def evaluate(context: Mapping[str, Any]) -> Any:
            left = first(context)
            outcome: Any = True
            for compare, operand in rest:
                right = operand(context)
                outcome = compare(left, right)
                if not outcome:
                    return outcome
                left = right
            return outcome

        return evaluate

    def _conditional(self, node: ast.IfExp) -> Evaluate:
        test, then, otherwise = self.compile(node.test), self.compile(node.body), self.compile(node.orelse)
        return lambda context: then(context) if test(context) else otherwise(context)

    def _sequence(self, node: ast.List | ast.Tuple) -> Evaluate:
        parts = [self.compile(element) for element in node.elts]
        if isinstance(node, ast.Tuple):
            return lambda context: tuple([part(context) for part in parts])
        return lambda context: [part(context) for part in parts]

    def _dict(self, node: ast.Dict) -> Evaluate:
        pairs = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise ExpressionError("'**' is not allowed in an expression")
            pairs.append((self.compile(key), self.compile(value)))
        return lambda context: {key(context): value(context) for key, value in pairs}

    def _call(self, node: ast.Call) -> Evaluate:
        args = [self.compile(arg) for arg in node.args]
        named = {keyword.arg: self.compile(keyword.value) for keyword in node.keywords if keyword.arg}
        if len(named) != len(node.keywords):
            raise ExpressionError("'**' and repeated names are not allowed in a call")
        if isinstance(node.func, ast.Attribute):
            method, value = _checked(node.func.attr), self.compile(node.func.value)
            return lambda context: operations.call_method(
                value(context),
                method,
                [arg(context) for arg in args],
                {name: arg(context) for name, arg in named.items()},
            )
        function = self._functions.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if function is None:
            allowed = ", ".join(sorted(self._functions))
            raise ExpressionError(f"only methods of values and these functions may be called: {allowed}")
        return lambda context: function(
            *[arg(context) for arg in args], **{name: arg(context) for name, arg in named.items()}
        )

    def _joined(self, node: ast.JoinedStr) -> Evaluate:
        parts = [self.compile(value) for value in node.values]
        return lambda context: "".join([part(context) for part in parts])

    def _formatted(self, node: ast.FormattedValue) -> Evaluate:
        value = self.compile(node.value)
        spec = self.compile(node.format_spec) if node.format_spec else lambda context: ""
        conversion = node.conversion
        return lambda context: operations.formatted(value(context), conversion, spec(context))

    _METHODS: Mapping[type[ast.expr], Callable[..., Evaluate]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.BinOp: _binary,
        ast.UnaryOp: _unary,
        ast.BoolOp: _boolean,
        ast.Compare: _comparison,
        ast.IfExp: _conditional,
        ast.List: _sequence,
        ast.Tuple: _sequence,
        ast.Dict: _dict,
        ast.Call: _call,
        ast.JoinedStr: _joined,
        ast.FormattedValue: _formatted,
    }


class _ValueCompiler:
    """Compiles values of parameters: what a path does not lead to is None."""

    def __init__(self, names: Mapping[str, str]):
        self._names = names

    def expression(self, node: ast.expr, source: str = "") -> Expression:
        """The compiled value, with its source as it was written."""
        text = _referenced(node)
        if text is not None:
            return compile_value(text)
        used = {
            self._names[part.id]
            for part in ast.walk(node)
            if isinstance(part, ast.Name) and part.id in self._names
        }
        source = source or SLOTS.sub(lambda slot: "$" + self._names[slot[0]], ast.unparse(node))
        return Expression(source, self._value(node), frozenset(used), isinstance(node, ast.Constant))

    def _value(self, node: ast.expr) -> Evaluate:
        text = _referenced(node)
        if text is not None:
            return compile_value(text).evaluate
        if isinstance(node, (ast.List, ast.Tuple)):
            parts = [self._value(element) for element in node.elts]
            return lambda context: [part(context) for part in parts]
        if isinstance(node, ast.Dict):
            return self._dict(node)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return self._path(node)
        return self._literal(node)

    def _literal(self, node: ast.expr) -> Evaluate:
        sign = node.op if isinstance(node, ast.UnaryOp) else None
        inner = node.operand if isinstance(node, ast.UnaryOp) else node
        if not isinstance(inner, ast.Constant) or not isinstance(inner.value, _CONSTANTS):
            raise _no_value(node)
        value = inner.value
        if isinstance(sign, (ast.USub, ast.UAdd)) and isinstance(value, (int, float, complex)):
            value = operations.UNARY[type(sign)](value)
        elif sign is not None:
            raise _no_value(node)
        return lambda context: value

    def _dict(self, node: ast.Dict) -> Evaluate:
        if None in node.keys:
            raise ExpressionError("'**' is not allowed in parameters")
        pairs = [
            (self._value(key), self._value(value))
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        ]
        return lambda context: {key(context): value(context) for key, value in pairs}

    def _path(self, node: ast.expr) -> Evaluate:
        if isinstance(node, ast.Name):
            name = self._names.get(node.id)
            if name is None:
                raise ExpressionError(_UNKNOWN_WORD.format(node.id))
            return lambda context: context.get(name)
        if isinstance(node, ast.Attribute):
            inner, attr = self._path(node.value), _checked(node.attr)
            return lambda context: member(inner(context), attr)
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            inner, index = self._path(node.value), self._value(node.slice)
            return lambda context: item(inner(context), index(context))
        raise _no_value(node)


def member(value: Any, name: str) -> Any:
    """The attribute or key `name` of a value; None if it has none."""
    try:
        return operations.attribute(value, name)
    except AttributeError:
        return None


def item(value: Any, index: Any) -> Any:
    """`value[index]`; None if there is none."""
    try:
        return value[index]
    except (LookupError, TypeError):
        return None


_REFERENCE = re.compile(r"\$[^\W\d]\w*(?:\.[^\W\d]\w*|\[\d+\])*")


def _referenced(node: ast.expr) -> str | None:
    """A quoted text that is a reference as a whole, as `"$name"`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _REFERENCE.fullmatch(node.value):
        return node.value
    return None


def _no_value(node: ast.expr) -> ExpressionError:
    return ExpressionError(f"{_described(node)} is no value of a parameter: only literals and variables are")


def _checked(name: str) -> str:
    if operations.is_forbidden(name):
        raise ExpressionError(f"'{name}' may not be used in an expression")
    return name


def _described(node: ast.expr) -> str:
    return f"'{SLOTS.sub('$...', ast.unparse(node))[:60]}'"
