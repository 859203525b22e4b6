"""The memory of a grid: NumPy arrays at their own addresses, and each block's shared memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

GLOBAL, SHARED = "global", "shared"


class Fault(Exception):
    """A kernel did what it must not."""


NOBODY, SEVERAL = -1, -2


class _Log:
    """Which thread used each byte last, or that several did, and how many barriers it had passed.

    Barriers keep apart threads of one block only: what several threads have read is never safe to write again in
    memory that all blocks share.
    """

    def __init__(self, size: int, all_blocks: bool) -> None:
        self._thread, self._epoch = np.full(size, NOBODY), np.full(size, -1)
        self._all_blocks = all_blocks

    def note(self, where: np.ndarray, threads: np.ndarray, epochs: np.ndarray) -> None:
        before = self._thread[where]
        others = (before != NOBODY) & (before != threads[:, None])
        several = others & ((self._epoch[where] == epochs[:, None]) | self._all_blocks)
        self._thread[where], self._epoch[where] = threads[:, None], epochs[:, None]
        self._thread[where[several | (self._thread[where] != threads[:, None])]] = SEVERAL

    def clashes(self, where: np.ndarray, threads: np.ndarray, epochs: np.ndarray, block: np.ndarray) -> bool:
        """Whether another thread has used one of these bytes with no barrier since."""
        last = self._thread[where]
        apart = block[np.maximum(last, 0)] != block[threads][:, None]
        unordered = (self._epoch[where] == epochs[:, None]) | np.where(last == SEVERAL, self._all_blocks, apart)
        return bool(((last != NOBODY) & (last != threads[:, None]) & unordered).any())


class _Area:
    def __init__(self, data: np.ndarray, all_blocks: bool) -> None:
        self.data, self.written, self.read = data, _Log(data.size, all_blocks), _Log(data.size, all_blocks)


class Memory:
    """What a kernel may read and, where an array is writable, write.

    Parameters
    ----------
    arrays : arrays
        Global memory.
    block : ndarray of int
        The block of each thread: barriers keep no others apart.
    shared : int
        Bytes of shared memory a block.
    """

    def __init__(self, arrays: Sequence[np.ndarray], block: np.ndarray, shared: int) -> None:
        arrays = sorted((a for a in arrays if a.size), key=lambda a: a.ctypes.data)
        self._starts = np.array([a.ctypes.data for a in arrays], np.uint64)
        self._stops = np.array([a.ctypes.data + a.nbytes for a in arrays], np.uint64)
        self._areas = [_Area(a.reshape(-1).view(np.uint8), True) for a in arrays]
        self._shared = _Area(np.zeros((int(block.max(initial=-1)) + 1) * shared, np.uint8), False)
        self._shared_size = shared
        self._block = block
        self._epochs = np.zeros(len(block), np.int64)  # barriers passed

    def pass_barrier(self, threads: np.ndarray) -> None:
        self._epochs[threads] += 1

    def load(self, space: str, address: np.ndarray, size: int, threads: np.ndarray) -> np.ndarray:
        """The `size` bytes at each address, one for each of the threads."""
        raw = np.empty((len(address), size), np.uint8)
        for area, which, where in self._find(space, address, size, threads):
            self._refuse_race([area.written], where, threads[which])
            area.read.note(where, threads[which], self._epochs[threads[which]])
            raw[which] = area.data[where]
        return raw

    def store(self, space: str, address: np.ndarray, raw: np.ndarray, threads: np.ndarray) -> None:
        for area, which, where in self._find(space, address, raw.shape[1], threads):
            if not area.data.flags.writeable:
                raise Fault("write to an array that is read-only")
            if not self._sets_a_flag(where, raw[which]):
                self._refuse_race([area.written, area.read], where, threads[which])
                if len(np.unique(where)) < where.size:
                    raise Fault("race: two threads write to one place at once")
                area.written.note(where, threads[which], self._epochs[threads[which]])
            area.data[where] = raw[which]

    @staticmethod
    def _sets_a_flag(where: np.ndarray, raw: np.ndarray) -> bool:
        """Whether these threads all write the same to one aligned word, which does no harm."""
        return where.shape[1] == 4 and bool((where == where[0]).all() and (raw == raw[0]).all() and raw[0, 0] == 1)

    def _refuse_race(self, logs: list[_Log], where: np.ndarray, threads: np.ndarray) -> None:
        if any(log.clashes(where, threads, self._epochs[threads], self._block) for log in logs):
            raise Fault("race: two threads use one place, one of them writes, and no barrier is between")

    def _find(
        self, space: str, address: np.ndarray, size: int, threads: np.ndarray
    ) -> list[tuple[_Area, np.ndarray, np.ndarray]]:
        """Areas, which of the threads use each, and which of its bytes."""
        misaligned = address % np.uint64(size) != 0
        if misaligned.any():
            raise Fault(f"misaligned access of {size} bytes at {hex(int(address[misaligned][0]))}")
        bytes_ = np.arange(size)
        if space == SHARED:
            if (address > self._shared_size - size).any():
                raise Fault("access outside of shared memory")
            start = self._block[threads] * self._shared_size + address.astype(np.int64)
            return [(self._shared, np.arange(len(threads)), start[:, None] + bytes_)]
        index = np.searchsorted(self._starts, address, side="right") - 1
        outside = (index < 0) | (address + np.uint64(size) > self._stops[np.maximum(index, 0)])
        if outside.any():
            raise Fault(f"access outside of the arrays, at {hex(int(address[outside][0]))}")
        found = []
        for i in np.unique(index):
            which = np.flatnonzero(index == i)
            start = (address[which] - self._starts[i]).astype(np.int64)
            found.append((self._areas[i], which, start[:, None] + bytes_))
        return found
