"""Operands as functions: what reads one for some threads of a grid, and what writes one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .fault import Fault
from .program import TYPES, Program

if TYPE_CHECKING:
    from .grid import Grid

# Threads are given as an array of their numbers, or as a slice of them all.
Threads = np.ndarray | slice
Read = Callable[["Grid", Threads], Any]
Write = Callable[["Grid", Threads, Any], None]
Act = Callable[["Grid", Threads], None]

AXES = [f"{name}.{axis}" for name in ("tid", "ntid", "ctaid", "nctaid") for axis in "xyz"]
SPECIAL = {*AXES, "laneid", *(f"lanemask_{how}" for how in ("eq", "le", "lt", "ge", "gt"))}
U32, U64 = TYPES["u32"], TYPES["u64"]


def registers(operand: str) -> list[str]:
    """The registers of a vector, or the one that is none."""
    return [register.strip() for register in operand.strip("{}").split(",")]


def constant(text: str, kind: np.dtype[Any]) -> Any:
    """A number as PTX writes it, in this type."""
    if match := re.fullmatch(r"0[fF]([0-9A-Fa-f]{8})|0[dD]([0-9A-Fa-f]{16})", text):
        bits = np.array(int(match[1] or match[2], 16), "u4" if match[1] else "u8")
        return bits.view(f"f{bits.itemsize}").astype(kind)[()] if kind.kind == "f" else bits.astype(kind)[()]
    if kind.kind == "f" and re.fullmatch(r"[-+]?\d+\.\d*([eE][-+]?\d+)?", text):
        return kind.type(float(text))
    text = {"WARP_SZ": "32"}.get(text, text)
    match = re.fullmatch(r"(-?)(0[xX][0-9A-Fa-f]+|0[bB][01]+|\d+)U?", text)
    if not match or kind.kind == "f":
        raise Fault(f"{text} is no {kind.name} constant, and no variable of the kernel")
    octal = re.fullmatch(r"0\d+", match[2])
    value = int(match[2], 8 if octal else 0) * (-1 if match[1] else 1)
    if kind.kind == "b":
        return np.bool_(value != 0)
    return np.array(value % 2 ** (8 * kind.itemsize), f"u{kind.itemsize}").view(kind)[()]


def read(program: Program, operand: str, kind: np.dtype[Any], resize: bool = False) -> Read:
    """What gives an operand in this type: an array, or a single number where it is the same for all threads.

    Parameters
    ----------
    resize : bool
        The register may have more bits, or fewer, than the type.
    """
    if operand.startswith("%"):
        name = operand[1:]
        if name in SPECIAL:
            return lambda grid, at: grid.special[name][at].astype(kind)
        stored = program.register(name)
        if stored == kind:
            return lambda grid, at: grid.registers[name][at]
        if stored.itemsize == kind.itemsize and "b" not in (stored.kind, kind.kind):
            return lambda grid, at: grid.registers[name][at].view(kind)
        if resize and kind.kind in "iu" and stored.kind == "u":
            return lambda grid, at: grid.registers[name][at].astype(kind)
        raise Fault(f"%{name} has other bits than {kind.name}")
    offsets = {**program.shared, **program.local}
    value = kind.type(offsets[operand]) if operand in offsets else constant(operand, kind)
    return lambda grid, at: value


def write(program: Program, operand: str, kind: np.dtype[Any], widen: bool = False) -> Write:
    """What puts numbers of this type into a register.

    Parameters
    ----------
    widen : bool
        The register may be wider: signed numbers then keep their sign.
    """
    if operand == "_":  # what is not wanted
        return lambda grid, at, value: None
    name = operand.removeprefix("%")
    stored = program.register(name)
    if stored == kind:

        def put(grid: Grid, at: Threads, value: Any) -> None:
            grid.registers[name][at] = value

    elif stored.itemsize == kind.itemsize and "b" not in (stored.kind, kind.kind):

        def put(grid: Grid, at: Threads, value: Any) -> None:
            grid.registers[name][at] = value.view(stored)

    elif widen and stored.itemsize > kind.itemsize and kind.kind in "iu" and stored.kind == "u":
        wide = np.dtype(f"{kind.kind}{stored.itemsize}")

        def put(grid: Grid, at: Threads, value: Any) -> None:
            grid.registers[name][at] = value.astype(wide).view(stored)

    else:
        raise Fault(f"%{name} has other bits than {kind.name}")
    return put


def address(program: Program, operand: str) -> Read:
    """What gives an operand in brackets, an array of addresses."""
    match = re.fullmatch(r"\[\s*([%$\w]+(?:\.\w+)?)\s*(?:\+\s*(-?\w+))?\s*\]", operand)
    if not match:
        raise Fault(f"{operand} is no address")
    base = read(program, match[1], U64, resize=True)
    offset = constant(match[2] or "0", U64)

    def give(grid: Grid, at: Threads) -> Any:
        return np.broadcast_to(base(grid, at) + offset if offset else base(grid, at), grid.thread[at].shape)

    return give
