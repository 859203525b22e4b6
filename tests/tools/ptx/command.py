"""The command line: run a kernel of a file on arrays of .npy files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .fault import Fault
from .junk import junk
from .kernel import Kernel, differing, load
from .program import TYPES, kernels
from .subset import FORMS, SETS

DESCRIPTION = "Run a kernel of PTX on the CPU, and refuse what a GPU would not do, or not always do alike."
ARGUMENT = (
    "an argument, in the order of the kernel's parameters: a .npy file; DTYPE:N, such as float32:1000, for a new array "
    "that holds junk; or a number"
)


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    made = argparse.ArgumentParser(prog="ptx", description=DESCRIPTION)
    made.add_argument("file", type=Path, nargs="?", help="PTX text; without, print the instructions that are known")
    made.add_argument("--kernel", metavar="NAME", help="by default the only one; without --grid, list them")
    made.add_argument("--grid", type=_sizes, metavar="N[,N[,N]]", help="blocks of the grid")
    made.add_argument("--block", type=_sizes, metavar="N[,N[,N]]", help="threads of a block")
    made.add_argument("--arg", dest="args", action="append", default=[], metavar="VALUE", help=ARGUMENT)
    made.add_argument(
        "--save", action="append", default=[], metavar="I=FILE", help="write argument I, from 0, to FILE.npy afterwards"
    )
    made.add_argument("--shared", type=int, default=0, metavar="BYTES", help="shared memory beside the kernel's own")
    made.add_argument("--seed", type=int, default=0, help="of junk and of the order of threads (default: %(default)s)")
    made.add_argument("--seeds", type=int, default=1, metavar="K", help="run K times, by K seeds, and compare the bits")
    made.add_argument("--contraction", action="store_true", help="permit fma.rn")
    made.add_argument("--no-races", action="store_true", help="do not look for races")
    return made


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def subset() -> list[tuple[str, str, str]]:
    """The table of instructions as the page of the documents has it."""
    return [(f"`{form.name}`", f"`{form.operands}`" if form.operands else "", form.note) for form in FORMS]


def sets() -> list[tuple[str, str]]:
    """What the names in the table stand for."""
    return [(f"`{name}`", " ".join(f"`{member}`" for member in members)) for name, members in SETS.items()]


def _print_subset() -> None:
    for head, rows in ((("instruction", "operands", "note"), subset()), (("name", "stands for"), sets())):
        for row in (head, ("---",) * len(head), *rows):
            print("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
        print()


def _argument(text: str, kind: str, seed: int) -> Any:
    """An array or a number, as the type of the parameter wants it."""
    if text.endswith(".npy"):
        return np.ascontiguousarray(np.load(text, allow_pickle=False))
    dtype, colon, count = text.partition(":")
    if colon:
        return junk(int(count), np.dtype(dtype), seed)
    try:
        return float(text) if TYPES[kind].kind == "f" else int(text, 0)
    except ValueError:
        raise ValueError(f"--arg {text} is no {kind}, no .npy file and no DTYPE:N: give one of these") from None


def _places(saves: Sequence[str], arguments: Sequence[Any]) -> dict[int, str]:
    """Files by the positions of the arrays that are written to them."""
    found = {}
    for save in saves:
        position, equals, path = save.partition("=")
        inside = position.isdecimal() and int(position) < len(arguments)
        if not (equals and path.endswith(".npy") and inside and isinstance(arguments[int(position)], np.ndarray)):
            raise ValueError(f"--save {save} is not I=FILE.npy, where I is the number of an array, from 0")
        found[int(position)] = path
    return found


def _run(given: argparse.Namespace, kernel: Kernel) -> int:
    if len(given.args) != len(kernel.parameters):
        raise ValueError(f"{kernel!r} takes {len(kernel.parameters)} arguments, and not {len(given.args)}: --arg each")
    pairs = list(zip(given.args, kernel.parameters, strict=True))
    arguments = [_argument(text, kind, given.seed + i) for i, (text, (kind, _)) in enumerate(pairs)]
    places = _places(given.save, arguments)
    how = {"races": not given.no_races, "shared": given.shared}
    if given.seeds > 1:
        new = [i for i, text in enumerate(given.args) if ":" in text]
        seeds = range(given.seed, given.seed + given.seeds)
        wrong = differing(
            lambda *values, seed: kernel(given.grid, given.block, *values, seed=seed, **how), arguments, seeds, new
        )
        for i in wrong:
            print(f"argument {i}, {kernel.parameters[i][1]}, has other bits with another seed", file=sys.stderr)
        if wrong:
            return 1
    grid = kernel(given.grid, given.block, *arguments, seed=given.seed, **how)
    for i, path in places.items():
        np.save(path, arguments[i], allow_pickle=False)
    told = f"seed {given.seed}" if given.seeds < 2 else f"seeds {given.seed} to {given.seed + given.seeds - 1}"
    print(f"{kernel.name}: {grid.n} threads, {grid.executed} steps, {told}")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; 0 if all went well, 1 for a fault of the kernel, 2 for one of the command line."""
    made = parser()
    given = made.parse_args(words)
    if given.file is None:
        _print_subset()
        return 0
    try:
        if given.grid is None and given.block is None:
            text = given.file.read_text(encoding="utf-8")
            for name in [given.kernel] if given.kernel else kernels(text):
                print(load(text, name, given.contraction))
            return 0
        if given.grid is None or given.block is None:
            made.error("--grid and --block go together")
        return _run(given, load(given.file, given.kernel, given.contraction))
    except Fault as fault:
        print(f"fault: {fault}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
