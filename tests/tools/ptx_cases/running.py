"""Kernels that do something for each row of some operands, a thread for each, and what they make of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import ptx

from .exact import is_nan, number_of, rows_of, width

THREADS = 1024
WITH_CONSTANTS = 5  # rows


def kernel(arrays, registers, body, variables=""):
    """The text of a kernel: `%at_NAME` is the address of a thread's own part of an array, `%index` the thread's number.

    Parameters
    ----------
    arrays : dict of ints
        The bytes of a thread's part.
    registers : dict of strings
        The type of each beside these.
    variables : str
        Declarations of memory.
    """
    registers = {"index": "b32", "block": "b32", "rows": "b32", "none": "pred", **registers}
    registers |= {f"at_{name}": "b64" for name in arrays}
    declared = "\n".join(f".reg .{kind} %{name};" for name, kind in registers.items())
    places = "\n".join(
        f"ld.param.u64 %at_{name}, [{name}];\nmad.wide.u32 %at_{name}, %index, {size}, %at_{name};"
        for name, size in arrays.items()
    )
    return f"""
.version 9.0
.target sm_90
.address_size 64
.visible .entry values({", ".join([*(f".param .u64 {name}" for name in arrays), ".param .u32 rows"])})
{{
{declared}
{variables}
mov.u32 %block, %ctaid.x;
mov.u32 %rows, %ntid.x;
mov.u32 %index, %tid.x;
mad.lo.u32 %index, %block, %rows, %index;
ld.param.u32 %rows, [rows];
setp.ge.u32 %none, %index, %rows;
@%none exit;
{places}
{body}
ret;
}}
"""


def launch(text, arrays, count, seed=0, threads=THREADS):
    """Run it for so many threads."""
    ptx.load(text, contraction=True)(-(-count // threads), min(count, threads), *arrays, count, seed=seed)


def register(kind):
    return kind if kind == "pred" else f"b{max(16, width(kind))}"


def load(kind, name):
    """What reads a thread's operand; predicates are bytes."""
    if kind == "pred":
        return f"ld.global.u8 %byte, [%at_{name}];\nsetp.ne.b16 %{name}, %byte, 0;\n"
    return f"ld.global.b{width(kind)} %{name}, [%at_{name}];\n"


def store(kind, name):
    if kind == "pred":
        return f"selp.b16 %byte, 1, 0, %{name};\nst.global.u8 [%at_{name}], %byte;\n"
    return f"st.global.b{width(kind)} [%at_{name}], %{name};\n"


def bits_of(column, kind):
    """An array of these bits."""
    return np.array(column, f"u{width(kind) // 8}")


def computed(instruction, targets, sources, rows, seed=0):
    """The bits that an instruction puts into its targets, a tuple for each row of the bits of its sources.

    Parameters
    ----------
    instruction : str
        With the names of `targets` and `sources` for its registers.
    targets, sources : dict of strings
        The type of each.
    """
    names = {**targets, **sources}
    registers = {"byte": "b16", **{name: register(kind) for name, kind in names.items()}}
    loads = "".join(load(kind, name) for name, kind in sources.items())
    stores = "".join(store(kind, name) for name, kind in targets.items())
    text = kernel(
        {name: width(kind) // 8 for name, kind in names.items()}, registers, f"{loads}{instruction}\n{stores}"
    )
    found = [ptx.junk(len(rows), f"u{width(kind) // 8}", seed) for kind in targets.values()]
    columns = zip(*rows, strict=True) if sources else ()
    given = [bits_of(column, kind) for column, kind in zip(columns, sources.values(), strict=True)]
    launch(text, [*found, *given], len(rows), seed)
    return list(zip(*(each.tolist() for each in found), strict=True))


def require(instruction, targets, sources, rows, expected, seed=0):
    """Fail unless an instruction computes from these bits the expected ones, or any NaN where None is expected.

    The bits of a NaN are not compared: PTX leaves them open, and a GPU gives others than a CPU.
    """
    found = computed(instruction, targets, sources, rows, seed)
    for row, bits, wanted in zip(rows, found, expected, strict=True):
        for kind, one, right in zip(targets.values(), bits, wanted, strict=True):
            if one != right and not (right is None and is_nan(one, kind)):
                given = ", ".join(f"{name} = {value:#x}" for name, value in zip(sources, row, strict=True))
                shown = "a NaN" if right is None else f"{right:#x}"
                raise AssertionError(f"{instruction} with {given} gives {one:#x}, and not {shown}")


def literal(bits, kind):
    """A constant as PTX writes it."""
    if kind[0] == "f":
        return f"0{'f' if width(kind) == 32 else 'd'}{bits:0{width(kind) // 4}X}"
    return str(number_of(bits, kind))


class Case(NamedTuple):
    """An instruction whose threads compute each for itself.

    Attributes
    ----------
    instruction : str
        As in `computed`, and so are `targets` and `sources`.
    result : callable
        Makes of a row of numbers the bits of the target, None for NaN, or a tuple of these for several targets.
    rows : sequence, optional
        Bits of the sources: by default those at the edges and drawn ones.
    of_bits : bool
        `result` takes bits, and no numbers.
    constants : bool
        The sources may be constants, too.
    """

    instruction: str
    targets: dict
    sources: dict
    result: Callable
    rows: Sequence | None = None
    of_bits: bool = False
    constants: bool = True

    def check(self):
        rows = rows_of(*self.sources.values()) if self.rows is None else self.rows
        require(self.instruction, self.targets, self.sources, rows, self._expected(rows))
        if self.constants:
            self._check_constants(rows[:: -(-len(rows) // WITH_CONSTANTS)] + rows[-1:])

    def _expected(self, rows):
        results = (self.result(*(self._numbers(row))) for row in rows)
        return [each if isinstance(each, tuple) else (each,) for each in results]

    def _numbers(self, row):
        if self.of_bits:
            return row
        return [number_of(bits, kind) for bits, kind in zip(row, self.sources.values(), strict=True)]

    def _check_constants(self, rows):
        """With each source as a constant, and with all of them: those of the last row, which is a drawn one."""
        values = dict(zip(self.sources, rows[-1], strict=True))
        for names in {*((name,) for name in values), tuple(values)}:
            instruction, sources = self.instruction, {**self.sources}
            for name in names:
                instruction = instruction.replace(f"%{name}", literal(values[name], sources.pop(name)))
            given = [dict(zip(values, row, strict=True)) | {name: values[name] for name in names} for row in rows]
            left = [tuple(row[name] for name in sources) for row in given]
            require(instruction, self.targets, sources, left, self._expected([tuple(row.values()) for row in given]))
