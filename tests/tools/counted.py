"""Processes that count what they send: bytes and messages to others, as `fastadagrad.mpi.cost` predicts them."""

import math
import pickle
from itertools import pairwise


class Counted:
    """`Processes` (see fastadagrad.mpi.processes) that hand everything over to others, and count it."""

    def __init__(self, processes):
        self._processes, self.rank, self.size = processes, processes.rank, processes.size
        self.reset()

    def reset(self):
        self.bytes_sent = self.messages = self.notes = 0

    def all_of(self, value):
        self.notes += 1
        self.messages += 2 * math.ceil(math.log2(self.size))
        self.bytes_sent += len(pickle.dumps(value)) * (self.size - 1)
        return self._processes.all_of(value)

    def exchange(self, array, bounds, expected):
        sent = [stop - start for rank, (start, stop) in enumerate(pairwise(bounds)) if rank != self.rank]
        self.messages += len(sent)
        self.bytes_sent += sum(sent) * _row_bytes(array)
        return self._processes.exchange(array, bounds, expected)

    def exchanged(self, messages):
        return self._processes.exchanged(map(self._counted, messages))

    def _counted(self, message):
        self.messages += self.size - 1
        self.bytes_sent += sum(part.nbytes for part in message) - message[self.rank].nbytes
        return message

    def complete(self, array, bounds):
        own = bounds[self.rank + 1] - bounds[self.rank]
        self.messages += self.size - 1
        self.bytes_sent += own * _row_bytes(array) * (self.size - 1)
        return self._processes.complete(array, bounds)


def _row_bytes(array):
    return array.itemsize * math.prod(array.shape[1:])
