"""An element's step as a device function of another compiler, which its users call in kernels of their own.

Two are known, numba-cuda and its successor numba-cuda-mlir; the library needs neither. Both take a function's Python
text, which is written here, and let it call an intrinsic, which puts the step's assembly into the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir

from ...support.extras import how_to_install, is_installed, needed
from ..motion import slot_names
from .assembly import Assembly, make_assembly

PURPOSE = "an update to call in CUDA kernels of your own"


class _Compiler(NamedTuple):
    """What a compiler has for functions that kernels call."""

    device: Callable[..., Any]  # decorates a function whose code is to take the place of calls
    intrinsic: Any
    types: Any
    error: type[Exception]  # that it raises of types
    make_codegen: Callable[[Assembly, Any], Callable[..., Any]]  # given the type of a number
    refresh: Callable[[], None]  # makes an intrinsic known, where another kernel has been compiled before


def _numba_cuda() -> _Compiler:
    needed("numba_cuda", PURPOSE)  # which puts itself in the place of a module of Numba's own
    cuda, extending, types, errors = (
        import_module(f"numba.cuda{part}") for part in ("", ".extending", ".types", ".core.errors")
    )
    device = cuda.jit(device=True, forceinline=True)
    return _Compiler(device, extending.intrinsic, types, errors.TypingError, _make_codegen_in_llvm, lambda: None)


def _numba_cuda_mlir() -> _Compiler:
    needed("numba_cuda_mlir", PURPOSE)
    cuda, extending, types, errors = (
        import_module(f"numba_cuda_mlir.{part}") for part in ("cuda", "extending", "types", "numba_cuda.core.errors")
    )
    device = cuda.jit(device=True, inline="always")
    intrinsic, refresh = extending.intrinsic, extending.refresh_registries
    return _Compiler(device, intrinsic, types, errors.TypingError, _make_codegen_in_mlir, refresh)


_COMPILERS = {"cuda": _numba_cuda, "cuda-mlir": _numba_cuda_mlir}


def _make_codegen_in_llvm(assembly: Assembly, real: Any) -> Callable[..., Any]:
    inputs, outputs, letter = len(assembly.taken), assembly.given, assembly.letter
    text = assembly.with_operands(lambda n: f"${outputs + n}", lambda n: f"${n}")
    constraints = ",".join([f"=&{letter}"] * outputs + [letter] * inputs)

    def codegen(context, builder, signature, args):
        member = context.get_value_type(real)
        given = member if outputs == 1 else ir.LiteralStructType([member] * outputs)
        values = [builder.extract_value(args[0], n) for n in range(inputs)]
        new = builder.call(ir.InlineAsm(ir.FunctionType(given, [member] * inputs), text, constraints), values)
        new = [new] if outputs == 1 else [builder.extract_value(new, n) for n in range(outputs)]
        return context.make_tuple(builder, signature.return_type, new)

    return codegen


def _make_codegen_in_mlir(assembly: Assembly, real: Any) -> Callable[..., Any]:
    nvvm = import_module("numba_cuda_mlir._mlir.dialects.nvvm")
    kinds = import_module("numba_cuda_mlir.lowering_utilities.type_conversions")
    text = assembly.with_operands(lambda n: f"{{$r{n}}}", lambda n: f"{{$w{n}}}")

    def codegen(builder, target, args, kwargs):
        member = kinds.inline_ptx_type_constraint_to_mlir_type(assembly.letter)
        values = [builder.mlir_convert(value, member) for value in builder.load_var(args[0])]
        new = nvvm.inline_ptx(
            write_only_args=[member] * assembly.given, read_only_args=values, read_write_args=[], ptx_code=text
        )
        builder.store_var(target, (new,) if assembly.given == 1 else tuple(new))

    return codegen


def _make_assembled(compiler: _Compiler, assembly: Assembly, names: list[str], dtype: np.dtype[Any]) -> Any:
    """The intrinsic ``(taken)``: a tuple of new numbers, given that of the numbers that the step depends on.

    `names` are those of the latter, as the user's arguments are named.
    """
    real = compiler.types.float32 if dtype == np.float32 else compiler.types.float64
    results, codegen = compiler.types.UniTuple(real, assembly.given), compiler.make_codegen(assembly, real)

    @compiler.intrinsic
    def assembled(typingctx, taken):
        for name, found in zip(names, taken, strict=True):
            if found != real:
                argument = re.match(r"\w+", name)[0]
                raise compiler.error(
                    f"{argument} must be of {real}, which the update is compiled for, and not of {found}"
                )
        return results(taken), codegen

    compiler.refresh()
    return assembled


@cache
def make_device_function(rule: Any, motion: str, lean: bool, dtype: np.dtype[Any], target: str) -> Any:
    """``update(p, i, g, slots, s)``: step of element i of arrays of this dtype, each of which has its own slots.

    Raises
    ------
    RuntimeError
        If the compiler is not installed, or if the formula has something that a GPU does not compute as the CPU does.
    """
    compiler, assembly = _COMPILERS[target](), make_assembly(rule, motion, lean, dtype)
    slots = [f"slots[{k}][i]" for k in range(len(slot_names(rule, motion)))]
    numbers = ["p[i]", "real(g)", *slots, *(f"s[{k}]" for k in range(len(rule.Scalars._fields)))]
    taken = [numbers[k] for k in assembly.taken]
    text = f"def update(p, i, g, slots, s):\n    new = assembled(({', '.join(taken)},))\n"
    text += "".join(f"    {place} = new[{k}]\n" for k, place in enumerate(("p[i]", *slots)))
    names = {"assembled": _make_assembled(compiler, assembly, taken, dtype), "real": dtype.type}
    exec(compile(text, "<fastadagrad.compiled_update>", "exec"), names)  # the text is made of numbers alone
    return compiler.device(names["update"])


def _why_not_numba_cuda() -> str:
    """Why numba-cuda compiles no kernel here, as its last release beside NumPy 2.5; empty if it does."""
    try:
        import_module("numba.cuda.np.npyimpl")  # which it imports when it compiles its first kernel
    except Exception as error:  # whatever it runs into
        return f"{type(error).__name__}: {error}"
    return ""


def target_installed(target: str) -> str:
    """The target that is meant: where "cuda" is asked for and numba-cuda-mlir alone can compile, that one.

    Raises
    ------
    RuntimeError
        If no compiler for "cuda" is installed that can compile here, or only a simulator of GPUs is in use.
    """
    if numba.config.ENABLE_CUDASIM:
        raise RuntimeError(
            f"{PURPOSE} is code of a GPU, which Numba's simulator does not run: unset NUMBA_ENABLE_CUDASIM"
        )
    reason = _why_not_numba_cuda() if target == "cuda" and is_installed("numba_cuda") else ""
    if target != "cuda" or (is_installed("numba_cuda") and not reason):
        return target
    if is_installed("numba_cuda_mlir"):
        return "cuda-mlir"
    if reason:
        raise RuntimeError(
            f"{PURPOSE} cannot be compiled: numba-cuda fails beside NumPy {np.__version__} ({reason}). "
            f"It needs another NumPy, or {how_to_install('numba_cuda_mlir')}"
        )
    either = ", or its successor ".join(map(how_to_install, ("numba_cuda", "numba_cuda_mlir")))
    raise RuntimeError(f"{PURPOSE} needs {either}")
