"""PTX run on the CPU: what the compiler emitted, instruction by instruction, all threads of a grid at once.

Registers are arrays with an element for each thread. Threads that have taken different branches wait for one another:
those whose next instruction comes first go on. Memory is that of NumPy arrays, at their own addresses. What a GPU would
let pass, or answer with an error that names no line, raises `Fault`: access outside of the arrays or not aligned, or to
one place by two threads between which there is no barrier; a barrier that not all threads reach; a shuffle without all
of its threads; an operation on floats that does not round to nearest; an instruction that is not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ptx_memory import GLOBAL, SHARED, Fault, Memory
from ptx_program import TYPES, Instruction, Program, parse

WARP = 32
ALL = 2**32 - 1  # threads of a warp
# Places of threads that have returned; that wait at a barrier; that wait for the rest of their warp: so much behind it.
DONE, WAITING, HELD = 2**62, 2**61, 2**60


COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}


def compare(how: str, a: Any, b: Any) -> Any:
    if how in COMPARE and a.dtype.kind != "f":
        return COMPARE[how](a, b)
    unordered = np.isnan(a) | np.isnan(b)
    if how in ("num", "nan"):
        return unordered if how == "nan" else ~unordered
    if how in COMPARE:
        return COMPARE[how](a, b) & ~unordered
    return COMPARE[how.removesuffix("u")](a, b) | unordered


def smaller(a: Any, b: Any) -> Any:
    return np.fmin(a, b) if a.dtype.kind == "f" else np.minimum(a, b)


def larger(a: Any, b: Any) -> Any:
    return np.fmax(a, b) if a.dtype.kind == "f" else np.maximum(a, b)


def shift_left(a: Any, b: Any) -> Any:
    bits = 8 * a.dtype.itemsize
    return np.where(b < bits, a << np.minimum(b, bits - 1).astype(a.dtype), 0)


def shift_right(a: Any, b: Any) -> Any:
    bits = 8 * a.dtype.itemsize
    kept = a >> np.minimum(b, bits - 1).astype(a.dtype)
    return kept if a.dtype.kind == "i" else np.where(b < bits, kept, 0)


# What takes its operands in the type of the instruction and gives a result in it. Floats only if ".rn" is written.
SAME: dict[str, Callable[..., Any]] = {
    "mov": lambda a: a,
    "cvta": lambda a: a,
    "add": np.add,
    "sub": np.subtract,
    "div": lambda a, b: a / b if a.dtype.kind == "f" else a // b,
    "rem": np.fmod,
    "sqrt": np.sqrt,
    "neg": np.negative,
    "abs": np.abs,
    "min": smaller,
    "max": larger,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "copysign": lambda a, b: np.copysign(b, a),
}
WHOLE: dict[str, Callable[[Any], Any]] = {"rmi": np.floor, "rpi": np.ceil, "rni": np.rint, "rzi": np.trunc}
BARRIERS = {"bar", "barrier"}
ROUNDED = {"add", "sub", "mul", "div", "sqrt"}


def _registers(operand: str) -> list[str]:
    """The registers of a vector, or the one that is none."""
    return [register.strip() for register in operand.strip("{}").split(",")]


class Grid:
    """One launch.

    Parameters
    ----------
    blocks, threads : int
        Threads a block.
    memory : arrays
        What the kernel may read and, if writable, write.
    """

    def __init__(self, program: Program, blocks: int, threads: int, memory: Sequence[np.ndarray]) -> None:
        self.program, self.threads, self.n = program, threads, blocks * threads
        self.place = np.zeros(self.n, np.int64)
        thread = np.arange(self.n, dtype=np.uint32)
        self.block, self.warp = thread // threads, thread // threads * (-(-threads // WARP)) + thread % threads // WARP
        full = np.ones(self.n, np.uint32)
        self.special = {
            "tid.x": thread % threads,
            "ntid.x": full * threads,
            "ctaid.x": self.block,
            "nctaid.x": full * blocks,
            "laneid": thread % threads % WARP,
            **{
                f"{name}.{axis}": full * (name[0] == "n")
                for name in ("tid", "ctaid", "ntid", "nctaid")
                for axis in "yz"
            },
        }
        self.registers: dict[str, np.ndarray] = {}
        self.parameters: dict[str, Any] = {}
        self.memory = Memory(memory, self.block.astype(np.int64), program.shared_size)
        self.executed = 0  # instructions, of however many threads

    def run(self, arguments: Sequence[Any]) -> None:
        """Run to the end, with these values for the parameters."""
        assert len(arguments) == len(self.program.parameters), "wrong number of arguments"
        for (kind, name), value in zip(self.program.parameters, arguments, strict=True):
            self.parameters[name] = np.array(value).astype(TYPES[kind])
        with np.errstate(all="ignore"):
            while True:
                now = int(self.place.min(initial=DONE))
                if now == DONE:
                    return
                if now >= WAITING:
                    self._release()
                elif now >= HELD:
                    warp, text = self.warp[self.place == now][0], self.program.body[now - HELD].text
                    raise Fault(f"not all threads of warp {warp} take part, in: {text}")
                else:
                    self._go_on(now)

    def _go_on(self, now: int) -> None:
        """Run the threads that are here until one branches or another could join them."""
        active = np.flatnonzero(self.place == now)
        others = self.place[self.place > now]
        until = min(int(others.min(initial=DONE)), len(self.program.body))
        while now < until:
            instruction = self.program.body[now]
            if "sync" in instruction.modifiers and instruction.opcode not in BARRIERS:
                active = self._hold(active, now)
                if not active.size:
                    return
            try:
                jumped = self._execute(instruction, active, now)
            except Fault as fault:
                raise Fault(f"{fault}, in: {instruction.text}") from None
            self.executed += 1
            now += 1
            if jumped:
                return
        self.place[active] = now if now < len(self.program.body) else DONE

    def _hold(self, active: np.ndarray, now: int) -> np.ndarray:
        """The threads whose whole warp is here; the others wait for the rest of theirs."""
        here = np.sort(np.concatenate([active, np.flatnonzero(self.place == HELD + now)]))
        whole = np.bincount(self.warp[here], minlength=int(self.warp.max()) + 1)[self.warp[here]] == WARP
        self.place[here[~whole]] = HELD + now
        return here[whole]

    def _release(self) -> None:
        """Let the threads at a barrier go on: all of a block must have come, except those that have returned."""
        waiting = self.place < DONE
        places = np.unique(self.place[waiting])
        for block in np.unique(self.block[waiting]):
            if len(np.unique(self.place[waiting & (self.block == block)])) > 1:
                raise Fault(f"threads of block {block} wait at different barriers: {places - WAITING}")
        self.memory.pass_barrier(np.flatnonzero(waiting))
        self.place[waiting] -= WAITING

    def _execute(self, instruction: Instruction, active: np.ndarray, now: int) -> bool:
        """Run one instruction; whether threads may now be at different places."""
        if instruction.guard:
            holds = self._register(instruction.guard)[active] != instruction.negated
            stay, active = active[~holds], active[holds]
        else:
            stay = active[:0]
        if instruction.opcode == "bra":
            self.place[stay] = now + 1
            self.place[active] = self.program.labels[instruction.operands[0]]
            return True
        if instruction.opcode in ("ret", "exit"):
            self.place[stay] = now + 1
            self.place[active] = DONE
            return True
        if instruction.opcode in BARRIERS:
            self.place[stay] = now + 1
            self.place[active] = WAITING + now + 1
            return True
        if active.size:
            getattr(self, f"_do_{instruction.opcode}", self._do_other)(instruction, active)
        return False

    # Operands

    def _register(self, name: str) -> np.ndarray:
        if name not in self.registers:
            prefix = max((p for p in self.program.registers if name.startswith(p)), key=len)
            kind = self.program.registers[prefix]
            junk = np.full(self.n * kind.itemsize, 0xA5, np.uint8)  # as a register has before it is written
            self.registers[name] = junk != 0 if kind.kind == "b" else junk.view(kind)
        return self.registers[name]

    def _read(self, operand: str, kind: np.dtype[Any], active: np.ndarray) -> np.ndarray:
        if operand.startswith("%"):
            name = operand[1:]
            if name in self.special:
                return self.special[name][active].astype(kind)
            value = self._register(name)[active]
            return value.view(kind) if value.itemsize == kind.itemsize else value.astype(kind)
        if operand in self.program.shared:
            return np.full(active.size, self.program.shared[operand], kind)
        if match := re.fullmatch(r"0[fd]([0-9A-Fa-f]+)", operand):
            bits = np.array(int(match[1], 16), np.dtype(f"u{kind.itemsize}"))
            return np.full(active.size, bits.view(kind))
        value = int(operand.rstrip("U"), 0) % 2 ** (8 * kind.itemsize)
        return np.full(active.size, np.array(value, np.dtype(f"u{kind.itemsize}")).view(kind))

    def _write(self, operand: str, value: np.ndarray, active: np.ndarray) -> None:
        if operand == "_":  # what is not wanted
            return
        register = self._register(operand.removeprefix("%"))
        if register.dtype != bool:
            wide = value.astype(f"{value.dtype.kind}{register.itemsize}") if value.dtype.kind in "iu" else value
            value = wide.view(register.dtype)  # a signed number keeps its sign in a wider register
        register[active] = value

    # Memory

    def _address(self, operand: str, active: np.ndarray) -> np.ndarray:
        match = re.fullmatch(r"\[([%$\w]+)(?:\s*\+\s*(-?\d+))?\]", operand)
        assert match, operand
        return self._read(match[1], TYPES["u64"], active) + np.array(int(match[2] or 0), np.int64).view(np.uint64)

    @staticmethod
    def _space(instruction: Instruction) -> str:
        return SHARED if SHARED in instruction.modifiers else GLOBAL

    def _do_ld(self, instruction: Instruction, active: np.ndarray) -> None:
        target, source = instruction.operands
        kind, registers = instruction.type, _registers(target)
        if "param" in instruction.modifiers:
            value = np.frombuffer(self.parameters[source.strip("[]")].tobytes(), kind, 1)
            self._write(target, np.repeat(value, active.size), active)
            return
        size = len(registers) * kind.itemsize
        values = self.memory.load(self._space(instruction), self._address(source, active), size, active).view(kind)
        for register, value in zip(registers, values.T, strict=True):
            self._write(register, value.copy(), active)

    def _do_st(self, instruction: Instruction, active: np.ndarray) -> None:
        target, source = instruction.operands
        values = np.stack([self._read(r, instruction.type, active) for r in _registers(source)], axis=1)
        self.memory.store(self._space(instruction), self._address(target, active), values.view(np.uint8), active)

    # Computing

    def _do_other(self, instruction: Instruction, active: np.ndarray) -> None:
        function = SAME.get(instruction.opcode)
        if function is None:
            raise Fault(f"unknown instruction {instruction.opcode}")
        kind = instruction.type
        self._require_rounding(instruction)
        target, *sources = instruction.operands
        self._write(target, function(*(self._read(s, kind, active) for s in sources)).astype(kind, copy=False), active)

    @staticmethod
    def _require_rounding(instruction: Instruction) -> None:
        if instruction.opcode in ROUNDED and instruction.type.kind == "f" and instruction.modifiers[:-1] != ["rn"]:
            raise Fault("not rounded to nearest, or free to be contracted")

    def _do_mov(self, instruction: Instruction, active: np.ndarray) -> None:
        """A plain one, or one that puts two registers together or takes them apart."""
        target, source = instruction.operands
        if "{" not in target + source:
            self._do_other(instruction, active)
            return
        halves = np.dtype(f"u{instruction.type.itemsize // 2}")
        if target.startswith("{"):
            parts = self._read(source, instruction.type, active).view(halves).reshape(-1, 2)
            for register, part in zip(_registers(target), parts.T, strict=True):
                self._write(register, part.copy(), active)
        else:
            parts = np.stack([self._read(register, halves, active) for register in _registers(source)], axis=1)
            self._write(target, parts.view(instruction.type).reshape(-1), active)

    def _do_mul(self, instruction: Instruction, active: np.ndarray) -> None:
        self._require_rounding(instruction)
        kind, target = instruction.type, instruction.operands[0]
        a, b = (self._read(s, kind, active) for s in instruction.operands[1:3])
        self._write(target, self._product(instruction, a, b), active)

    @staticmethod
    def _product(instruction: Instruction, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if "wide" in instruction.modifiers:
            wide = np.dtype(f"{a.dtype.kind}{2 * a.itemsize}")
            return a.astype(wide) * b.astype(wide)
        if "hi" in instruction.modifiers:
            raise Fault("unknown instruction mul.hi")
        return a * b

    def _do_mad(self, instruction: Instruction, active: np.ndarray) -> None:
        kind = instruction.type
        if kind.kind == "f":
            raise Fault("contracted")
        target, first, second, third = instruction.operands
        product = self._product(instruction, self._read(first, kind, active), self._read(second, kind, active))
        self._write(target, product + self._read(third, product.dtype, active), active)

    def _do_shl(self, instruction: Instruction, active: np.ndarray) -> None:
        self._shift(shift_left, instruction, active)

    def _do_shr(self, instruction: Instruction, active: np.ndarray) -> None:
        self._shift(shift_right, instruction, active)

    def _shift(self, shift: Callable[[Any, Any], Any], instruction: Instruction, active: np.ndarray) -> None:
        kind = instruction.type
        target, source, amount = instruction.operands
        shifted = shift(self._read(source, kind, active), self._read(amount, TYPES["u32"], active))
        self._write(target, shifted.astype(kind), active)

    def _do_setp(self, instruction: Instruction, active: np.ndarray) -> None:
        kind = instruction.type
        target, a, b = instruction.operands
        holds = compare(instruction.modifiers[0], self._read(a, kind, active), self._read(b, kind, active))
        self._write(target, holds, active)

    def _do_selp(self, instruction: Instruction, active: np.ndarray) -> None:
        target, a, b, predicate = instruction.operands
        kind = instruction.type
        chosen = self._read(predicate, TYPES["pred"], active)
        self._write(target, np.where(chosen, self._read(a, kind, active), self._read(b, kind, active)), active)

    def _do_bfi(self, instruction: Instruction, active: np.ndarray) -> None:
        kind = instruction.type
        target, source, into, first, count = instruction.operands
        mask = np.array(((1 << int(count)) - 1) << int(first), kind)
        field = self._read(source, kind, active) << np.array(int(first), kind)
        self._write(target, (self._read(into, kind, active) & ~mask) | (field & mask), active)

    def _do_bfe(self, instruction: Instruction, active: np.ndarray) -> None:
        kind = instruction.type
        if kind.kind != "u":
            raise Fault("unknown instruction")
        target, source, first, count = instruction.operands
        mask = np.array((1 << int(count)) - 1, kind)
        self._write(target, (self._read(source, kind, active) >> np.array(int(first), kind)) & mask, active)

    def _do_cvt(self, instruction: Instruction, active: np.ndarray) -> None:
        to, source = (TYPES[m] for m in instruction.modifiers[-2:])
        target, operand = instruction.operands
        value = self._read(operand, source, active)
        narrows = to.kind == "f" and (source.kind != "f" or to.itemsize < source.itemsize)
        whole = next((m for m in instruction.modifiers if m in WHOLE), None)
        to_integer = source.kind == "f" and to.kind != "f"
        if (narrows and "rn" not in instruction.modifiers) or (to_integer and whole != "rzi"):
            raise Fault("unknown conversion")
        if to_integer and not (np.abs(value) < 2.0 ** (8 * to.itemsize - 1)).all():
            raise Fault("conversion of a number that is too large")
        self._write(target, (WHOLE[whole](value) if whole else value).astype(to), active)

    # Warps

    def _require_all(self, members: str, active: np.ndarray) -> None:
        if (self._read(members, TYPES["u32"], active) != ALL).any() or active.size % WARP:
            raise Fault("parts of warps are not known")

    def _do_shfl(self, instruction: Instruction, active: np.ndarray) -> None:
        target, source, lanes, clamp, members = instruction.operands
        self._require_all(members, active)
        how = next(m for m in instruction.modifiers if m in ("bfly", "down", "up", "idx"))
        if (self._read(clamp, TYPES["u32"], active) != (0 if how == "up" else WARP - 1)).any():
            raise Fault("shuffles within parts of warps are not known")
        amount = self._read(lanes, TYPES["u32"], active).astype(np.int64)
        lane = self.special["laneid"][active].astype(np.int64)
        partner = {"bfly": lane ^ amount, "down": lane + amount, "up": lane - amount, "idx": amount}[how]
        inside = (partner >= 0) & (partner < WARP)
        partner = np.where(inside, partner, lane)
        value = self._read(source, TYPES["b32"], active)
        register, *is_inside = target.split("|")
        self._write(register, value[np.arange(active.size) - lane + partner], active)
        for predicate in is_inside:
            self._write(predicate, inside, active)

    def _do_vote(self, instruction: Instruction, active: np.ndarray) -> None:
        if "ballot" not in instruction.modifiers:
            raise Fault("unknown instruction")
        target, source, members = instruction.operands
        self._require_all(members, active)
        bits = self._read(source, TYPES["pred"], active).astype(np.uint32) << self.special["laneid"][active]
        self._write(target, np.repeat(np.bitwise_or.reduce(bits.reshape(-1, WARP), axis=1), WARP), active)

    def _do_popc(self, instruction: Instruction, active: np.ndarray) -> None:
        target, source = instruction.operands
        bits = self._read(source, instruction.type, active)
        self._write(target, np.bitwise_count(bits).astype(np.uint32), active)


def launch(ptx: str, blocks: int, threads: int, arguments: Sequence[Any], memory: Sequence[np.ndarray]) -> Grid:
    """Run a kernel on the CPU: so many blocks of threads, with these parameters, in these arrays."""
    grid = Grid(parse(ptx), blocks, threads, memory)
    grid.run(arguments)
    return grid
