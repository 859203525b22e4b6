"""`inlined`, by force.

A training loop is put together from many small pieces that share many arrays. Left to itself, LLVM
makes calls of some, each passing dozens of arguments, which costs a quarter of the speed.
"""

from __future__ import annotations

from numba.extending import register_jitable

welded = register_jitable(error_model="numpy", forceinline=True)
