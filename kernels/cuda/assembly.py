"""One element's step as PTX that is put into the kernels of other compilers.

Those compilers contract products and sums as they like, and their users choose more such options. Assembly in a kernel
is left as it is written: the step is compiled as the kernels of this library are, and keeps the bits of the CPU
wherever it is put. Its code is made for the oldest GPUs, and runs on all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from ..element import make_element
from ..motion import slot_names
from .compiling import compile_kernel, kernel_name, scalars_type
from .nvptx import CAPABILITIES

_PREFIX = "fastadagrad_"  # of registers and labels: no other compiler has such
_END = f"{_PREFIX}end"
_LETTERS = {4: "f", 8: "d"}  # of registers in constraints, by the bytes of a number
_PLACE = re.compile(r"<(in|out)(\d+)>")
_ELSEWHERE = re.compile(r"\.(local|global|const|shared|extern|func)\b")


class Assembly(NamedTuple):
    """The step's instructions, with a place for each number that it takes or gives.

    The numbers are p, g, the slots and the scalars, one after the other; the new ones are p and the slots.
    """

    text: str
    taken: tuple[int, ...]  # which of the numbers the step depends on
    given: int  # how many it gives
    letter: str  # of the registers that hold them

    def with_operands(self, taken: Callable[[int], str], given: Callable[[int], str]) -> str:
        """The instructions with what stands for the n-th number that is taken, or given."""
        order = {k: n for n, k in enumerate(self.taken)}

        def operand(place: re.Match[str]) -> str:
            k = int(place[2])
            return taken(order[k]) if place[1] == "in" else given(k)

        return _PLACE.sub(operand, self.text)


def _make_taken(kind: Any, first: int):
    """Compilable ``()``: a tuple of this type, whose members are the numbers from `first` on."""

    @intrinsic
    def taken(typingctx):
        def codegen(context, builder, signature, args):
            numbers = []
            for k, member in enumerate(kind):
                real = context.get_value_type(member)
                move = f"mov.f{member.bitwidth} $0, <in{first + k}>;"
                numbers.append(builder.call(ir.InlineAsm(ir.FunctionType(real, ()), move, f"={_letter(member)}"), ()))
            return context.make_tuple(builder, kind, numbers)

        return kind(), codegen

    return taken


def _make_give(kind: Any):
    """Compilable ``(numbers)``, which gives them all at once: behind it, nothing is taken any more."""

    @intrinsic
    def give(typingctx, numbers):
        def codegen(context, builder, signature, args):
            values = cgutils.unpack_tuple(builder, args[0], kind.count)
            real = ir.FunctionType(ir.VoidType(), [value.type for value in values])
            moves = "\n".join(f"mov.f{kind.dtype.bitwidth} <out{k}>, ${k};" for k in range(kind.count))
            letters = ",".join(_letter(kind.dtype) * kind.count)
            builder.call(ir.InlineAsm(real, moves, letters, side_effect=True), values)
            return context.get_dummy_value()

        return types.void(kind), codegen

    return give


def _letter(real: Any) -> str:
    return _LETTERS[real.bitwidth // 8]


@cache
def make_assembly(rule: Any, motion: str, lean: bool, dtype: np.dtype[Any]) -> Assembly:
    """The step of one element that has its own slots, all of which are of this dtype.

    Raises
    ------
    RuntimeError
        If an operation in it is not rounded as on the CPU, or if it needs memory beside registers.
    """
    step, real = make_element(rule, motion, lean).step, from_dtype(dtype)
    n_slots = len(slot_names(rule, motion))
    pair = _make_taken(types.UniTuple(real, 2), 0)
    slots = _make_taken(types.UniTuple(real, n_slots) if n_slots else types.Tuple(()), 2)
    scalars = _make_taken(scalars_type(rule, dtype), 2 + n_slots)
    give = _make_give(types.UniTuple(real, 1 + n_slots))

    def stepped():
        p, g = pair()
        p, own = step(p, g, slots(), scalars())
        give((p,) + own)

    name = kernel_name(rule, motion, "lean" if lean else "full", "assembly", dtype)
    text = _block(name, compile_kernel(name, stepped, (), CAPABILITIES[0]).ptx)
    taken = sorted({int(k) for what, k in _PLACE.findall(text) if what == "in"})
    return Assembly(text, tuple(taken), 1 + n_slots, _letter(real))


def _block(name: str, ptx: str) -> str:
    """What a kernel does, as a block with registers and labels of its own, that ends where the kernel returns."""
    text = re.sub(r"\s*//[^\n]*", "", ptx)
    if _ELSEWHERE.search(text):
        raise RuntimeError(f"the step {name} needs memory beside registers, and cannot be put into another's kernel")
    body = text[text.index("{") + 1 : text.rindex("}")]
    body = re.sub(r"[%$](?=\w)", _PREFIX, body).replace("ret;", f"bra {_END};")
    lines = [" ".join(line.split()) for line in body.splitlines() if line.strip()]
    return "\n".join(("{", *lines, f"{_END}:", "}"))
