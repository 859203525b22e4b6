"""PTX taken apart: the parameters, registers, shared variables and instructions of a kernel."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KINDS = {"s": "i", "u": "u", "b": "u", "f": "f"}  # of PTX and of NumPy
TYPES = {
    "pred": np.dtype(bool),
    **{
        f"{kind}{bits}": np.dtype(f"{KINDS[kind]}{bits // 8}")
        for kind in KINDS
        for bits in (8, 16, 32, 64)
        if kind + str(bits) != "f8"
    },
}


@dataclass
class Instruction:
    text: str
    guard: str | None  # register of a predicate
    negated: bool
    opcode: str
    modifiers: list[str]
    operands: list[str]

    @property
    def type(self) -> np.dtype[Any]:
        return TYPES[self.modifiers[-1]]


@dataclass
class Program:
    """A parsed kernel."""

    name: str
    parameters: list[tuple[str, str]]  # type, name
    registers: dict[str, np.dtype[Any]]  # by prefix: as many bits as a register of it has
    shared: dict[str, int] = field(default_factory=dict)  # offset of each variable
    shared_size: int = 0
    body: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)


_BLOCK = re.compile(r"(^\s*\{\n.*?^\s*\}$)", re.MULTILINE | re.DOTALL)  # within a kernel: its labels are its own


def _own_labels(part: str, number: int) -> str:
    """A block with labels that no other has; what is between blocks as it is."""
    for label in re.findall(r"^(\w+):", part, re.MULTILINE) if _BLOCK.fullmatch(part) else ():
        part = re.sub(rf"\b{label}\b", f"{label}_of_block_{number}", part)
    return part


def _split(operands: str) -> list[str]:
    """Operands, those in braces or brackets kept together."""
    return [part.strip() for part in re.findall(r"(?:\{[^}]*\}|\[[^\]]*\]|[^,{\[])+", operands) if part.strip()]


def parse(ptx: str) -> Program:
    """The one kernel of a PTX module."""
    ptx = re.sub(r"//[^\n]*|/\*.*?\*/", "", ptx, flags=re.DOTALL)
    match = re.search(r"\.visible \.entry (\w+)\((.*?)\)\s*(?:\.\w+[^{\n]*\s*)*\{(.*)\}", ptx, re.DOTALL)
    assert match, "no kernel"
    name, head, body = match.groups()
    for local, several in set(re.findall(r"\.reg \.\w+\s+([a-z]\w*)(<\d+>)?\s*;", body)):  # without a percent sign
        end = r"(?=[<\d])" if several else r"\b"
        body = re.sub(rf"(?<![\w%.]){local}{end}", f"%{local}", body)
    body = "".join(_own_labels(part, number) for number, part in enumerate(_BLOCK.split(body)))
    program = Program(name, re.findall(r"\.param \.(\w+) (\w+)", head), {})
    for line in re.findall(r"\.shared [^;]*;", ptx):
        align, bits, variable, count = re.fullmatch(
            r"\.shared (?:\.align (\d+) )?\.\w(\d+) (\w+)(?:\[(\d+)\])?;", line
        ).groups()  # type: ignore[union-attr]  # another form is not known, and fails here
        start = -(-program.shared_size // int(align or 16)) * int(align or 16)
        program.shared[variable] = start
        program.shared_size = start + int(bits) // 8 * int(count or 1)
    for line in re.split(r"[;\n]", re.sub(r"\.shared [^;]*;", "", body)):
        _parse_line(line.strip(), program)
    return program


def _parse_line(line: str, program: Program) -> None:
    while match := re.match(r"(\$?\w+):\s*", line):
        program.labels[match[1]] = len(program.body)
        line = line[match.end() :]
    if match := re.fullmatch(r"\{?\s*\.reg \.(\w+)\s+%(\w+)(?:<\d+>)?", line):
        kind = TYPES[match[1]]
        program.registers[match[2]] = kind if kind.kind == "b" else np.dtype(f"u{kind.itemsize}")
    elif line and not line.startswith((".", "{", "}")):
        match = re.fullmatch(r"(?:@(!?)%(\w+)\s+)?([\w.:]+)\s*(.*)", line)
        assert match, f"cannot read {line!r}"
        opcode, *modifiers = match[3].split(".")
        program.body.append(Instruction(line, match[2], match[1] == "!", opcode, modifiers, _split(match[4])))
