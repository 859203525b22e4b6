"""Every compiler option of the library, in one place.

``error_model="numpy"`` because the default adds a branch for each division and stops vectorisation;
``nogil`` so that threads can share the work; ``cache`` so that only the first ever call compiles.
``fastmath`` is never used: the result is the formula, bit for bit.
"""

from __future__ import annotations

import itertools
import secrets

from numba import njit
from numba.core.bytecode import FunctionIdentity
from numba.extending import register_jitable

# Numba numbers functions from 1 in every process, and only that number tells apart the symbols of like-named
# closures: of two kernels that different processes have put into the disk cache, one would call parts of the other.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(48))

OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}

compiled = njit(**OPTIONS)
parallel = njit(parallel=True, **OPTIONS)
inlined = register_jitable(error_model="numpy")

__all__ = ["OPTIONS", "compiled", "inlined", "parallel"]
