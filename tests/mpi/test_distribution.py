"""New values are sent as soon as their parameters have been stepped, in the same order in all processes."""

import numpy as np
import pytest
from in_step import run

import fastadagrad as fa
from fastadagrad.host import bucket
from fastadagrad.host.staging import InPlace
from fastadagrad.kernels.cpu.tensors import UPDATE
from fastadagrad.mpi import shards
from fastadagrad.mpi.buckets import Bucket
from fastadagrad.mpi.distribution import Distribution

SHAPES = [(3,), (2, 2), (5,), ()]
CUTS = [[0, 1, 3], [0, 2, 2], [0, 0, 5], [0, 1, 1]]


def told(processes, events):
    """The same processes, which note in `events` when they begin to send an array and when all of it has come."""

    class Told(type(processes)):
        def complete(self, array, bounds):
            number = sum(event[0] == "begin" for event in events)
            events.append(("begin", number))
            finish = processes.complete(array, bounds)

            def finished():
                finish()
                events.append(("finish", number))

            return finished

    told = Told.__new__(Told)
    told.__dict__ = processes.__dict__
    return told


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]])
def test_in_one_order_whatever_is_stepped_first(order):
    def work(processes):
        arrays, events = [np.full(shape, float(processes.rank)) for shape in SHAPES], []
        buckets = [
            Bucket([0, 3], [(3,), ()], [CUTS[0], CUTS[3]]),
            *(Bucket([i], [SHAPES[i]], [CUTS[i]]) for i in (1, 2)),
        ]
        distribution = Distribution(told(processes, events), InPlace(arrays), buckets)
        begun = []
        for i in order if processes.rank else sorted(order):
            distribution.stepped([i])
            begun.append(len(events))
        distribution.finish()
        assert events == [*(("begin", i) for i in range(3)), *(("finish", i) for i in range(3))]
        return begun, [array.tolist() for array in arrays]

    (first, values), (_, others) = run(2, work)
    assert first == [0, 0, 0, 3]  # the first bucket has the last parameter, and the others wait for it
    assert values == others == [[0.0, 1.0, 1.0], [[0.0, 0.0], [0.0, 0.0]], [1.0] * 5, 0.0]


def test_earlier_arrays_are_sent_while_later_ones_are_stepped(monkeypatch):
    monkeypatch.setattr(shards, "TOGETHER", 0)
    events = {}

    class Noted(bucket.Bucket):
        def run(self, work, *arguments):
            code = super().run(work, *arguments)
            if work & UPDATE:
                events.setdefault(id(self._params), []).append(("step", self.positions))
            return code

    monkeypatch.setattr("fastadagrad.host.place.Bucket", Noted)

    def work(processes):
        noted = []
        opt = fa.ADAGRAD(params=[np.zeros(9000), np.zeros(9000), np.zeros(10)], comm=told(processes, noted))
        noted.clear()
        events[id(opt._session.engine.params)] = noted
        opt.step([np.ones(9000), np.ones(9000), np.ones(10)])
        return noted

    for noted in run(2, work):
        assert noted == [
            ("step", [0]),
            ("begin", 0),
            ("step", [1]),
            ("begin", 1),
            ("step", [2]),
            ("begin", 2),
            *(("finish", i) for i in range(3)),
        ]
