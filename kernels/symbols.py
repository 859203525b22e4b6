"""Symbols of compiled functions that depend on the code alone, and not on the process that compiled it.

Numba ends a function's symbol in the number that a counter gave the function in its process. Two processes that put
kernels into one disk cache may thus give one symbol to different functions, and a third process that loads both
kernels calls the wrong function. Here, the qualified name of a closure has a digest of its content, and Numba puts
that name into the symbol; functions that are compiled as parts of a kernel are numbered within that kernel. (The
function that Numba makes of a loop shared among threads also has an address in its name, on which nobody can rely.)
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from types import CellType, FunctionType
from typing import Any

from .digest import Undescribable, digest_of, is_pinned, names_of, note_copy

try:
    from numba.core.bytecode import FunctionIdentity
    from numba.core.compiler import Compiler

    PROCESS_INDEPENDENT = hasattr(FunctionIdentity, "_unique_ids") and hasattr(Compiler, "compile_extra")
except ImportError:  # these names are private to Numba and may move: every process then compiles its own kernels
    PROCESS_INDEPENDENT = False


def digest_or_token(*values: Any) -> str:
    """The digest of the values or, where they have none, a random token that equals no other."""
    try:
        return digest_of(*values)
    except Undescribable:
        return secrets.token_hex(16)


def named_by_content(function: FunctionType) -> FunctionType:
    """Copy of a function with a digest of its content in its qualified name.

    Later changes of globals and of the closure do not reach the copy. A function at the top level of one of the modules
    that `is_pinned` names is returned as it is: its name is unique, and its globals do not change.
    """
    if is_pinned(function.__module__) and "<locals>" not in function.__qualname__:
        return function
    place, dot, name = function.__qualname__.rpartition(".")
    copy = FunctionType(function.__code__, _frozen_globals(function), name, function.__defaults__, _frozen(function))
    copy.__kwdefaults__, copy.__doc__, copy.__module__ = function.__kwdefaults__, function.__doc__, function.__module__
    copy.__qualname__ = f"{place}{dot}{digest_or_token(function)}.{name}"
    with suppress(Undescribable):
        note_copy(copy, digest_of(function))
    return copy


def _frozen_globals(function: FunctionType) -> dict[str, Any]:
    if is_pinned(function.__module__):
        return function.__globals__
    wanted = {*names_of(function.__code__), "__name__", "__builtins__"}
    return {name: value for name, value in function.__globals__.items() if name in wanted}


def _frozen(function: FunctionType) -> tuple[CellType, ...] | None:
    """New cells for the closure of the copy; a cell that has no value yet stays shared with the original."""
    if function.__closure__ is None:
        return None
    cells = []
    for cell in function.__closure__:
        with suppress(ValueError):
            cell = CellType(cell.cell_contents)
        cells.append(cell)
    return tuple(cells)


@contextmanager
def _numbered_within(prefix: str) -> Iterator[None]:
    """Number the functions that Numba meets ``<prefix>x0``, ``<prefix>x1``, ...

    Numba holds its compiler lock meanwhile, so that no other thread takes a number.
    """
    before = FunctionIdentity._unique_ids
    FunctionIdentity._unique_ids = map(f"{prefix}x{{}}".format, count())
    try:
        yield
    finally:
        FunctionIdentity._unique_ids = before


if PROCESS_INDEPENDENT:

    class KernelCompiler(Compiler):
        """Numba's compiler with functions numbered within each kernel.

        Only its number names the function that Numba makes of a loop shared among threads.
        """

        def compile_extra(self, func):
            with _numbered_within(digest_or_token(func, tuple(self.state.args))):
                return super().compile_extra(func)

    OPTIONS: dict[str, Any] = {"pipeline_class": KernelCompiler}
else:
    OPTIONS = {}
