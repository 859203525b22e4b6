"""Files that several processes write together, each its own part."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from numpy.typing import NDArray

from ..support import array_file, parted_file
from .engine import ShardedEngine
from .pieces import Pieces

ABSENT = "it is not there after another process has written it: the folder must be one that all processes see"


def write(
    engine: ShardedEngine, path: str, kind: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a file in parts, as `array_file.write` writes one in one part.

    Parameters
    ----------
    engine : ShardedEngine
    path : str
        The same in all processes.
    kind : str
    header : mapping
    arrays : mapping of str to ndarray
        Rows of parameters and slots that this process steps, and arrays that all processes have.

    Raises
    ------
    OSError
        In all processes, if one of them cannot write; the old file and its parts are left then.
    """
    agreement, processes = engine.agreement, engine.processes
    ident = processes.of_leader(secrets.token_hex(6))
    own = parted_file.part_of(path, ident, processes.rank)
    try:
        pieces = Pieces(engine).of(arrays)
        parts = agreement.by_rank("save", partial(parted_file.write_part, own, ident, pieces))
        record = parted_file.record_of(parts)
        others = {name: array for name, array in arrays.items() if name not in record["arrays"]}
        complete = partial(_complete, path, kind, {**header, parted_file.RECORD: record}, others)
        agreement.everywhere("save", complete if processes.leads else _nothing)
    except BaseException:
        _discard(own, path)
        raise


def _nothing() -> None:
    """Do nothing, while process 0 does something."""


def _discard(part: str, path: str) -> None:
    """Delete a part, unless the file that makes a whole of the parts is there, as after an error of the disk."""
    with suppress(OSError, ValueError):
        if not (os.path.exists(path) and os.path.basename(part) in parted_file.named_in(path)):
            os.unlink(part)


def _complete(path: str, kind: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the file that makes a whole of the parts, and delete those of the file that was there."""
    named = [part["name"] for part in header[parted_file.RECORD]["parts"]]
    for name in named:
        part = os.path.join(os.path.dirname(path), name)
        if not os.path.exists(part):
            raise FileNotFoundError(errno.ENOENT, ABSENT, part)
    array_file.write(path, kind, header, arrays)
    parted_file.clear(path, named)
