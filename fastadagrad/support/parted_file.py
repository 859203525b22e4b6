"""One file of named arrays in parts, each written by a process of its own, which need not have any array whole.

A part, ``model.npz.0123456789ab.3``, is an `array_file` with rows of the arrays. The file itself, ``model.npz``, says
in its header which parts there are, and which rows each of them has. It is written when all parts are on the disk, so
that a crash at any moment leaves the old file, with all its parts, or the new one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import array_file, outputs
from .array_file import Damaged

KIND = "part"
RECORD = "parts"  # what the header of a file calls the record of its parts
SUFFIX = r"\.[0-9a-f]{12}\.[0-9]+"  # a pattern of what the name of a part has behind that of the file
_NAME = re.compile(rf"[^/\\]+{SUFFIX}")

Shape = tuple[int, ...]
Wanted = Callable[[str, Shape], tuple[int, int] | None]  # the rows of an array that are wanted; None: it does not fit


class Piece(NamedTuple):
    """Rows of an array that this process has.

    Attributes
    ----------
    array : ndarray
        The rows; all of an array without dimensions.
    start : int
        The number of the first row.
    shape : tuple of int
        The shape of the whole array.
    numbers : ndarray of int64, optional
        The numbers of the rows, if they are some of those of the process; other parts have all of them.
    """

    array: NDArray[Any]
    start: int
    shape: Shape
    numbers: NDArray[np.int64] | None = None


def part_of(path: str, ident: str, number: int) -> str:
    """The path of a part; `ident`, of 12 hexadecimal digits, tells the parts of one time of writing from others."""
    return f"{path}.{ident}.{number}"


def write_part(path: str, ident: str, pieces: Mapping[str, Piece]) -> dict[str, Any]:
    """Write a part; returns what the file has to say of it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    arrays = {name: piece.array for name, piece in pieces.items()}
    listed: dict[str, str] = {}
    for name, piece in pieces.items():
        if piece.numbers is not None:
            listed[name] = f"numbers/{len(listed)}"
            arrays[listed[name]] = piece.numbers
    array_file.write(path, KIND, {"id": ident}, arrays)
    rows = {name: [piece.start, piece.start + _rows_in(piece)] for name, piece in pieces.items()}
    kinds = {name: [np.lib.format.dtype_to_descr(p.array.dtype), [*p.shape]] for name, p in pieces.items()}
    return {"arrays": kinds, "part": {"name": os.path.basename(path), "id": ident, "rows": rows, "listed": listed}}


def _rows_in(piece: Piece) -> int:
    if piece.numbers is not None:
        return int(piece.numbers[-1]) + 1 - piece.start if piece.numbers.size else 0
    return len(piece.array) if piece.shape else 1


def record_of(written: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """What a file's header has to say of its arrays and parts.

    Parameters
    ----------
    written : sequence of mapping
        What `write_part` has returned for each.
    earlier : sequence of mapping
        What the header of an earlier file has said of parts, of which the new ones replace some rows.
    """
    arrays = {name: kind for each in written for name, kind in each["arrays"].items()}
    return {"arrays": arrays, "parts": [*earlier, *(each["part"] for each in written)]}


def assembled(
    path: str, record: Mapping[str, Any], wanted: Wanted | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, Shape]]:
    """The arrays of a file in parts, and the shapes that they have when whole.

    Parameters
    ----------
    path : str
        The file, beside which its parts are.
    record : mapping
        What its header says of them.
    wanted : callable, optional
        ``wanted(name, shape)`` gives the first of the rows that are wanted of an array, and the number behind the last.
        If it gives None, the array is one of zeros that takes no memory. By default all arrays are wanted whole.

    Raises
    ------
    ValueError
        `Damaged`, if a part is missing or damaged, or if the parts and the record contradict one another.
    """
    complaint = f"{path} is not whole"
    try:
        found = _Assembly(path, record, wanted)
        for part in record["parts"]:
            found.take(part)
        return found.arrays, found.shapes
    except FileNotFoundError as error:
        missing = os.path.basename(str(error.filename))
        raise Damaged(
            f"{complaint}: its part {missing} is not beside it (all files of one name belong together)"
        ) from None
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise Damaged(f"{complaint}: {error}") from None


