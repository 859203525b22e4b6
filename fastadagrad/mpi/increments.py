"""Files that hold only those rows of tables that have changed since the file before."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.parted_file import Piece

Digests = NDArray[np.uint64]
MOST_PARTS = 16  # of one process in a file; then one is written that has all rows

_AT_A_TIME = 1 << 14  # rows, the digests of which stay in the cache
_START, _FACTOR = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xD6E8FEB86659FD93),
)  # constants of a multiplicative hash of 64 bits
_HALF = np.uint64(32)


def digests_of(rows: NDArray[Any]) -> Digests:
    """A number of 64 bits for each row of an array, by which two rows that differ are told apart.

    That two such rows have one number happens once in 2**64 times.

    >>> import numpy as np
    >>> first, second, third = digests_of(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))
    >>> bool(first == third), bool(first == second)
    (True, False)
    """
    flat = np.ascontiguousarray(rows).reshape(len(rows), math.prod(rows.shape[1:]))
    size = flat.shape[1] * flat.itemsize
    words = flat.view(np.uint8 if size % 4 else np.uint32 if size % 8 else np.uint64)
    found = np.full(len(rows), _START)
    for begin in range(0, len(rows), _AT_A_TIME):
        digests = found[begin : begin + _AT_A_TIME]
        for column in words[begin : begin + _AT_A_TIME].T:
            digests ^= column
            digests *= _FACTOR
            digests ^= digests >> _HALF
    return found


@dataclass
class Increments:
    """What this process has written to the files of a folder, from which the next file may go on.

    Attributes
    ----------
    folder : str
    digests : dict of str to ndarray
        Of the rows of tables, as they are in the latest file.
    parts : list of dict
        What that file says of the parts that this process has written.
    listed : int
        Bytes of rows that are in these parts one by one.
    """

    folder: str
    digests: dict[str, Digests] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    listed: int = 0

    def next(self, pieces: Mapping[str, Piece], tables: Collection[str]) -> tuple[dict[str, Piece], Increments]:
        """The pieces that the next file needs beside the parts that are there, and what to note once it is written.

        Parameters
        ----------
        pieces : mapping of str to Piece
            All that this process has.
        tables : collection of str
            Those of them of which few rows may have changed.
        """
        digests = {name: digests_of(pieces[name].array) for name in tables if name in pieces}
        whole = sum(piece.array.nbytes for piece in pieces.values())
        found = {
            name: self._changed(piece, self.digests.get(name), digests.get(name)) for name, piece in pieces.items()
        }
        listed = self.listed + sum(piece.array.nbytes for piece in found.values() if piece.numbers is not None)
        there = all(os.path.exists(os.path.join(self.folder, part["name"])) for part in self.parts)
        if not there or 2 * listed > whole or len(self.parts) == MOST_PARTS:
            return dict(pieces), Increments(self.folder, digests)
        still = {name for name, piece in found.items() if piece.numbers is not None}
        kept = [_with_arrays(part, still) for part in self.parts]
        return found, Increments(self.folder, digests, [part for part in kept if part["rows"]], listed)

    @staticmethod
    def _changed(piece: Piece, before: Digests | None, now: Digests | None) -> Piece:
        """The rows of a piece that have changed, if it is known which, or all of it."""
        if before is None or now is None or len(before) != len(now):
            return piece
        numbers = np.flatnonzero(before != now)
        start = piece.start + (int(numbers[0]) if numbers.size else 0)
        return Piece(piece.array[numbers], start, piece.shape, numbers + piece.start)


def _with_arrays(part: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """What a file says of a part, as far as these arrays are concerned."""
    return {
        **part,
        "rows": {name: rows for name, rows in part["rows"].items() if name in names},
        "listed": {name: numbers for name, numbers in part["listed"].items() if name in names},
    }
