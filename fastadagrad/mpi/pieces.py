"""The rows of parameters and slots that each process writes to a file in parts, and takes from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ..support.parted_file import Piece, Shape
from .engine import ShardedEngine


class Pieces:
    """What this process has of the arrays in a file, of which ``accumulator/W`` is a slot of the parameter ``W``.

    What has no rows, as a number that all elements of a parameter share, is the piece of the process that steps it.
    """

    def __init__(self, engine: ShardedEngine) -> None:
        self._engine, self._shards = engine, engine.shards
        self._positions = {name: i for i, name in enumerate(self._shards.whole.names)}

    def _position_of(self, key: str) -> int | None:
        """The position of the parameter that an array of a file is of; None if that is none of those here."""
        _, slash, name = key.partition("/")
        return self._positions.get(name) if slash else None

    def of(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Piece]:
        """Those of the arrays that are of parameters, as pieces, without such as other processes have."""
        found = {}
        for key, array in arrays.items():
            position = self._position_of(key)
            if position is not None:
                piece = self._piece(position, array)
                if piece is not None:
                    found[key] = piece
        return found

    def _piece(self, position: int, array: NDArray[Any]) -> Piece | None:
        whole, (start, stop) = self._shards.shapes[position], self._shards.own_rows(position)
        if whole and array.ndim:
            return Piece(array, start, (whole[0], *array.shape[1:]))
        nobodys = bool(whole) and whole[0] == 0 and self._shards.processes.rank == 0
        return Piece(array, 0, ()) if stop > start or nobodys else None

    def wanted(self, key: str, shape: Shape) -> tuple[int, int] | None:
        """The rows that this process takes of an array of a file; None for one that does not fit any that is here."""
        position = self._position_of(key)
        if position is None:
            return None
        if not shape:
            return 0, 1
        whole = self._shards.shapes[position]
        return self._shards.own_rows(position) if whole and whole[0] == shape[0] else None

    def fitted(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Arrays of a file as they are here: a number that another process steps is an array without elements."""
        return {key: array.reshape(1)[:0] if self._is_anothers(key, array) else array for key, array in arrays.items()}

    def _is_anothers(self, key: str, array: NDArray[Any]) -> bool:
        position = self._position_of(key)
        if position is None or array.ndim or self._shards.params.arrays[position].ndim == 0:
            return False
        settings = self._engine.settings[position]
        is_shared = settings.options.accumulator == "tensor" and key.startswith(f"{settings.form.slots[0]}/")
        return not (self._shards.shapes[position] or is_shared)
