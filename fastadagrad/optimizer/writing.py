"""What goes into an optimizer's file: gathered while nobody steps, and written while others may."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.memory_at_hand import LITTLE, bytes_at_hand
from ..engine.engine import Engine
from ..engine.parameters import Parameters
from ..support import array_file, parted_file
from ..support.asking import asking
from ..support.memory_maps import map_of
from . import checkpoint
from .checkpoint import Arrays
from .history import Ledger
from .saved_files import KIND, OF_UPDATES
from .updates import Updates


@dataclass(frozen=True)
class Writable:
    """The header and the arrays of a file."""

    header: dict[str, Any]
    arrays: Arrays

    def write(self, path: array_file.Target) -> None:
        before = _parts_of(path)
        array_file.write(path, KIND, self.header, self.arrays)
        if before:
            parted_file.clear(os.path.realpath(array_file.name_of(path)), ())


def _parts_of(path: array_file.Target) -> list[str]:
    """The parts of a file that several processes have written, which is about to be replaced."""
    if array_file.is_path(path):
        with asking("path", path), suppress(OSError, ValueError):
            name = os.fspath(path)
            return parted_file.named_in(name) if os.path.isfile(name) else []  # a pipe would wait for its writer
    return []


def gathered(
    engine: Engine, ledger: Ledger, run: Mapping[str, Any] | None, hyper: Mapping[str, Any], updates: Updates
) -> Writable:
    """All that goes into a file; `run` has what an unfinished run and its datasets need to go on."""
    saved = checkpoint.state_of(engine, ledger, run)
    arrays = {f"param/{name}": array for name, array in saved.params.items()}
    for slot, of in saved.slots.items():
        arrays |= {f"{slot}/{name}": array for name, array in of.items()}
    if saved.ledger.best_arrays:
        arrays |= {f"best/{name}": array for name, array in zip(saved.names, saved.ledger.best_arrays, strict=True)}
    if saved.learned:
        arrays["learned"] = np.array(saved.learned)
    arrays |= {f"{OF_UPDATES}/{number}": array for number, array in updates.arrays.items()}
    header = {
        "method": engine.rule.name,
        "names": saved.names,
        "ledger": ledger.header(),
        "run": run,
        "late": saved.late,
        "random": saved.random,
        "displaced": saved.displaced,
        "hyper": hyper,
    }
    return Writable(header, arrays)


def are_copied(contents: Writable, params: Parameters) -> bool:
    """Copy the arrays, if other threads may change them while they are written, and if there is memory for that.

    Memory that is mapped from a file may be far more than there is.
    """
    if threading.active_count() == 1 or any(map_of(array) for array in params.arrays):
        return False
    size = sum(array.nbytes for array in contents.arrays.values())
    if size > LITTLE and size > (bytes_at_hand() or 0) / 2:
        return False
    try:
        copies = {name: array.copy() for name, array in contents.arrays.items()}
    except MemoryError:
        return False
    contents.arrays.update(copies)
    return True
