"""Compilation to PTX that computes what the CPU computes, which needs neither a GPU nor NVIDIA's compilers.

Numba lowers a kernel to LLVM's language (:mod:`.lowering`), and LLVM makes PTX of it (:mod:`.nvptx`). The PTX is
checked: every operation on floats must round as IEEE 754 says, or compilation fails.

One fault escapes this check: if the condition of a loop depends on the thread, the compiler may move shuffles and votes
of the loop into branches that only some threads of a warp take. Only running the PTX finds that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.np.numpy_support import from_dtype

from ..rules import places, trait
from ..symbols import digest_or_token
from .disk import kept
from .lowering import lowered
from .nvptx import Capability as Capability
from .nvptx import code_capability, ptx_of

THREADS = 256  # a block, of kernels whose threads share nothing

# What is done around a compilation, given the kernel's name: whoever runs kernels may tell the user, who waits for it.
around: Callable[[str], AbstractContextManager[None]] = nullcontext

# The assembler of PTX may contract a product and a sum that name no rounding; .approx and .full divide inexactly.
_INEXACT = re.compile(r"^\s*(?:@!?%\w+\s+)?((?:fma|(?:mul|add|sub)\.f|\w+\.(?:approx|full|ftz))\S*)", re.MULTILINE)


class Kernel(NamedTuple):
    """The PTX of a kernel for one compute capability."""

    name: str
    ptx: str


class ByAlignment(NamedTuple):
    """Two kernels that do the same, a thread for each vector or each element."""

    vectors: Kernel  # for addresses that are multiples of 16; a thread, too, for each element behind the last vector
    elements: Kernel

    def grid(self, n: int, lanes: int, aligned: bool) -> tuple[Kernel, int]:
        """The kernel that is to be launched for n elements, and in how many blocks of THREADS."""
        threads = n // lanes + n % lanes if aligned else n
        return self.vectors if aligned else self.elements, -(-threads // THREADS)


def scalars_type(rule: Any, dtype: Any) -> Any:
    """Numba's type of a rule's scalars."""
    return types.NamedUniTuple(from_dtype(dtype), len(rule.Scalars._fields), rule.Scalars)


def kernel_name(rule: Any, *variant: object) -> str:
    """Name of a kernel: the rule's, the variant, and a digest of the formula, which a user's rule may change."""
    formula = [rule.accumulate, rule.scale, rule.place if places(rule) else rule.delta]
    formula += [rule.measure] if trait(rule, "measured") else []
    traits = [trait(rule, name) for name in ("squares", "rests", "measured")]
    digest = digest_or_token(*formula, *traits, rule.slots, rule.Scalars._fields)
    return "_".join(map(str, (rule.name, *variant, digest[:8])))


def compile_kernel(name: str, function: Callable[..., None], arguments: tuple[Any, ...], cc: Capability) -> Kernel:
    """PTX of a kernel, given the Numba types of its arguments, for GPUs of this compute capability.

    Raises
    ------
    RuntimeError
        If an operation in it is not rounded as on the CPU.
    """
    capability = code_capability(cc)

    def compile_it() -> str:
        with around(name), global_compiler_lock:
            return ptx_of(name, lowered(name, function, arguments), capability)

    ptx = kept(name, function, arguments, capability, compile_it)
    inexact = sorted(set(_INEXACT.findall(ptx)))
    if inexact:
        raise RuntimeError(
            f"the CUDA kernel {name} would not have the bits of the CPU's: this LLVM has made {', '.join(inexact)} of "
            "it; install the newest llvmlite that your Numba takes"
        )
    return Kernel(name, ptx)
