"""A kernel made ready to run: each instruction as a function, and what kind of step it is."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .fault import Fault
from .instructions import MAKERS
from .operands import Act, Read
from .program import Instruction, Program, parse
from .subset import require_known
from .warps import members, waits_for_warp

PLAIN, BRANCH, RETURN, BARRIER, TOGETHER = range(5)
CONTROL = {"bra": BRANCH, "ret": RETURN, "exit": RETURN, "bar": BARRIER, "barrier": BARRIER}


class Step(NamedTuple):
    """An instruction, ready.

    Attributes
    ----------
    kind : int
        PLAIN or what else threads do: BRANCH, RETURN, BARRIER (of the block), TOGETHER (of the warp).
    act : callable, optional
        What it does to some threads of a grid.
    guard : str, optional
        The predicate without which it does nothing, or with which, if `negated`.
    goal : int
        Where a branch leads.
    uniform : bool
        No warp parts at this branch.
    mask : callable, optional
        Threads of the warp that take part.
    """

    kind: int
    act: Act | None
    guard: str | None
    negated: bool
    text: str
    goal: int = -1
    uniform: bool = False
    mask: Read | None = None


class Code(NamedTuple):
    program: Program
    steps: list[Step]


@lru_cache(maxsize=256)
def compile(ptx: str, kernel: str | None = None, contraction: bool = False) -> Code:
    """A kernel's code.

    Raises
    ------
    Fault
        An instruction is not in the subset, or does not fit its operands; the message has its text.
    """
    program = parse(ptx, kernel)
    steps = []
    for instruction in program.body:
        try:
            require_known(instruction, contraction)
            steps.append(_step(instruction, program))
        except Fault as fault:
            raise Fault(f"{fault}, in: {instruction.text}") from None
    return Code(program, steps)


def _step(instruction: Instruction, program: Program) -> Step:
    if instruction.guard:
        program.register(instruction.guard)
    kind = None if waits_for_warp(instruction) else CONTROL.get(instruction.opcode)
    guard, negated, text = instruction.guard, instruction.negated, instruction.text
    if kind is None:
        act = MAKERS[instruction.opcode](instruction, program)
        if waits_for_warp(instruction):
            return Step(TOGETHER, act, guard, negated, text, mask=members(instruction, program))
        return Step(PLAIN, act, guard, negated, text)
    if kind == BRANCH:
        label = instruction.operands[0]
        if label not in program.labels:
            raise Fault(f"there is no label {label}")
        return Step(BRANCH, None, guard, negated, text, program.labels[label], "uni" in instruction.modifiers)
    if kind == BARRIER and not (instruction.operands[0].isdecimal() and int(instruction.operands[0]) < 16):
        raise Fault("barriers are numbered 0 to 15")
    return Step(kind, None, guard, negated, text)
