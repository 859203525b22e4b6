"""The memory of a grid: NumPy arrays at their own addresses, each block's shared memory and each thread's own.

Every byte is logged: which thread used it last, and how many barriers that thread had passed. So a race is found in
whatever order the threads run. Strong accesses, which are atomic operations and what is volatile or relaxed, make no
race with one another.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .fault import Fault
from .junk import Junk

GLOBAL, SHARED, LOCAL, GENERIC = "global", "shared", "local", "generic"
WINDOWS = {SHARED: 1 << 60, LOCAL: 1 << 61}  # where these spaces begin among generic addresses
ROOM = 1 << 40  # bytes of a window
NOBODY, SEVERAL = -1, -2
READ, WRITE = "read", "write"


class _Log:
    """Which thread used each granule last, or that several did, and how many barriers it had passed.

    A granule has as many bytes as the smallest access so far. Barriers keep apart threads of one block only: what
    several threads have read is never safe to write again in memory that all blocks share.
    """

    def __init__(self, size: int, granule: int, all_blocks: bool) -> None:
        self._granule, self._all_blocks = granule, all_blocks
        self._thread, self._epoch = (np.full(-(-size // granule), NOBODY, np.int32) for _ in range(2))

    def granules(self, start: np.ndarray, size: int) -> np.ndarray:
        """Those of accesses of `size` bytes, which are aligned: a row each."""
        if size < self._granule:
            self._thread, self._epoch = (np.repeat(a, self._granule // size) for a in (self._thread, self._epoch))
            self._granule = size
        first = start // self._granule
        count = size // self._granule
        return first[:, None] + np.arange(count) if count > 1 else first[:, None]

    def note(self, where: np.ndarray, threads: np.ndarray, epochs: np.ndarray) -> bool:
        """Note these accesses; whether two of them are to one place."""
        before = self._thread[where]
        others = (before != NOBODY) & (before != threads)
        self._thread[where] = threads
        at_once = self._thread[where] != threads
        several = others if self._all_blocks else others & (self._epoch[where] == epochs)
        self._epoch[where] = epochs
        twice = bool(at_once.any())
        if twice or several.any():
            self._thread[where[several | at_once]] = SEVERAL
        return twice

    def clashes(self, where: np.ndarray, threads: np.ndarray, epochs: np.ndarray, block: np.ndarray) -> bool:
        """Whether another thread has used one of these granules with no barrier since."""
        last = self._thread[where]
        foreign = (last != NOBODY) & (last != threads)
        if not foreign.any():
            return False
        apart = block[np.maximum(last, 0)] != block[threads]
        unordered = (self._epoch[where] == epochs) | np.where(last == SEVERAL, self._all_blocks, apart)
        return bool((foreign & unordered).any())

    def used(self, where: np.ndarray) -> bool:
        return bool((self._thread[where] != NOBODY).any())


class _Area:
    """Bytes that begin at an address, and who has written and read them: logs begin with the first access."""

    def __init__(self, data: np.ndarray, address: int, all_blocks: bool) -> None:
        self.data, self._all_blocks = data, all_blocks
        self._before = address % 16  # bytes from a multiple of 16 to the first
        self._logs: dict[tuple[str, bool], _Log] = {}

    def log(self, what: str, strong: bool, size: int) -> _Log:
        if (what, strong) not in self._logs:
            self._logs[what, strong] = _Log(self.data.size + self._before, size, self._all_blocks)
        return self._logs[what, strong]

    def opposed(self, what: str, strong: bool) -> list[_Log]:
        """Logs of what makes a race with this: of writes if it is a read, and of weak accesses if it is strong."""
        kinds = [WRITE] if what == READ else [WRITE, READ]
        found = (self._logs.get((kind, other)) for kind in kinds for other in ([False] if strong else [False, True]))
        return [log for log in found if log is not None]

    def granules(self, log: _Log, start: np.ndarray, size: int) -> np.ndarray:
        return log.granules(start + self._before if self._before else start, size)

    def elements(self, start: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The data as an array, and where in it the bytes of each access are: a row each."""
        width = min(size, 8)
        if self._before % width:
            return self.data, start[:, None] + np.arange(size)
        data = self.data[: self.data.size // width * width].view(f"u{width}")
        first = (start // width)[:, None]
        return data, first + np.arange(size // width) if size > width else first


def _joined(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The bytes of arrays, in the order of their addresses; those that overlap as one."""
    found: list[np.ndarray] = []
    for array in sorted((a for a in arrays if a.size), key=lambda a: (a.ctypes.data, a.nbytes)):
        if not array.flags.c_contiguous:
            raise ValueError("memory: an array is not contiguous: give what it is a view of")
        part = array.reshape(-1).view(np.uint8)
        if found and part.ctypes.data < found[-1].ctypes.data + found[-1].size:
            last = found.pop()
            start, stop = last.ctypes.data, max(last.ctypes.data + last.size, part.ctypes.data + part.size)
            writable = last.flags.writeable or part.flags.writeable
            part = np.ctypeslib.as_array((ctypes.c_uint8 * (stop - start)).from_address(start))
            part.flags.writeable = writable
        found.append(part)
    return found


class Memory:
    """What a kernel may read and, where an array is writable, write.

    Parameters
    ----------
    arrays : arrays
        Global memory.
    block : ndarray of int
        The block of each thread: barriers keep no others apart.
    shared, local : int
        Bytes of shared memory a block, and of a thread's own.
    junk : Junk
        What shared and local memory hold at first.
    races : bool
        Look for races.
    """

    def __init__(
        self, arrays: Sequence[np.ndarray], block: np.ndarray, shared: int, local: int, junk: Junk, races: bool = True
    ) -> None:
        parts = _joined(arrays)
        self._starts = np.array([a.ctypes.data for a in parts], np.uint64)
        self._stops = np.array([a.ctypes.data + a.size for a in parts], np.uint64)
        self._areas = [_Area(a, a.ctypes.data, True) for a in parts]
        self._keep = list(arrays)  # whose memory the parts are
        blocks = int(block[-1]) + 1 if len(block) else 0
        self._sizes = {SHARED: -(-shared // 16) * 16, LOCAL: -(-local // 16) * 16}  # from one block to the next
        self._used = {SHARED: shared, LOCAL: local}
        self._own = {
            SHARED: _Area(junk.bytes(blocks * self._sizes[SHARED]), 0, False),
            LOCAL: _Area(junk.bytes(len(block) * self._sizes[LOCAL]), 0, False),
        }
        self._block, self._races = block, races
        self._epochs = np.zeros(len(block), np.int32)  # barriers passed
        # How often threads have looked by strong loads, and which, since something was written that was not there.
        self.looks, self.have_looked = 0, np.zeros(len(block), bool)

    def pass_barrier(self, threads: np.ndarray) -> None:
        self._epochs[threads] += 1

    def load(
        self,
        space: str,
        address: np.ndarray,
        size: int,
        threads: np.ndarray,
        constant: bool = False,
        strong: bool = False,
    ) -> np.ndarray:
        """The `size` bytes at each address, a row for each of the threads.

        Parameters
        ----------
        constant : bool
            The kernel has said that nobody writes there.
        strong : bool
            The load is volatile or relaxed.
        """
        if strong:
            self._note_look(threads)
        raw = None
        for area, which, start in self._find(space, address, size, threads):
            data, where = area.elements(start, size)
            if self._races:
                self._log(READ, area, start, size, threads if which is None else threads[which], strong, constant)
            if which is None:
                return np.asarray(data[where].view(np.uint8).reshape(len(start), size))
            if raw is None:
                raw = np.empty((len(address), size), np.uint8)
            raw[which] = data[where].view(np.uint8).reshape(len(start), size)
        return np.empty((0, size), np.uint8) if raw is None else raw

    def _note_look(self, threads: np.ndarray) -> None:
        self.looks += 1
        self.have_looked[threads] = True

    def forget_looks(self) -> None:
        if self.looks:
            self.looks = 0
            self.have_looked[:] = False

    def store(
        self, space: str, address: np.ndarray, raw: np.ndarray, threads: np.ndarray, strong: bool = False
    ) -> None:
        size = raw.shape[1]
        for area, which, start in self._find_to_write(space, address, size, threads):
            values = raw if which is None else raw[which]
            if self._races and not self._sets_a_flag(start, values):
                self._log(WRITE, area, start, size, threads if which is None else threads[which], strong)
            data, where = area.elements(start, size)
            data[where] = np.ascontiguousarray(values).view(data.dtype)
        self.forget_looks()

    def change(
        self,
        space: str,
        address: np.ndarray,
        values: np.ndarray,
        threads: np.ndarray,
        function: Callable[[Any, Any], tuple[Any, Any]],
    ) -> np.ndarray:
        """Carry out atomic operations in this order; what each finds in memory before it.

        Parameters
        ----------
        function
            As in `arithmetic.OLD_AND_NEW`.
        """
        found, size, changed = np.empty_like(values), values.itemsize, False
        for area, which, start in self._find_to_write(space, address, size, threads):
            some = np.arange(len(values)) if which is None else which
            if self._races:
                self._log(WRITE, area, start, size, threads[some], strong=True)
            by_place = np.argsort(start, kind="stable")
            begin = np.flatnonzero(np.diff(start[by_place], prepend=-1))
            for group in np.split(by_place, begin[1:]):
                place = area.data[start[group[0]] :][:size].view(values.dtype)
                before = place[0]
                found[some[group]], place[0] = function(before, values[some[group]])
                changed |= bool(place[0] != before)
        if changed:
            self.forget_looks()
        else:
            self._note_look(threads)
        return found

    def _log(
        self,
        what: str,
        area: _Area,
        start: np.ndarray,
        size: int,
        threads: np.ndarray,
        strong: bool,
        constant: bool = False,
    ) -> None:
        column, epochs = threads[:, None], self._epochs[threads][:, None]
        for log in area.opposed(what, strong):
            where = area.granules(log, start, size)
            if log.clashes(where, column, epochs, self._block):
                raise Fault("race: two threads use one place, one of them writes, and no barrier is between")
            if constant and log.used(where):
                raise Fault("the kernel writes what it reads by .nc")
        log = area.log(what, strong, size)
        twice = log.note(area.granules(log, start, size), column, epochs)
        if twice and what == WRITE and not strong:
            raise Fault("race: two threads write to one place at once")

    @staticmethod
    def _sets_a_flag(start: np.ndarray, raw: np.ndarray) -> bool:
        """Whether these threads all write 1 to one aligned word, which does no harm."""
        return raw.shape[1] == 4 and start[0] == start[-1] and bool((start == start[0]).all() and _are_ones(raw))

    def _find(
        self, space: str, address: np.ndarray, size: int, threads: np.ndarray
    ) -> Iterator[tuple[_Area, np.ndarray | None, np.ndarray]]:
        """Areas, which of the threads use each (None: all), and where its first byte for them is."""
        misaligned = address & np.uint64(size - 1)
        if misaligned.any():
            first = int(address[misaligned != 0][0])
            raise Fault(f"misaligned access of {size} bytes at {first:#x}")
        if space == GENERIC:
            yield from self._find_generic(address, size, threads)
        elif space == GLOBAL:
            yield from self._find_global(address, size)
        else:
            yield self._own[space], None, self._own_start(space, address, size, threads)

    def _find_to_write(
        self, space: str, address: np.ndarray, size: int, threads: np.ndarray
    ) -> Iterator[tuple[_Area, np.ndarray | None, np.ndarray]]:
        """The same for places that are written; a Fault if they are read-only."""
        for found in self._find(space, address, size, threads):
            if not found[0].data.flags.writeable:
                raise Fault("write to an array that is read-only")
            yield found

    def _own_start(self, space: str, address: np.ndarray, size: int, threads: np.ndarray) -> np.ndarray:
        used = self._used[space]
        outside = address > np.uint64(used - size) if used >= size else np.ones(len(address), bool)
        if outside.any():
            raise Fault(f"access outside of {space} memory, at {int(address[outside][0]):#x} of {used} bytes")
        owner = self._block[threads] if space == SHARED else threads
        return np.asarray(owner.astype(np.int64) * self._sizes[space] + address.astype(np.int64))

    def _find_global(self, address: np.ndarray, size: int) -> Iterator[tuple[_Area, np.ndarray | None, np.ndarray]]:
        index = np.searchsorted(self._starts, address, side="right") - 1
        if len(self._areas):
            outside = (index < 0) | (address + np.uint64(size) > self._stops[np.maximum(index, 0)])
        else:
            outside = np.ones(len(address), bool)
        if outside.any():
            raise Fault(f"access outside of the arrays, at {int(address[outside][0]):#x}")
        first = int(index[0])
        if (index == first).all():
            yield self._areas[first], None, (address - self._starts[first]).astype(np.int64)
            return
        for i in np.unique(index):
            which = np.flatnonzero(index == i)
            yield self._areas[i], which, (address[which] - self._starts[i]).astype(np.int64)

    def _find_generic(
        self, address: np.ndarray, size: int, threads: np.ndarray
    ) -> Iterator[tuple[_Area, np.ndarray | None, np.ndarray]]:
        left = np.ones(len(address), bool)
        for space, window in WINDOWS.items():
            inside = (address >= np.uint64(window)) & (address < np.uint64(window + ROOM))
            if inside.any():
                which = np.flatnonzero(inside)
                start = self._own_start(space, address[which] - np.uint64(window), size, threads[which])
                yield self._own[space], which, start
                left &= ~inside
        rest = np.flatnonzero(left)
        if rest.size:
            for area, some, start in self._find_global(address[rest], size):
                yield area, rest if some is None else rest[some], start


def _are_ones(raw: np.ndarray) -> bool:
    return bool((np.ascontiguousarray(raw).view(np.uint32) == 1).all())
