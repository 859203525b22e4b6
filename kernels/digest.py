"""A digest of what a function computes: equal in every process, and different where the results could differ.

Numba tells like-named functions apart by a counter, which a forked process shares with its parent and which starts
anew in every other. A digest of the code, the closure and the globals that a function goes by needs no such luck.
"""

from __future__ import annotations

import weakref
from enum import Enum
from hashlib import blake2b
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import types

# Functions of these packages are what their version says; so are ours, by the digest of all source files.
_PINNED = ("numba", "numpy", "llvmlite", "builtins", "math", __package__)

_known: weakref.WeakKeyDictionary[FunctionType, str] = weakref.WeakKeyDictionary()


class Undescribable(Exception):
    """A function goes by an object of which nobody can say what it is."""


def digest_of(*values: Any) -> str:
    """32 hexadecimal digits for functions, Numba types, numbers, strings and tuples of these.

    Raises
    ------
    Undescribable
        If one of them goes by an object of another kind.
    """
    if len(values) == 1 and type(values[0]) is FunctionType:
        return _digest_of_function(values[0], ())
    return _hashed([_described(value, ()) for value in values])


def _hashed(description: Any) -> str:
    return blake2b(repr(description).encode(), digest_size=16).hexdigest()


def _digest_of_function(function: FunctionType, within: tuple[FunctionType, ...]) -> str:
    if function in _known:
        return _known[function]
    digest = _hashed(_described_function(function, (*within, function)))
    # One within another may lead back to where the description began; others than ours may go by other globals later.
    if not within and is_pinned(function.__module__):
        _known[function] = digest
    return digest


def note_copy(copy: FunctionType, digest: str) -> None:
    """Let a copy, which is to be compiled as it is now, keep the digest of its original."""
    _known[copy] = digest


def is_pinned(module: Any) -> bool:
    """Whether a module is of a package whose version says what it contains."""
    return isinstance(module, str) and any(module == name or module.startswith(f"{name}.") for name in _PINNED)


def _described_function(function: FunctionType, within: tuple[FunctionType, ...]) -> Any:
    try:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:
        raise Undescribable(f"{function.__qualname__} goes by a name that has no value yet") from None
    own = function.__defaults__, function.__kwdefaults__, tuple(cells)
    return (
        function.__module__,
        function.__qualname__,
        _described(function.__code__, within),
        [_described(value, within) for value in own],
        [] if is_pinned(function.__module__) else _described_globals(function, within),
    )


def _described_globals(function: FunctionType, within: tuple[FunctionType, ...]) -> Any:
    """Values of the globals that a function names, and of the attributes of modules and classes among them."""
    names, found = sorted(_names_of(function.__code__)), []
    for name in names:
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        found.append((name, _described(value, within)))
        home = value.__module__ if isinstance(value, type) else getattr(value, "__name__", None)
        if isinstance(value, ModuleType | type) and not is_pinned(home):
            members = [(key, vars(value)[key]) for key in names if key in vars(value)]
            found.append((name, [(key, _described(member, within)) for key, member in members]))
    return found


def _names_of(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return {*code.co_names}.union(*map(_names_of, inner))


def _described(value: Any, within: tuple[FunctionType, ...]) -> Any:
    """Nested tuples of strings, fit for `repr`."""
    kind = type(value)
    if value is None or value is Ellipsis or kind in (bool, int, float, complex, str, bytes, slice, range):
        return kind.__name__, repr(value)
    if kind is FunctionType:
        return ("caller", within.index(value)) if value in within else ("function", _digest_of_function(value, within))
    if kind is CodeType:
        # Not its line numbers and file name, by which nothing is computed.
        shape = value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags
        names = value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars
        return "code", value.co_code, shape, names, [_described(constant, within) for constant in value.co_consts]
    if isinstance(value, tuple | list):
        return _name_of(kind), [_described(member, within) for member in value]
    if isinstance(value, set | frozenset):
        return _name_of(kind), sorted(repr(_described(member, within)) for member in value)
    if isinstance(value, dict):
        return _name_of(kind), [(_described(k, within), _described(v, within)) for k, v in value.items()]
    if isinstance(value, np.dtype | np.generic):
        return kind.__name__, repr(value)
    if kind is np.ndarray and not value.dtype.hasobject:
        return "array", value.dtype.str, value.shape, value.tobytes()
    return _described_object(value, within)


def _described_object(value: Any, within: tuple[FunctionType, ...]) -> Any:
    if isinstance(value, types.Type):
        return _name_of(type(value)), _described(value.key, within)  # by which Numba compares types
    if isinstance(value, Enum):
        return _name_of(type(value)), value.name, _described(value.value, within)
    if isinstance(value, type):
        members = list(value) if issubclass(value, Enum) else []
        return "class", _name_of(value), getattr(value, "_fields", ()), [_described(m, within) for m in members]
    if isinstance(value, ModuleType):
        return "module", value.__name__
    if isinstance(value, np.ufunc) and getattr(np, value.__name__, None) is value:
        return "ufunc", value.__name__
    if isinstance(value, BuiltinFunctionType) and isinstance(value.__self__, ModuleType):
        return "builtin", value.__self__.__name__, value.__name__
    function = getattr(value, "py_func", None) or getattr(value, "_defn", None)  # of a dispatcher, of an intrinsic
    if isinstance(function, FunctionType) and is_pinned(type(value).__module__):
        options = sorted(getattr(value, "targetoptions", {}).items())
        return _name_of(type(value)), _described(function, within), repr(options)
    raise Undescribable(f"{value!r} of {type(value)}")


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
