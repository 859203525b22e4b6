"""Symbols of compiled code that follow from what the code is.

Numba ends a function's symbol in the number that a counter gave the function in its process. Of two kernels that
different processes have compiled, and put into one disk cache, parts may then have the same symbol, and a third
process that loads both computes with the wrong one. Here, a closure has a digest in its qualified name, which is in its
symbols, and what is compiled while a kernel is being compiled is numbered within that kernel. (Of a loop that is shared
among threads Numba makes a function with an address in its name besides, which tells nothing apart.)
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
except ImportError:  # of names that Numba keeps to itself: kernels are then compiled by every process
    PROCESS_INDEPENDENT = False


def digest_or_token(*values: Any) -> str:
    """The digest, or a token that nothing else has where there is none."""
    try:
        return digest_of(*values)
    except Undescribable:
        return secrets.token_hex(16)


def named_by_content(function: FunctionType) -> FunctionType:
    """Copy of a function with a digest in its qualified name, which later changes of what it goes by do not reach.

    Functions of our modules themselves need neither.
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
    """Cells of its own, but for those that have no value yet."""
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
    """Number the functions that Numba meets ``<prefix>x0``, ``<prefix>x1``, ...; it holds its lock meanwhile."""
    before = FunctionIdentity._unique_ids
    FunctionIdentity._unique_ids = map(f"{prefix}x{{}}".format, count())
    try:
        yield
    finally:
        FunctionIdentity._unique_ids = before


if PROCESS_INDEPENDENT:

    class KernelCompiler(Compiler):
        """Numba's compiler, in which a loop shared among threads becomes a function that only its number names."""

        def compile_extra(self, func):
            with _numbered_within(digest_or_token(func, tuple(self.state.args))):
                return super().compile_extra(func)

    OPTIONS: dict[str, Any] = {"pipeline_class": KernelCompiler}
else:
    OPTIONS = {}
