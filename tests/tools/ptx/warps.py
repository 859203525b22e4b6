"""Instructions that threads of a warp carry out together.

A grid calls them with whole groups: all the threads that their masks name are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .fault import Fault
from .operands import U32, Act, Read, Threads, read, write
from .program import TYPES, Instruction, Program

WARP = 32
ALL = 2**32 - 1  # threads of a warp
B32, PRED = TYPES["b32"], TYPES["pred"]


def members(instruction: Instruction, program: Program) -> Read:
    """What gives the mask of an instruction that ends in one."""
    return read(program, instruction.operands[-1], U32)


def waits_for_warp(instruction: Instruction) -> bool:
    if instruction.opcode == "bar":
        return "warp" in instruction.modifiers
    return "sync" in instruction.modifiers and instruction.opcode in MAKERS


def groups(grid: Any, at: Threads, masks: Any) -> np.ndarray:
    """The number of each thread's group, which a mask names in a warp."""
    if np.ndim(masks) == 0:
        return np.unique(grid.warp[at], return_inverse=True)[1]
    keys = grid.warp[at].astype(np.uint64) << np.uint64(32) | masks
    return np.unique(keys, return_inverse=True)[1]


def _folded(function: np.ufunc, values: np.ndarray, grid: Any, at: Threads, masks: Any) -> np.ndarray:
    """The fold of each group's values, for each of its threads."""
    if np.ndim(masks) == 0 and masks == ALL:
        return np.repeat(function.reduce(values.reshape(-1, WARP), axis=1), WARP)
    group = groups(grid, at, masks)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return np.asarray(function.reduceat(values[order], starts)[group])


def _targets(operand: str) -> tuple[str, str]:
    """The register of the result, and that of the predicate."""
    first, _, second = operand.partition("|")
    return first.strip(), second.strip() or "_"


def _shfl(instruction: Instruction, program: Program) -> Act:
    target, source, lanes, clamp, _ = instruction.operands
    how = next(m for m in instruction.modifiers if m in ("bfly", "down", "up", "idx"))
    result, inside = _targets(target)
    put, note = write(program, result, B32), write(program, inside, PRED)
    value, amount, limit = read(program, source, B32), read(program, lanes, U32), read(program, clamp, U32)
    mask = members(instruction, program)

    def shuffle(grid: Any, at: Threads) -> None:
        thread, lane = grid.thread[at], grid.lane[at]
        by, bounds = (np.asarray(each(grid, at)).astype(np.int64) for each in (amount, limit))
        part, by = bounds >> 8 & 31, by & 31
        last = lane & part | bounds & 31 & ~part
        partner = {
            "bfly": lambda: lane ^ by,
            "down": lambda: lane + by,
            "up": lambda: lane - by,
            "idx": lambda: lane & part | by & ~part,
        }[how]()
        holds = partner >= last if how == "up" else partner <= last
        partner = np.where(holds, partner, lane)
        masks = mask(grid, at)
        if np.ndim(masks) or masks != ALL:
            absent = masks >> partner.astype(np.uint32) & 1 == 0
            if absent.any():
                raise Fault(f"a shuffle from lane {partner[absent][0]}, which takes no part")
        everywhere = np.empty(grid.n, B32)
        everywhere[at] = value(grid, at)
        put(grid, at, everywhere[thread - lane + partner])
        note(grid, at, holds)

    return shuffle


def _vote(instruction: Instruction, program: Program) -> Act:
    target, source, _ = instruction.operands
    how = next(m for m in instruction.modifiers if m in ("ballot", "all", "any", "uni"))
    put = write(program, target, B32 if how == "ballot" else PRED)
    holds, mask = read(program, source, PRED), members(instruction, program)

    def vote(grid: Any, at: Threads) -> None:
        masks = mask(grid, at)
        true = np.broadcast_to(holds(grid, at), grid.thread[at].shape)
        if how == "ballot":
            bits = true.astype(np.uint32) << grid.lane[at].astype(np.uint32)
            put(grid, at, _folded(np.bitwise_or, bits, grid, at, masks))
            return
        every = _folded(np.logical_and, true, grid, at, masks)
        some = _folded(np.logical_or, true, grid, at, masks)
        put(grid, at, {"all": every, "any": some, "uni": every | ~some}[how])

    return vote


def _match(instruction: Instruction, program: Program) -> Act:
    target, source, _ = instruction.operands
    kind = instruction.type
    result, agreed = _targets(target)
    put, note = write(program, result, B32), write(program, agreed, PRED)
    value, mask = read(program, source, kind), members(instruction, program)

    def match(grid: Any, at: Threads) -> None:
        masks = mask(grid, at)
        values = np.broadcast_to(value(grid, at), grid.thread[at].shape)
        bits = np.uint32(1) << grid.lane[at].astype(np.uint32)
        if "any" in instruction.modifiers:
            group = groups(grid, at, masks)
            same = (group[:, None] == group) & (values[:, None] == values)
            put(grid, at, np.bitwise_or.reduce(np.where(same, bits, np.uint32(0)), axis=1))
            return
        low, high = (_folded(fold, values, grid, at, masks) for fold in (np.minimum, np.maximum))
        note(grid, at, low == high)
        put(grid, at, np.where(low == high, _folded(np.bitwise_or, bits, grid, at, masks), np.uint32(0)))

    return match


FOLDS = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


def _redux(instruction: Instruction, program: Program) -> Act:
    target, source, _ = instruction.operands
    kind = instruction.type
    fold = next(FOLDS[m] for m in instruction.modifiers if m in FOLDS)
    put, value, mask = write(program, target, kind), read(program, source, kind), members(instruction, program)

    def reduce(grid: Any, at: Threads) -> None:
        values = np.broadcast_to(value(grid, at), grid.thread[at].shape)
        put(grid, at, _folded(fold, values, grid, at, mask(grid, at)).astype(kind, copy=False))

    return reduce


def _bar(instruction: Instruction, program: Program) -> Act:
    return lambda grid, at: None


MAKERS: dict[str, Callable[[Instruction, Program], Act]] = {
    "bar": _bar,
    "shfl": _shfl,
    "vote": _vote,
    "match": _match,
    "redux": _redux,
}
