"""A digest of what a function computes: equal in every process, and different where the results could differ.

Numba tells functions of one name apart by a counter, which a forked process shares with its parent and which starts
anew in every other process. A digest of a function's code, its closure and the globals that it reads tells them apart
for certain. A function has no digest where one of these cannot be described for certain. That is so where it calls a
function that somebody else has compiled: Numba may have done so for other values of its globals, and with options that
cannot be seen. A function may therefore call only functions of this package and pieces that were made of a user's
functions (:mod:`.symbols`).
"""

from __future__ import annotations

import weakref
from enum import Enum
from hashlib import blake2b
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import types

# The version of a package says what it contains; for this package, the digest of its source files does.
_PINNED = ("numba", "numpy", "llvmlite", "builtins", "math", __package__)

_known: weakref.WeakKeyDictionary[FunctionType, str] = weakref.WeakKeyDictionary()


class Undescribable(Exception):
    """A function depends on an object that cannot be described for certain."""


def digest_of(*values: Any) -> str:
    """32 hexadecimal digits for functions, Numba types, numbers, strings and tuples of these.

    Raises
    ------
    Undescribable
        If one of the values depends on an object of another kind.
    """
    if len(values) == 1 and type(values[0]) is FunctionType:
        return _Description().digest_of_function(values[0])
    return _hashed([_Description().of(value) for value in values])


def _hashed(description: Any) -> str:
    return blake2b(repr(description).encode(), digest_size=16).hexdigest()


def note_copy(copy: FunctionType, digest: str) -> None:
    """Give a copy of a function the digest of its original; nobody else has the copy, so that it does not change."""
    _known[copy] = digest


def is_pinned(module: Any) -> bool:
    """Whether a module is of a package whose version says what it contains."""
    return isinstance(module, str) and any(module == name or module.startswith(f"{name}.") for name in _PINNED)


def names_of(code: CodeType) -> set[str]:
    """Names of globals and attributes that a function, and those defined in it, look up."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return {*code.co_names}.union(*map(names_of, inner))


class _Description:
    """Nested tuples and lists of strings that say what a value is, fit for `repr`.

    Parameters
    ----------
    names : frozenset of str
        Names that the code looks up: only these members of modules and classes are described.
    within : tuple of objects
        Objects whose description is under way: where one refers back to itself, its place in this tuple is noted.
    """

    def __init__(self, names: frozenset[str] = frozenset(), within: tuple[Any, ...] = ()) -> None:
        self._names, self._within = names, within

    def of(self, value: Any) -> Any:
        kind = type(value)
        if value is None or value is Ellipsis or kind in (bool, int, float, complex, str, bytes, slice, range):
            return kind.__name__, repr(value)
        if any(value is other for other in self._within):
            return "again", next(i for i, other in enumerate(self._within) if other is value)
        if kind is FunctionType:
            return "function", self._function_called(value)
        if kind is CodeType:
            return self._code(value)
        if isinstance(value, tuple | list):
            return _name_of(kind), [self.of(member) for member in value]
        if isinstance(value, set | frozenset):
            return _name_of(kind), sorted(repr(self.of(member)) for member in value)
        if isinstance(value, dict):
            return _name_of(kind), [(self.of(k), self.of(v)) for k, v in value.items()]
        if isinstance(value, np.dtype | np.generic):
            return kind.__name__, repr(value)
        if kind is np.ndarray and not value.dtype.hasobject:
            return "array", value.dtype.str, value.shape, value.tobytes()
        return self._object(value)

    def digest_of_function(self, function: FunctionType) -> str:
        if function in _known:
            return _known[function]
        try:
            cells = [cell.cell_contents for cell in function.__closure__ or ()]
        except ValueError:
            raise Undescribable(f"{function.__qualname__} goes by a name that has no value yet") from None
        names = frozenset(names_of(function.__code__))
        inner, pinned = _Description(names, (*self._within, function)), is_pinned(function.__module__)
        found = {} if pinned else {name: function.__globals__[name] for name in names & {*function.__globals__}}
        defaults = function.__defaults__, function.__kwdefaults__
        about = inner.of(function.__code__), inner.of(defaults), inner.of(cells), inner.of(dict(sorted(found.items())))
        digest = _hashed((function.__module__, function.__qualname__, about))
        # Not kept is the digest of a function within another, as it may refer back to the outer one, and that of
        # a function of another package, which may be changed later.
        if not self._within and pinned:
            _known[function] = digest
        return digest

    def _function_called(self, function: FunctionType) -> str:
        if self._within and function not in _known and not is_pinned(function.__module__):
            raise Undescribable(f"{function.__module__}.{function.__qualname__} is compiled by somebody else")
        return self.digest_of_function(function)

    def _code(self, code: CodeType) -> Any:
        """What a function does, without its line numbers and the name of its file."""
        shape = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
        handlers = getattr(code, "co_exceptiontable", b"")
        return "code", code.co_code, handlers, shape, names, [self.of(constant) for constant in code.co_consts]

    def _object(self, value: Any) -> Any:
        if isinstance(value, types.Type):
            return _name_of(type(value)), self.of(value.key)  # Numba compares types by their keys
        if isinstance(value, Enum):
            return _name_of(type(value)), value.name, self.of(value.value)
        if isinstance(value, type | ModuleType):
            return self._holder(value)
        if isinstance(value, np.ufunc) and getattr(np, value.__name__, None) is value:
            return "ufunc", value.__name__
        if isinstance(value, BuiltinFunctionType) and isinstance(value.__self__, ModuleType):
            return "builtin", value.__self__.__name__, value.__name__
        function = getattr(value, "py_func", None) or getattr(value, "_defn", None)  # of a dispatcher, of an intrinsic
        if isinstance(function, FunctionType) and is_pinned(type(value).__module__):
            options = sorted(getattr(value, "targetoptions", {}).items())
            return _name_of(type(value)), self._function_called(function), repr(options)
        raise Undescribable(f"{value!r} of {type(value)}")

    def _holder(self, value: Any) -> Any:
        """Description of a class or a module: its name, and its members under the names that the code looks up."""
        if isinstance(value, ModuleType):
            about: Any = "module", value.__name__
            home = value.__name__
        else:
            members = [self.of(member) for member in value] if issubclass(value, Enum) else []
            about = "class", _name_of(value), getattr(value, "_fields", ()), members
            home = value.__module__
        if is_pinned(home):
            return about
        inner, asked = _Description(self._names, (*self._within, value)), sorted(self._names & {*vars(value)})
        return about, [(name, inner.of(vars(value)[name])) for name in asked]


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
