"""The journal of a comparison: a line for each finished run, which is on the disk before the next run is waited for."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ..support import strict_json
from ..support.contents import DAMAGE
from ..support.outputs import keep_names_in, naming
from .grid import Cell
from .running import Run

LOST = b"\0"  # what a disk has where it has lost what was written; no line has it


class Journal:
    """A file of finished runs, a line each.

    If the last line was cut off, or a line has lost some of its bytes, it is dropped, and its run is made again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._size = 0  # bytes of the lines that are on the disk
        self._is_whole = True  # whether the file ends after them

    def read(self) -> dict[Cell, Run]:
        """All runs, by their cells; of one that was made more than once, the last.

        Raises
        ------
        ValueError
            If a line is none that `append` wrote.
        OSError
            If the file cannot be read.
        """
        with naming(self._path):
            content = self._content()
        lines = content.split(b"\n")[:-1]  # after the last end of a line is nothing, or a line that was cut off
        runs = [self._parsed(number, line) for number, line in enumerate(lines, 1)]
        return {run.cell: run for run in runs if run is not None}

    def _content(self) -> bytes:
        try:
            with open(self._path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def _parsed(self, number: int, line: bytes) -> Run | None:
        """The run of a line, or of what follows the bytes that a disk has lost; None if that is no whole line."""
        rest = line.rpartition(LOST)[2]
        try:
            return _run_of(json.loads(rest))
        except DAMAGE as error:
            if len(rest) < len(line):
                return None
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"{self._path}, line {number} is damaged ({what}): delete that line") from None

    def append(self, run: Run) -> None:
        """Add a line, and wait until it is on the disk.

        Raises
        ------
        OSError
            If it cannot be written; the file is cut off after the line before it, now or by the next call.
        """
        entry = {**vars(run), "cell": run.cell._asdict()}
        line = f"{strict_json.dumps(entry)}\n".encode()
        with naming(self._path):
            if self._file is None:
                self._open()
            assert self._file is not None
            if not self._is_whole:
                self._cut_off(self._file)
            self._is_whole = False
            try:
                _write(self._file, line)
            except OSError:
                with suppress(OSError):
                    self._cut_off(self._file)
                raise
            self._size += len(line)
            self._is_whole = True

    def _open(self) -> None:
        """Open the file behind its last whole line, once all that it has, and its name, is on the disk."""
        content = self._content()
        file: IO[bytes] = open(self._path, "ab", buffering=0)  # noqa: SIM115  closed by close
        try:
            self._size = content.rfind(b"\n") + 1
            self._cut_off(file)
            keep_names_in(os.path.dirname(self._path), self._path)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _cut_off(self, file: IO[bytes]) -> None:
        file.truncate(self._size)
        os.fsync(file.fileno())
        self._is_whole = True

    def close(self) -> None:
        """Close the file, after the last run."""
        if self._file is not None:
            file, self._file = self._file, None
            with naming(self._path):
                file.close()


def _write(file: IO[bytes], line: bytes) -> None:
    """Write to an unbuffered file, which may take only some of the line at a time, and wait for the disk."""
    left = memoryview(line)
    while left:
        left = left[file.write(left) :]
    os.fsync(file.fileno())


def _run_of(found: Any) -> Run:
    """The run that a line has, as JSON."""

    def losses(values: Any) -> tuple[float, ...]:
        return tuple(math.inf if x is None else float(x) for x in values)

    cell = Cell(**found["cell"])
    kinds = (str, str, str, int, int | float | None, int)
    fields = *zip(cell, kinds, strict=True), (found["steps_an_epoch"], int)
    if not all(isinstance(value, kind) for value, kind in fields):
        raise TypeError("fields of another type")
    lists = (losses(found["valid"]), losses(found["train"]), tuple(map(float, found["seconds"])))
    scores = tuple(-math.inf if x is None else float(x) for x in found.get("scores", ()))
    if any(len(values) != cell.epochs + 1 for values in (*lists, *([scores] if scores else []))):
        raise ValueError("lists of a wrong length")
    return Run(cell, found["steps_an_epoch"], *lists, scores, str(found.get("failed", "")))
