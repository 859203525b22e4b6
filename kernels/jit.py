"""Every compiler option of the library, in one place.

``error_model="numpy"`` because the default adds a branch for each division and stops vectorisation;
``nogil`` so that threads can share the work; ``no_cfunc_wrapper`` because C code calls none of these functions, and a
wrapper for it takes time to compile. ``fastmath`` is never used: the result is the formula, bit for bit.
What is compiled is kept on the disk (:mod:`.disk_cache`), so that only the first ever call compiles.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import config, njit
from numba.extending import register_jitable

from . import pieces, symbols
from .disk_cache import KernelCache
from .symbols import digest_or_token, named_by_content

_OF_ALL: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True}
OPTIONS = {"nogil": True, **_OF_ALL}


def _dispatcher(function, **options):
    if config.DISABLE_JIT:
        raise RuntimeError("fastadagrad computes in compiled kernels only, and NUMBA_DISABLE_JIT is set: unset it")
    function, options = named_by_content(function), {**OPTIONS, **options}
    dispatcher = njit(**options, **symbols.OPTIONS)(function)
    dispatcher._cache = KernelCache(function, options)
    return dispatcher


def compiled(function):
    """Compile a function for one thread."""
    return _dispatcher(function)


def parallel(function):
    """Compile a function whose `prange` loops are shared among Numba's threads."""
    return _dispatcher(function, parallel=True)


_pieces: dict[tuple[str, bool], Any] = {}


def _piece(function, **options):
    """Make a function callable from compiled ones; functions that compute the same become one piece."""
    key = digest_or_token(function), bool(options)
    if key not in _pieces:
        _pieces[key] = register_jitable(**_OF_ALL, **pieces.OPTIONS, **options)(named_by_content(function))
    return _pieces[key]


def jitable(function):
    """Make a function callable from compiled ones; LLVM decides whether its code takes the place of the call.

    Where a docstring says ``Compilable (a, b)``, the factory returns such a function of a and b.
    """
    return _piece(function)


def forceinlined(function):
    """Make a function callable from compiled ones, its code always taking the place of the call.

    A loop is put together from many pieces that share many arrays: left to itself, LLVM makes calls of some, each
    passing dozens of arguments, which costs a quarter of the speed.
    """
    return _piece(function, forceinline=True)


class Pair(NamedTuple):
    """One computation, compiled for one thread and for several, among which it is split into `spans` shares.

    Both functions are called ``(spans, ...)``; the serial one does not use `spans`.
    """

    serial: Any
    threaded: Any
    what: str  # for messages about compiling it
