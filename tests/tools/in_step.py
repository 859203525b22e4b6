"""Threads that stand in for the processes of MPI: each calls the same methods, and waits for the others."""

import pickle
import threading
from itertools import pairwise

import numpy as np

TIMEOUT = 60  # seconds after which a process that waits for another one gives up


class InStep:
    """One of several `Processes` (see fastadagrad.mpi.processes) that share this Python's memory."""

    def __init__(self, rank, size, barrier, board):
        self.rank, self.size, self._barrier, self._board = rank, size, barrier, board

    is_cuda_aware = False

    def all_of(self, value):
        self._board[self.rank] = pickle.dumps(value)
        self._barrier.wait(TIMEOUT)
        found = [pickle.loads(each) for each in self._board]
        self._barrier.wait(TIMEOUT)
        return found

    def exchange(self, array, bounds, expected):
        parts = [array[start:stop].copy() for start, stop in pairwise(bounds)]
        received = [of_rank[self.rank] for of_rank in self.all_of(parts)]
        assert [len(part) for part in received] == [*expected]
        return np.concatenate(received)

    def exchanged(self, messages):
        for message in messages:
            by_rank = self.all_of([*message])
            yield [parts[self.rank] for parts in by_rank]

    def complete(self, array, bounds):
        own = array[bounds[self.rank] : bounds[self.rank + 1]].copy()
        for part, (start, stop) in zip(self.all_of(own), pairwise(bounds), strict=True):
            array[start:stop] = part
        return lambda: None


def run(size, work):
    """What `work(processes)` returns in each of so many threads, by rank; the first error of all is raised."""
    barrier, board = threading.Barrier(size), [None] * size
    results, errors = [None] * size, []

    def body(rank):
        try:
            results[rank] = work(InStep(rank, size, barrier, board))
        except BaseException as error:
            errors.append((rank, error))
            barrier.abort()

    threads = [threading.Thread(target=body, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise next((e for _, e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0][1])
    return results
