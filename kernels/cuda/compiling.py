"""Compilation to PTX that computes what the CPU computes: the one place that reaches into Numba's CUDA compiler.

Two things have no public way. By default a product and a sum are contracted into one operation that rounds once;
NVVM has an option against it, which Numba does not pass on. And Numba asks the driver for the compute capability even
where it is given, so that it could not compile where there is no GPU. What comes out is checked: every operation on
floats must round as IEEE 754 says, or compilation fails.

A trap that is not seen here: the compiler moves shuffles and votes into branches that only some threads of a warp take,
if a loop around them has a condition that depends on the thread. Running the PTX finds it.
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

with warnings.catch_warnings():  # this compiler makes a time without a unit, of which NumPy 2.5 warns
    warnings.filterwarnings("ignore", "The 'generic' unit", DeprecationWarning)
    from numba import cuda
    from numba.cuda import dispatcher
    from numba.cuda.cudadrv import nvvm

Capability = tuple[int, int]

_lock = Lock()

# What is done around a compilation, given the kernel's name: whoever runs kernels may tell the user, who waits for it.
around: Callable[[str], AbstractContextManager[None]] = nullcontext

# Left to themselves, assemblers contract these where no rounding is named; .approx and .full divide inexactly.
_INEXACT = re.compile(r"^\s*(?:@!?%\w+\s+)?((?:fma|(?:mul|add|sub)\.f|\w+\.(?:approx|full|ftz))\S*)", re.MULTILINE)
_ENTRY = re.compile(r"\.visible \.entry (\w+)\(")


class Kernel(NamedTuple):
    """Code for one compute capability."""

    name: str
    ptx: str
    exact: bool = True  # whether each operation rounds as on the CPU


def _row_stack(arrays: Any) -> Any:
    """Stands for the function that NumPy 2.5 has given up."""
    return np.vstack(arrays)


@cache
def _load_array_functions() -> None:
    """Import what registers the compiler's array functions, among them one for ``numpy.row_stack``.

    NumPy 2.5 no longer has that one, and the compiler, which loads this module when it first compiles, would fail at
    every kernel. NumPy has it back while the module is imported, and no longer.
    """
    lent = nullcontext() if hasattr(np, "row_stack") else patch.object(np, "row_stack", _row_stack, create=True)
    with lent, suppress(ModuleNotFoundError):  # where the compiler has no such module it needs no such loan
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
    """Name of a kernel of this variant, and of the formula that the rule has now."""
    formula = [rule.accumulate, rule.scale, rule.place if places(rule) else rule.delta]
    formula += [rule.measure] if trait(rule, "measured") else []
    traits = [trait(rule, name) for name in ("squares", "rests", "measured")]
    digest = digest_or_token(*formula, *traits, rule.slots, rule.Scalars._fields)
    return "_".join(map(str, (rule.name, *variant, digest[:8])))


def compile_kernel(
    name: str, function: Callable[..., None], arguments: tuple[Any, ...], cc: Capability, exact: bool = True
) -> Kernel:
    """PTX of a kernel, given the Numba types of its arguments.

    One that is not `exact` may use exp, log and their kin, which CUDA has from a library of its own: their results may
    differ from the CPU's in the last place of a float64. The rest is not contracted in it either.

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
