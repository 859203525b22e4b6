"""Gradients are added up as they come: in which order they are sent, and what is known of the sums."""

from itertools import pairwise

import numpy as np
import pytest
from in_step import run

from fastadagrad.mpi import cost
from fastadagrad.mpi.buckets import Bucket
from fastadagrad.mpi.processes import Lockstep
from fastadagrad.mpi.sums import Sums


class Noted:
    """Processes that note how many elements of each message go to each process."""

    def __init__(self, processes):
        self._processes, self.rank, self.size, self.sent = processes, processes.rank, processes.size, []

    def exchanged(self, messages):
        def noted():
            for message in messages:
                self.sent.append([len(part) for part in message])
                yield message

        return self._processes.exchanged(noted())


def summed(processes, cuts, gradients, in_float64=False, weights=None, divisor=1):
    """The sums of gradients, each in a bucket of its own, and the messages in which they came."""
    noted = Noted(processes)
    buckets = [Bucket([i], [(bounds[-1],)], [bounds]) for i, bounds in enumerate(cuts)]
    sums = Sums(Lockstep(noted), in_float64, 1)
    return sums.of(buckets, dict(enumerate(gradients)), 0, weights or [1.0] * noted.size, divisor), noted.sent


def test_no_process_waits_for_another_that_is_sent_a_whole_array(monkeypatch):
    """Four arrays, of which process 0 steps the first two and process 1 the others, are sent to both at a time."""
    monkeypatch.setattr(cost, "SENT_AT_A_TIME", 2 * 8 * 50)
    cuts = [[0, 100, 100], [0, 100, 100], [0, 0, 100], [0, 0, 100]]
    for _, sent in run(2, lambda processes: summed(processes, cuts, [np.ones(100)] * 4)):
        assert sent == [[50, 0], [0, 50]] * 4


@pytest.mark.parametrize("in_pieces", [True, False])
def test_the_sum_of_each_part(in_pieces, monkeypatch):
    monkeypatch.setattr(cost, "SENT_AT_A_TIME", 3 * 8 * 7)
    monkeypatch.setattr(cost, "MOST_IN_PIECES", 16 if in_pieces else 1)
    cuts, rng = [[0, 5, 30, 60], [0, 0, 0, 9]], np.random.default_rng(0)
    given = [[rng.standard_normal(bounds[-1]) for bounds in cuts] for _ in range(3)]

    def work(processes):
        return summed(processes, cuts, given[processes.rank], weights=[0.5, 0.3, 0.2], divisor=2)

    for rank, (found, sent) in enumerate(run(3, work)):
        assert len(sent) == (7 if in_pieces else 2)
        for bounds, each, (a, b, c) in zip(cuts, found, zip(*given, strict=True), strict=True):
            start, stop = [*pairwise(bounds)][rank]
            expected = (0.5 * a + 0.3 * b + 0.2 * c)[start:stop] / 2
            assert each.own.tobytes() == expected.tobytes()
            assert each.is_finite


@pytest.mark.parametrize(
    ("dtype", "in_float64", "value", "known"),
    [
        ("f4", False, 1.0, True),
        ("f4", False, np.nan, False),
        ("f8", True, 1.0, True),
        ("f4", True, 1.0, False),  # float32 may not hold what float64 does
        ("f2", False, 1.0, False),
    ],
)
def test_what_is_known_to_be_finite(dtype, in_float64, value, known):
    def work(processes):
        gradient = np.ones(10, dtype)
        gradient[0] = value
        return summed(processes, [[0, 5, 10]], [gradient], in_float64)

    ((first,), _), ((second,), _) = run(2, work)
    assert (first.is_finite, second.is_finite) == (known, known or value != 1.0)
    assert first.own.dtype == dtype
