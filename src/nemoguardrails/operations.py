"""What expressions may do with values: operators with limits, attributes, and methods on an allow-list."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from types import BuiltinMethodType, MethodType
from typing import Any

ERRORS_OF_VALUES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What operators, methods and filters raise when values do not fit them."""

MAX_ELEMENTS = 100_000
MAX_POWER = 4_000_000
MAX_BITS = 8_000_000

_TEXT_METHOD_NAMES = """
    capitalize casefold center count encode endswith expandtabs find index isalnum isalpha isascii
    isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust
    lower lstrip partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit
    rstrip split splitlines startswith strip swapcase title upper zfill
"""
_TEXT_METHODS = frozenset(_TEXT_METHOD_NAMES.split())
_MAPPING_METHODS = frozenset({"get", "keys", "values", "items"})
_SEQUENCE_METHODS = frozenset({"index", "count"})
_PADDING_METHODS = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})
_INTERNALS = """
    format format_map mro f_back f_builtins f_code f_globals f_locals gi_code gi_frame gi_yieldfrom cr_await
    cr_code cr_frame cr_origin ag_await ag_code ag_frame tb_frame tb_next
"""
_FORBIDDEN_NAMES = frozenset(_INTERNALS.split())
_PLAIN_TYPES = frozenset({str, bytes, bool, int, float, complex, list, tuple, set, frozenset, type(None)})
"""Values without attributes; a type made from one of them, as a verdict that is a text, may have some."""
_WIDE_FORMAT = re.compile(r"\d{5,}|\*")


def is_forbidden(name: str) -> bool:
    """Whether no expression may read an attribute or call a method of this name."""
    return name.startswith(("_", "func_")) or name in _FORBIDDEN_NAMES


def attribute(value: Any, name: str) -> Any:
    """The attribute of an object, or the item of a mapping (None if it has none of that name).

    Raises:
        AttributeError: the value has no such attribute, or it is a method.
    """
    if type(value) in _PLAIN_TYPES:
        raise AttributeError(f"{_kind(value)} has no attribute '{name}'")
    if isinstance(value, Mapping):
        return value.get(name)
    found = getattr(value, name)
    if isinstance(found, (MethodType, BuiltinMethodType)):
        raise AttributeError(f"'{name}' of {_kind(value)} is a method, not a value")
    return found


def call_method(value: Any, name: str, args: list[Any], named: dict[str, Any]) -> Any:
    """The result of a pure method of a text, a mapping or a list.

    Objects of other types may open methods by listing them in a class attribute `colang_methods`.

    Raises:
        AttributeError: this method may not be called on this value.
        ValueError: the result would be too large.
    """
    if isinstance(value, str) and name in _TEXT_METHODS:
        _check_growth(value, name, args)
        return getattr(value, name)(*args, **named)
    if isinstance(value, Mapping) and name in _MAPPING_METHODS:
        found = getattr(value, name)(*args, **named)
        return found if name == "get" else list(found)
    if (isinstance(value, (list, tuple)) and name in _SEQUENCE_METHODS) or name in getattr(
        type(value), "colang_methods", ()
    ):
        return getattr(value, name)(*args, **named)
    raise AttributeError(f"method '{name}' of {_kind(value)} may not be called in an expression")


def add(left: Any, right: Any) -> Any:
    """`left + right`, texts and lists up to 100,000 elements."""
    if isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
        _check_size(len(left) + len(right))
    return left + right


def multiply(left: Any, right: Any) -> Any:
    """`left * right`, texts and lists up to 100,000 elements."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, (str, bytes, list, tuple)) and isinstance(other, int):
            _check_size(len(one) * other)
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
        raise ValueError("the product is too large")
    return left * right


def power(left: Any, right: Any) -> Any:
    """`left ** right`, with base times exponent up to 4,000,000."""
    if isinstance(left, int) and isinstance(right, int) and abs(left * right) > MAX_POWER:
        raise ValueError("the power is too large")
    return left**right


def shift_left(left: Any, right: Any) -> Any:
    """`left << right`, up to 4,000,000 bits."""
    if isinstance(right, int) and right > MAX_POWER:
        raise ValueError("the shift is too large")
    return left << right


def modulo(left: Any, right: Any) -> Any:
    """`left % right`; a text on the left formats, with widths below 10,000."""
    if isinstance(left, str) and _WIDE_FORMAT.search(left):
        raise ValueError("the width of a format is too large")
    return left % right


def formatted(value: Any, conversion: int, spec: str) -> str:
    """One `{value!conversion:spec}` of an f-string."""
    if _WIDE_FORMAT.search(spec):
        raise ValueError("the width of a format is too large")
    if conversion == ord("r"):
        value = repr(value)
    elif conversion == ord("s"):
        value = str(value)
    elif conversion == ord("a"):
        value = ascii(value)
    text = format(value, spec)
    _check_size(len(text))
    return text


BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: add,
    ast.Sub: operator.sub,
    ast.Mult: multiply,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: modulo,
    ast.Pow: power,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: shift_left,
    ast.RShift: operator.rshift,
}


class LimitedOperators:
    """The limits of this module for a sandbox of Jinja2, as its base before `SandboxedEnvironment`."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: object, operator: str, left: Any, right: Any) -> Any:
        """The result of an operator of `intercepted_binops`."""
        return _TEMPLATE_OPERATORS[operator](left, right)


_TEMPLATE_OPERATORS = {"*": multiply, "**": power, "%": modulo}

UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}

COMPARISON: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


def _check_size(size: int) -> None:
    if size > MAX_ELEMENTS:
        raise ValueError(f"the result would have {size} elements; {MAX_ELEMENTS} are allowed")


def _check_growth(text: str, name: str, args: list[Any]) -> None:
    if name in _PADDING_METHODS:
        width = max((arg for arg in args if isinstance(arg, int)), default=8)
        _check_size(width * (text.count("\t") if name == "expandtabs" else 1))
    elif name == "replace" and len(args) > 1 and isinstance(args[0], str) and isinstance(args[1], str):
        grown = text.count(args[0]) * (len(args[1]) - len(args[0]))
        _check_size(grown if grown > 0 else 0)
    elif name == "join" and args and isinstance(args[0], (list, tuple, str)):
        parts = args[0]
        _check_size(sum(len(part) for part in parts if isinstance(part, str)) + len(text) * len(parts))


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
