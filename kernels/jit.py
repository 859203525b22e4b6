"""Every compiler option of the library, in one place, and two amendments to Numba's disk cache.

``error_model="numpy"`` because the default adds a branch for each division and stops vectorisation;
``nogil`` so that threads can share the work; ``cache`` so that only the first ever call compiles.
``fastmath`` is never used: the result is the formula, bit for bit.
"""

from __future__ import annotations

import itertools
import secrets
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from numba import njit
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys
from numba.extending import register_jitable

# Numba numbers functions from 1 in every process, and only that number tells apart the symbols of like-named
# closures: of two kernels that different processes have put into the disk cache, one would call parts of the other.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(48))

OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


SOURCES = zlib.crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("**/*.py"))))


class _Cache(FunctionCache):
    """Numba's disk cache, but never stale and quick to load.

    Numba looks for changes in a function's own file only, not in those of the functions that it calls. And it
    fills the compiler's registries before it loads, which takes longer than `import numba`; loading needs no
    more than the runtime.
    """

    def _index_key(self, sig, codegen):
        return (*super()._index_key(sig, codegen), SOURCES)

    def load_overload(self, sig, target_context):
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


_NEEDED = ("_index_key", "_load_overload", "_guard_against_spurious_io_errors")


def _with_own_cache(dispatcher):
    if type(dispatcher._cache) is FunctionCache and all(hasattr(FunctionCache, name) for name in _NEEDED):
        dispatcher._cache.__class__ = _Cache
    return dispatcher


def compiled(function):
    """Compile a function for one thread."""
    return _with_own_cache(njit(**OPTIONS)(function))


def parallel(function):
    """Compile a function whose `prange` loops are shared among Numba's threads."""
    return _with_own_cache(njit(parallel=True, **OPTIONS)(function))


# A piece of compiled functions. A loop is put together from many that share many arrays: left to itself, LLVM
# makes calls of some, each passing dozens of arguments, which costs a quarter of the speed; hence `welded`.
inlined = register_jitable(error_model="numpy")
welded = register_jitable(error_model="numpy", forceinline=True)


class Pair(NamedTuple):
    """One computation with the same arguments for one thread and, split into `spans` shares, for several.

    Both are called ``(spans, ...)``.
    """

    serial: Any
    threaded: Any
    what: str  # for messages about compiling it
