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

from ..support import array_file, outputs, parted_file
from .agreement import is_agreed
from .engine import ShardedEngine
from .increments import Increments
from .pieces import Pieces

ABSENT = "it is not there after another process has written it: the folder must be one that all processes see"


def write(
    engine: ShardedEngine,
    path: str,
    kind: str,
    header: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    since: Increments | None = None,
) -> Increments | None:
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
    since : Increments, optional
        What has been written to the folder before: of tables, only rows that have changed since are written.

    Returns
    -------
    Increments, optional
        What has been written now; None without `since`.

    Raises
    ------
    OSError
        In all processes, if one of them cannot write; the old file and its parts are left then.
    """
    agreement = engine.agreement
    ident = agreement.of_leader(partial(_ident_for, path))
    own = parted_file.part_of(path, ident, engine.processes.rank)
    try:
        pieces, noted = agreement.everywhere("save", partial(_pieces, engine, arrays, since))
        parts = agreement.by_rank("save", partial(_write_part, own, ident, pieces, noted))
        record = parted_file.record_of([part for part, _ in parts], [part for _, kept in parts for part in kept])
        others = {name: array for name, array in arrays.items() if name not in record["arrays"]}
        complete = partial(_complete, path, kind, {**header, parted_file.RECORD: record}, others)
        agreement.of_leader(complete)
    except BaseException as error:
        if is_agreed(error):  # else the others may go on, and make a whole of the parts
            _discard(own, path)
        raise
    if noted is not None:
        noted.parts.append(parts[engine.processes.rank][0]["part"])
    return noted


def _ident_for(path: str) -> str:
    """What tells the parts from those of other times; OSError or ValueError if the file cannot be written."""
    outputs.check(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"path must be that of a file, beside which each process writes its part, and {path} is none")
    return secrets.token_hex(6)


def _pieces(
    engine: ShardedEngine, arrays: Mapping[str, NDArray[Any]], since: Increments | None
) -> tuple[dict[str, parted_file.Piece], Increments | None]:
    """What this process has to write, and what is to be noted of it."""
    pieces = Pieces(engine).of(arrays)
    if since is None:
        return pieces, None
    names = {engine.params.names[i] for i in engine.shards.tables}
    tables = [key for key, piece in pieces.items() if key.partition("/")[2] in names and piece.shape]
    return since.next(pieces, tables)


def _write_part(
    path: str, ident: str, pieces: Mapping[str, parted_file.Piece], noted: Increments | None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What `parted_file.write_part` returns, and parts of earlier files that are needed, too."""
    return parted_file.write_part(path, ident, pieces), [] if noted is None else list(noted.parts)


def _discard(part: str, path: str) -> None:
    """Delete a part, unless the file that makes a whole of the parts is there, as after an error of the disk."""
    named = []
    with suppress(OSError, ValueError):  # of a file of another kind, which names no parts
        named = parted_file.named_in(path)
    if os.path.basename(part) not in named:
        with suppress(OSError):
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
