"""Compilation to PTX that computes what the CPU computes: the one place that uses private names of numba.cuda.

Two things need them. By default a product and a sum are contracted into one operation that rounds once; NVVM has an
option against that, which Numba does not pass on. And Numba asks the driver for the compute capability even where the
capability is given, so that it could not compile where there is no GPU. The PTX is checked: every operation on floats
must round as IEEE 754 says, or compilation fails.

One fault escapes this check: if the condition of a loop depends on the thread, the compiler moves shuffles and votes of
the loop into branches that only some threads of a warp take. Only running the PTX finds that.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from ..forking import Lock
from ..rules import places, trait
from ..symbols import digest_or_token
from .disk import kept

with warnings.catch_warnings():  # on import, the compiler makes a timedelta without a unit, of which NumPy 2.5 warns
    warnings.filterwarnings("ignore", "The 'generic' unit", DeprecationWarning)
    from numba import cuda
    from numba.cuda import dispatcher
    from numba.cuda.cudadrv import nvvm

Capability = tuple[int, int]

_lock = Lock()

# What is done around a compilation, given the kernel's name: whoever runs kernels may tell the user, who waits for it.
around: Callable[[str], AbstractContextManager[None]] = nullcontext

# The assembler of PTX may contract a product and a sum that name no rounding; .approx and .full divide inexactly.
_INEXACT = re.compile(r"^\s*(?:@!?%\w+\s+)?((?:fma|(?:mul|add|sub)\.f|\w+\.(?:approx|full|ftz))\S*)", re.MULTILINE)
_ENTRY = re.compile(r"\.visible \.entry (\w+)\(")


class Kernel(NamedTuple):
    """The PTX of a kernel for one compute capability."""

    name: str
    ptx: str
    exact: bool = True  # whether each operation rounds as on the CPU


def _row_stack(arrays: Any) -> Any:
    """Stand-in for ``numpy.row_stack``, which NumPy 2.5 has removed."""
    return np.vstack(arrays)


@cache
def _load_array_functions() -> None:
    """Import what registers the compiler's array functions, among them one for ``numpy.row_stack``.

    NumPy 2.5 does not have that function any more, and the compiler, which imports the module when it first compiles,
    would fail at every kernel. The stand-in is in NumPy only while the module is imported.
    """
    lent = nullcontext() if hasattr(np, "row_stack") else patch.object(np, "row_stack", _row_stack, create=True)
    with lent, suppress(ModuleNotFoundError):  # a version of the compiler without this module needs no stand-in
        import numba.cuda.np.arrayobj  # noqa: F401


@contextmanager
def _compiler_for(capability: Capability) -> Iterator[None]:
    """Amend the compiler for this thread: others may be compiling kernels of their own."""
    thread, device = threading.get_ident(), SimpleNamespace(compute_capability=capability)
    with _lock:
        _load_array_functions()
        compile_ir, get_current_device = nvvm.compile_ir, dispatcher.get_current_device

        def without_contraction(modules: list[str], **options: Any) -> bytes:
            own = {"fma": 0} if threading.get_ident() == thread else {}
            code: bytes = compile_ir(modules, **{**options, **own})
            return code

        def current_device() -> Any:
            return device if threading.get_ident() == thread else get_current_device()

        with (
            patch.object(nvvm, "compile_ir", without_contraction),
            patch.object(dispatcher, "get_current_device", current_device),
        ):
            yield


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


def compile_kernel(
    name: str, function: Callable[..., None], arguments: tuple[Any, ...], cc: Capability, exact: bool = True
) -> Kernel:
    """PTX of a kernel, given the Numba types of its arguments.

    A kernel that is not `exact` may use exp, log and the like, which CUDA has from a library of its own: their results
    may differ from the CPU's in the last place of a float64. Products and sums are not contracted in such a kernel
    either.

    Raises
    ------
    RuntimeError
        If an operation in it is not rounded as on the CPU.
    """

    def compile_it() -> str:
        with around(name), _compiler_for(cc):
            ptx: str = cuda.compile_ptx(function, types.void(*arguments), cc=cc)[0]
        return ptx

    ptx = kept(name, function, arguments, cc, compile_it)
    inexact = sorted(set(_INEXACT.findall(ptx)))
    if exact and inexact:
        raise RuntimeError(
            f"the CUDA kernel {name} would not have the bits of the CPU's: this compiler has made {', '.join(inexact)} "
            "of it; install the versions of fastadagrad[cuda12] or [cuda13]"
        )
    [entry] = _ENTRY.findall(ptx)
    return Kernel(name, ptx.replace(entry, name), exact)