class _Assembly:
    """The arrays of a file, into which its parts are put one after the other."""

    def __init__(self, path: str, record: Mapping[str, Any], wanted: Wanted | None) -> None:
        self._folder = os.path.dirname(path)
        self._dtypes = {name: np.lib.format.descr_to_dtype(descr) for name, (descr, _) in record["arrays"].items()}
        self.shapes = {name: tuple(shape) for name, (_, shape) in record["arrays"].items()}
        self._wanted = {
            name: (0, shape[0] if shape else 1) if wanted is None else wanted(name, shape)
            for name, shape in self.shapes.items()
        }
        self._check(record["parts"])
        self.arrays = {name: self._room_for(name) for name in self.shapes}

    def _check(self, parts: Iterable[Mapping[str, Any]]) -> None:
        """Check that the parts have all rows, and that they can have as many, before memory is taken for them."""
        covered: dict[str, list[list[int]]] = {name: [] for name in self.shapes}
        for part in parts:
            size = 0
            for name, rows in part["rows"].items():
                if name not in part["listed"]:
                    covered[name].append(rows)
                    size += max(rows[1] - rows[0], 0) * self._row_size(name)
            if not _NAME.fullmatch(part["name"]):
                raise ValueError(f"{part['name']!r} is no name of a part")
            if size > os.stat(os.path.join(self._folder, part["name"])).st_size:
                raise ValueError(f"its part {part['name']} is shorter than the rows that it should have")
        for name, shape in self.shapes.items():
            end = 0
            for start, stop in sorted(rows for rows in covered[name] if rows[1] > rows[0]):
                if start != end:
                    break
                end = stop
            if end != (shape[0] if shape else 1):
                raise ValueError(f"its parts lack rows of {name!r}, or have some twice")

    def _row_size(self, name: str) -> int:
        size = self._dtypes[name].itemsize
        for extent in self.shapes[name][1:]:
            size *= extent
        return size

    def _room_for(self, name: str) -> NDArray[Any]:
        rows, shape, dtype = self._wanted[name], self.shapes[name], self._dtypes[name]
        if rows is None:
            return np.broadcast_to(np.zeros((), dtype), shape)
        return np.empty((rows[1] - rows[0], *shape[1:]) if shape else (), dtype)

    def take(self, part: Mapping[str, Any]) -> None:
        """Take the wanted rows of a part, if it has any."""
        needed = {name: rows for name, rows in part["rows"].items() if self._overlaps(name, rows)}
        if not needed:
            return
        path = os.path.join(self._folder, part["name"])
        header, arrays = array_file.read(path, KIND)
        if header != {"id": part["id"]}:
            raise ValueError(f"its part {part['name']} is of another time")
        for name, (start, stop) in needed.items():
            array, key = arrays[name], part["listed"].get(name)
            rows = stop - start if key is None else len(arrays[key])
            shape = (rows, *self.shapes[name][1:]) if self.shapes[name] else ()
            if array.shape != shape or array.dtype != self._dtypes[name]:
                raise ValueError(f"{name!r} in its part {part['name']} is {array.dtype} of shape {array.shape}")
            self._place(name, array, start, None if key is None else arrays[key])

    def _overlaps(self, name: str, rows: Sequence[int]) -> bool:
        wanted = self._wanted[name]
        return wanted is not None and max(rows[0], wanted[0]) < min(rows[1], wanted[1])

    def _place(self, name: str, array: NDArray[Any], start: int, numbers: NDArray[Any] | None) -> None:
        wanted = self._wanted[name]
        assert wanted is not None
        first, behind = wanted
        if not self.shapes[name]:
            self.arrays[name][...] = array
        elif numbers is None:
            low, high = max(start, first), min(start + len(array), behind)
            self.arrays[name][low - first : high - first] = array[low - start : high - start]
        else:
            if numbers.dtype != np.int64:
                raise ValueError(f"the numbers of its rows of {name!r} are {numbers.dtype}")
            here = (numbers >= first) & (numbers < behind)
            self.arrays[name][numbers[here] - first] = array[here]


def named_in(path: str) -> list[str]:
    """The names of the parts of a file, which has none if it is in one part.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read.
    """
    header = array_file.header_of(path)
    try:
        record = header.get(RECORD)
        return [] if record is None else [part["name"] for part in record["parts"]]
    except (AttributeError, LookupError, TypeError) as error:
        raise Damaged(f"{path} does not say which parts it has: {error}") from None


def clear(path: str, named: Iterable[str]) -> None:
    """Delete the parts that a file does not name: those of the file before it, and of one never completed."""
    folder, name = os.path.split(path)
    parts = re.compile(re.escape(name) + SUFFIX)
    _clear(folder, parts, {*named})
    outputs.clear_leftovers_of(folder, parts)


def clear_all(folder: str, stem: str, named: Iterable[str]) -> None:
    """Delete the parts in a folder, of files whose names a pattern matches, that none of the files names."""
    _clear(folder, re.compile(f"(?:{stem}){SUFFIX}"), {*named})


def _clear(folder: str, pattern: re.Pattern[str], named: set[str]) -> None:
    with suppress(OSError):
        for name in os.listdir(folder or os.curdir):
            if pattern.fullmatch(name) and name not in named:
                with suppress(OSError):
                    os.unlink(os.path.join(folder, name))
