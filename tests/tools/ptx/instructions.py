"""Instructions as functions of a grid and of some of its threads: those that compute, and those that reach memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arithmetic import OLD_AND_NEW, SAME, WHOLE, comparison, shift_left, shift_right
from .fault import Fault
from .memory import GENERIC, ROOM, WINDOWS
from .operands import U32, Act, Threads, address, read, registers, write
from .program import TYPES, Instruction, Program
from .warps import MAKERS as OF_WARPS


def _all(function: Callable[..., Any], target: str, sources: list[str], kind: np.dtype[Any], program: Program) -> Act:
    """What puts a function of operands of one type into a register of it."""
    put, reads = write(program, target, kind), [read(program, source, kind) for source in sources]
    if len(reads) == 1:
        (only,) = reads
        return lambda grid, at: put(grid, at, function(only(grid, at)))
    if len(reads) == 2:
        first, second = reads
        return lambda grid, at: put(grid, at, function(first(grid, at), second(grid, at)))
    return lambda grid, at: put(grid, at, function(*(each(grid, at) for each in reads)))


def _same(instruction: Instruction, program: Program) -> Act:
    target, *sources = instruction.operands
    return _all(SAME[instruction.opcode], target, sources, instruction.type, program)


def _mov(instruction: Instruction, program: Program) -> Act:
    """A plain one, or one that puts registers together or takes one apart."""
    target, source = instruction.operands
    kind = instruction.type
    if "{" not in target + source:
        return _same(instruction, program)
    parts = registers(target if "{" in target else source)
    if kind.itemsize % len(parts):
        raise Fault(f"{len(parts)} registers have no {kind.name}")
    part = np.dtype(f"u{kind.itemsize // len(parts)}")
    if "{" in target:
        whole, puts = read(program, source, kind), [write(program, each, part) for each in parts]

        def take_apart(grid: Any, at: Threads) -> None:
            columns = np.ascontiguousarray(np.atleast_1d(whole(grid, at))).view(part).reshape(-1, len(puts)).T.copy()
            for put, column in zip(puts, columns, strict=True):
                put(grid, at, column)

        return take_apart
    put, reads = write(program, target, kind), [read(program, each, part) for each in parts]

    def put_together(grid: Any, at: Threads) -> None:
        columns = np.empty((grid.thread[at].size, len(reads)), part)
        for i, each in enumerate(reads):
            columns[:, i] = each(grid, at)
        put(grid, at, columns.view(kind).reshape(-1))

    return put_together


def _wide(instruction: Instruction) -> np.dtype[Any]:
    """The type of a product."""
    kind = instruction.type
    if not {"wide", "hi"} & {*instruction.modifiers}:
        return kind
    return np.dtype(f"{kind.kind}{2 * kind.itemsize}")


def _mul(instruction: Instruction, program: Program) -> Act:
    kind = instruction.type
    target, *sources = instruction.operands
    wide = _wide(instruction)
    if wide == kind:
        return _all(np.multiply, target, sources, kind, program)
    put = write(program, target, kind if "hi" in instruction.modifiers else wide)
    first, second = (read(program, source, kind) for source in sources)
    if "hi" in instruction.modifiers:
        bits = 8 * kind.itemsize
        return lambda grid, at: put(
            grid, at, (first(grid, at).astype(wide) * second(grid, at).astype(wide) >> bits).astype(kind)
        )
    return lambda grid, at: put(grid, at, first(grid, at).astype(wide) * second(grid, at).astype(wide))


def _mad(instruction: Instruction, program: Program) -> Act:
    kind, wide = instruction.type, _wide(instruction)
    target, *factors, term = instruction.operands
    put, third = write(program, target, wide), read(program, term, wide)
    first, second = (read(program, factor, kind) for factor in factors)
    return lambda grid, at: put(
        grid, at, first(grid, at).astype(wide) * second(grid, at).astype(wide) + third(grid, at)
    )


def _shift(instruction: Instruction, program: Program) -> Act:
    shift = shift_left if instruction.opcode == "shl" else shift_right
    kind = instruction.type
    target, source, amount = instruction.operands
    put, value, count = write(program, target, kind), read(program, source, kind), read(program, amount, U32)
    return lambda grid, at: put(grid, at, shift(value(grid, at), count(grid, at)).astype(kind, copy=False))


def _setp(instruction: Instruction, program: Program) -> Act:
    kind, (target, a, b) = instruction.type, instruction.operands
    holds, put = comparison(instruction.modifiers[0], kind), write(program, target, TYPES["pred"])
    first, second = read(program, a, kind), read(program, b, kind)
    return lambda grid, at: put(grid, at, holds(first(grid, at), second(grid, at)))


def _selp(instruction: Instruction, program: Program) -> Act:
    kind, (target, a, b, predicate) = instruction.type, instruction.operands
    put, chosen = write(program, target, kind), read(program, predicate, TYPES["pred"])
    first, second = read(program, a, kind), read(program, b, kind)
    return lambda grid, at: put(grid, at, np.where(chosen(grid, at), first(grid, at), second(grid, at)))


def _field(instruction: Instruction) -> tuple[int, int]:
    """Where a field of bits begins, and its mask from there."""
    first, count = instruction.operands[-2:]
    if not (first.isdecimal() and count.isdecimal()) or int(first) + int(count) > 8 * instruction.type.itemsize:
        raise Fault("only fields at constant places within a register are known")
    return int(first), (1 << int(count)) - 1


def _bfe(instruction: Instruction, program: Program) -> Act:
    start, ones = _field(instruction)
    kind = instruction.type
    first, mask = kind.type(start), kind.type(ones)
    return _all(lambda a: (a >> first) & mask, instruction.operands[0], instruction.operands[1:2], kind, program)


def _bfi(instruction: Instruction, program: Program) -> Act:
    start, ones = _field(instruction)
    kind = instruction.type
    first, mask = kind.type(start), kind.type(ones << start)
    target, *sources = instruction.operands[:3]
    return _all(lambda a, b: (b & ~mask) | ((a << first) & mask), target, sources, kind, program)


def _popc(instruction: Instruction, program: Program) -> Act:
    target, source = instruction.operands
    put, bits = write(program, target, U32), read(program, source, instruction.type)
    return lambda grid, at: put(grid, at, np.bitwise_count(bits(grid, at)).astype(np.uint32))


def _cvt(instruction: Instruction, program: Program) -> Act:
    to, source = (TYPES[m] for m in instruction.modifiers[-2:])
    target, operand = instruction.operands
    # Halves of 16 bits are in registers of 16 bits, whatever those are called.
    put, value = write(program, target, to, widen=True), read(program, operand, source, resize=True)
    whole = WHOLE.get(instruction.modifiers[0])
    if source.kind != "f" or to.kind == "f":
        return lambda grid, at: put(grid, at, (whole or np.positive)(value(grid, at)).astype(to))
    assert whole
    bound = 2.0 ** (8 * to.itemsize - (to.kind == "i"))
    lowest = -bound if to.kind == "i" else 0.0

    def convert(grid: Any, at: Threads) -> None:
        number = whole(value(grid, at))
        if not ((number >= lowest) & (number < bound)).all():
            raise Fault("conversion of a number that is too large")
        put(grid, at, number.astype(to))

    return convert


# Memory


def _ld(instruction: Instruction, program: Program) -> Act:
    target, source = instruction.operands
    kind, modifiers = instruction.type, instruction.modifiers
    puts = [write(program, each, kind, widen=True) for each in _of_vector(instruction, target)]
    if "param" in modifiers:
        name, size = source.strip("[] "), kind.itemsize
        known = {name: TYPES[kind] for kind, name in program.parameters}
        if name not in known or known[name].itemsize < size:
            raise Fault(f"there is no parameter {name} of {8 * size} bits")
        (put,) = puts
        return lambda grid, at: put(grid, at, np.frombuffer(grid.parameters[name].tobytes(), kind, 1)[0])
    place, space, size = address(program, source), _space(instruction), len(puts) * kind.itemsize
    how = {"constant": "nc" in modifiers, "strong": _is_strong(instruction)}

    def load(grid: Any, at: Threads) -> None:
        values = grid.memory.load(space, place(grid, at), size, grid.thread[at], **how).view(kind)
        for i, put in enumerate(puts):
            put(grid, at, values[:, i])

    return load


def _st(instruction: Instruction, program: Program) -> Act:
    target, source = instruction.operands
    kind = instruction.type
    reads = [read(program, each, kind, resize=True) for each in _of_vector(instruction, source)]
    place, space, strong = address(program, target), _space(instruction), _is_strong(instruction)

    def store(grid: Any, at: Threads) -> None:
        threads = grid.thread[at]
        values = np.empty((threads.size, len(reads)), kind)
        for i, each in enumerate(reads):
            values[:, i] = each(grid, at)
        grid.memory.store(space, place(grid, at), values.view(np.uint8), threads, strong)

    return store


def _is_strong(instruction: Instruction) -> bool:
    return bool({"volatile", "relaxed"} & {*instruction.modifiers})


def _atom(instruction: Instruction, program: Program) -> Act:
    target, source, operand = instruction.operands
    kind, space = instruction.type, _space(instruction)
    function = OLD_AND_NEW[instruction.modifiers[-2]]
    put, value, place = write(program, target, kind), read(program, operand, kind), address(program, source)

    def change(grid: Any, at: Threads) -> None:
        threads = grid.thread[at]
        order = grid.draw_order(threads.size)
        values = np.broadcast_to(value(grid, at), threads.shape)[order]
        old = np.empty(threads.shape, kind)
        old[order] = grid.memory.change(space, place(grid, at)[order], values, threads[order], function)
        put(grid, at, old)

    return change


def _of_vector(instruction: Instruction, operand: str) -> list[str]:
    found = registers(operand)
    count = next((int(m[1]) for m in instruction.modifiers if m in ("v2", "v4")), 1)
    if len(found) != count or count * instruction.type.itemsize > 16:
        raise Fault(f"{instruction.name} does not have {len(found)} registers")
    return found


def _space(instruction: Instruction) -> str:
    return next((m for m in instruction.modifiers if m in ("global", "shared", "local")), GENERIC)


def _cvta(instruction: Instruction, program: Program) -> Act:
    kind = instruction.type
    window = WINDOWS.get(_space(instruction), 0)
    if not window:
        return _all(SAME["mov"], *_target(instruction), kind, program)
    start = kind.type(window)
    if "to" not in instruction.modifiers:
        return _all(lambda a: np.atleast_1d(a) + start, *_target(instruction), kind, program)

    def leave(a: Any) -> Any:
        inside = np.atleast_1d(a) - start
        if (inside >= np.uint64(ROOM)).any():
            raise Fault("the address is of another space")
        return inside

    return _all(leave, *_target(instruction), kind, program)


def _target(instruction: Instruction) -> tuple[str, list[str]]:
    return instruction.operands[0], instruction.operands[1:]


Maker = Callable[[Instruction, Program], Act]
MAKERS: dict[str, Maker] = {
    **dict.fromkeys(SAME, _same),
    "mov": _mov,
    "mul": _mul,
    "mad": _mad,
    "shl": _shift,
    "shr": _shift,
    "setp": _setp,
    "selp": _selp,
    "bfe": _bfe,
    "bfi": _bfi,
    "popc": _popc,
    "cvt": _cvt,
    "cvta": _cvta,
    "ld": _ld,
    "st": _st,
    "atom": _atom,
    **OF_WARPS,
}
