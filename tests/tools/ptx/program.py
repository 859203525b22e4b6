"""PTX taken apart: the parameters, registers, variables and instructions of a kernel."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from .fault import Fault

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
NAME = r"[A-Za-z_$%][\w$]*"
NO_MORE = r"(?![\w$])"  # of the name
BLOCK = re.compile(r"(^\s*\{\n.*?^\s*\}$)", re.MULTILINE | re.DOTALL)  # within a kernel: its labels are its own
VARIABLE = rf"\.{{}}\s+(?:\.align\s+(\d+)\s+)?\.[a-z](\d+)\s+({NAME})\s*(\[\s*\d*\s*\])?\s*"
PARAMETER = (
    r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+(?:\.ptr\b(?:\s+\.(?:global|shared|const|local))?(?:\s+\.align\s+\d+)?"
    rf"\s+)?({NAME})"
)


@dataclass
class Instruction:
    """One instruction, its name cut at the dots."""

    text: str
    guard: str | None  # register of a predicate
    negated: bool
    opcode: str
    modifiers: list[str]
    operands: list[str]

    @property
    def name(self) -> str:
        return ".".join([self.opcode, *self.modifiers])

    @property
    def type(self) -> np.dtype[Any]:
        return TYPES[self.modifiers[-1]]


@dataclass
class Program:
    """A parsed kernel."""

    name: str
    parameters: list[tuple[str, str]]  # type, name
    registers: dict[str, np.dtype[Any]] = field(default_factory=dict)  # as many bits as each has
    shared: dict[str, int] = field(default_factory=dict)  # offset of each variable
    shared_size: int = 0
    local: dict[str, int] = field(default_factory=dict)
    local_size: int = 0
    most_threads: int | None = None  # a block
    exact_threads: int | None = None
    body: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    _ranges: dict[str, tuple[np.dtype[Any], int]] = field(default_factory=dict)

    def declare(self, kind: str, name: str) -> None:
        """Note a register, `%r`, or several, `%r<9>`."""
        if kind not in TYPES:
            raise Fault(f"registers of type {kind} are not known: {name}")
        dtype = TYPES[kind]
        stored = dtype if dtype.kind == "b" else np.dtype(f"u{dtype.itemsize}")
        name, _, count = name.lstrip("%").partition("<")
        if self.registers.setdefault(name, stored) != stored and not count:
            raise Fault(f"the register {name} is declared twice, with different types")
        if count:
            del self.registers[name]
            self._ranges[name] = stored, int(count.rstrip(">"))

    def register(self, name: str) -> np.dtype[Any]:
        """The type of a register, without its sign of percent, in which its bits are kept."""
        if name in self.registers:
            return self.registers[name]
        stored, count = self._ranges.get(name.rstrip("0123456789"), (None, 0))
        number = name[len(name.rstrip("0123456789")) :]
        if stored is None or not number or int(number) >= count:
            raise Fault(f"there is no register %{name}")
        return stored


def kernels(ptx: str) -> list[str]:
    """The names of the kernels of a module."""
    return [match[1] for match in re.finditer(r"\.entry\s+([^\s({]+)", _without_comments(ptx))]


@lru_cache(maxsize=256)
def parse(ptx: str, kernel: str | None = None) -> Program:
    """A kernel of a module: the one that has this name, or the only one.

    Raises
    ------
    Fault
        The text is not one that the interpreter can read.
    ValueError
        There is no such kernel, or no name is given and there are several.
    """
    ptx = _without_comments(ptx)
    found = {match[1]: match for match in re.finditer(r"\.entry\s+([^\s({]+)\s*(?:\(([^)]*)\))?([^{;]*)\{", ptx)}
    for name in found:
        if not re.fullmatch(NAME, name, re.ASCII):
            raise Fault(f"the kernel {name!r} has a name that is no identifier of PTX, which is ASCII")
    for number, line in enumerate(ptx.splitlines(), 1):
        if not line.isascii():
            raise Fault(f"line {number} is not ASCII, as PTX is: {line.strip()}")
    if (kernel is None and len(found) != 1) or (kernel is not None and kernel not in found):
        wanted = "no kernel is named, and the module does not have one alone" if kernel is None else f"no {kernel!r}"
        raise ValueError(f"kernel: {wanted}: it has {', '.join(found) or 'none'}; give one of these names")
    match = found[kernel or next(iter(found))]
    program = Program(match[1], [_parameter(text) for text in (match[2] or "").split(",") if text.strip()])
    for what, sizes in re.findall(r"\.(maxntid|reqntid)\s+([\d,\s]+)", match[3]):
        size = int(np.prod([int(n) for n in sizes.split(",")]))
        setattr(program, "most_threads" if what == "maxntid" else "exact_threads", size)
    body = _body(ptx, match.end())
    _place_variables(program, ptx, body)
    _read_body(program, body)
    return program


def _without_comments(ptx: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), ptx, flags=re.DOTALL)


def _parameter(text: str) -> tuple[str, str]:
    match = re.fullmatch(PARAMETER, text.strip())
    if not match or match[1] not in TYPES:
        raise Fault(f"only parameters that are single numbers are known, and not: {text.strip()}")
    return match[1], match[2]


def _body(ptx: str, start: int) -> str:
    """From behind a brace to the one that closes it."""
    depth = 1
    for match in re.compile(r"[{}]").finditer(ptx, start):
        depth += 1 if match[0] == "{" else -1
        if not depth:
            return ptx[start : match.start()]
    raise Fault("the kernel's last brace is missing")


def _place_variables(program: Program, ptx: str, body: str) -> None:
    """Note where variables lie: shared ones of the module, and those of a thread."""
    external = []
    for match in re.finditer(rf"(\.extern\s+)?{VARIABLE.format('shared')};", ptx):
        outside, align, bits, name, count = match.groups()
        if outside:
            external.append((name, int(align or 16)))
            continue
        start = -(-program.shared_size // int(align or 16)) * int(align or 16)
        program.shared[name], program.shared_size = start, start + _bytes(bits, count)
    for name, align in external:  # begin behind all others, as many bytes as the launch says
        program.shared_size = -(-program.shared_size // align) * align
        program.shared[name] = program.shared_size
    for align, bits, name, count in re.findall(rf"{VARIABLE.format('local')};", body):
        start = -(-program.local_size // int(align or 16)) * int(align or 16)
        program.local[name], program.local_size = start, start + _bytes(bits, count)


def _bytes(bits: str, count: str | None) -> int:
    return int(bits) // 8 * int((count or "[1]").strip("[ ]"))


def _read_body(program: Program, body: str) -> None:
    body = re.sub(r"\.loc\b[^\n]*", "", body)
    own: set[str] = set()  # registers of a block that have no sign of percent
    for names in re.findall(r"\.reg\s+\.\w+\s+([^;]*);", body):
        own |= {name.strip() for name in names.split(",")} - set(re.findall(r"%[\w$<>]+", names))
    for name in own:
        stem, several, _ = name.partition("<")
        body = re.sub(rf"(?<![\w%.$]){re.escape(stem)}{'(?=[<0-9])' if several else NO_MORE}", f"%{stem}", body)
    body = "".join(_own_labels(part, number) for number, part in enumerate(BLOCK.split(body)))
    for statement in body.split(";"):
        _read_statement(" ".join(statement.split()), program)


def _own_labels(part: str, number: int) -> str:
    """A block with labels that no other has; what is between blocks as it is."""
    for label in re.findall(rf"^\s*({NAME})\s*:(?!:)", part, re.MULTILINE) if BLOCK.fullmatch(part) else ():
        part = re.sub(rf"(?<![\w$%]){re.escape(label)}{NO_MORE}", f"{label}_of_block_{number}", part)
    return part


def _read_statement(text: str, program: Program) -> None:
    while match := re.match(rf"(?:({NAME})\s*:(?!:)|[{{}}])\s*", text):
        if match[1]:
            program.labels[match[1]] = len(program.body)
        text = text[match.end() :]
    if match := re.fullmatch(r"\.reg \.(\w+) (.*)", text):
        for name in match[2].split(","):
            program.declare(match[1], name.strip())
    elif text.startswith((".local ", ".shared ", ".pragma ", ".extern ")):
        pass  # looked for before, or advice
    elif text:
        match = re.fullmatch(rf"(?:@\s*(!?)\s*({NAME})\s+)?([\w.:]+)\s*(.*)", text)
        if not match:
            raise Fault(f"cannot read {text!r}")
        opcode, *modifiers = match[3].split(".")
        guard = match[2].lstrip("%") if match[2] else None
        program.body.append(Instruction(f"{text};", guard, match[1] == "!", opcode, modifiers, _split(match[4])))


def _split(operands: str) -> list[str]:
    """Operands, those in braces or brackets kept together."""
    return [part.strip() for part in re.findall(r"(?:\{[^}]*\}|\[[^\]]*\]|[^,{\[])+", operands) if part.strip()]
