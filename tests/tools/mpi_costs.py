"""What steps of several processes cost by MPI itself, beside what `fastadagrad.mpi.cost` predicts for this machine.

    mpiexec -n 2 python tests/tools/mpi_costs.py [--params 100000000] [--arrays 1] [--rounds 15]

The machine is measured at first: bandwidth and latency of messages, bandwidth of memory, and how long Python reads a
note. Then dense steps of all processes, on a thread each, take turns with steps of process 0 alone, on as many threads
as there are processes. Medians are printed: where the time goes, what the model predicts, and the time as a multiple of
that of process 0 alone and of what the model says of sending.
"""

import argparse
import math
import pickle
import time
from collections import defaultdict
from statistics import median

import numpy as np
from counted import Counted

import fastadagrad as fa
from fastadagrad.mpi.cost import Job, cost_of, piece_bytes
from fastadagrad.mpi.messages import Messages
from fastadagrad.mpi.sums import Sums

PAUSE = 0.002  # seconds between two looks of a process that waits without taking a core
PINGS = 1000


class Timed(Counted):
    """Processes that count what they send, and how long that takes, by kind of message."""

    def reset(self):
        super().reset()
        self.seconds = defaultdict(float)

    def _timed(self, kind, call, *arguments):
        start = time.perf_counter()
        result = call(*arguments)
        self.seconds[kind] += time.perf_counter() - start
        return result

    def all_of(self, value):
        return self._timed("notes", super().all_of, value)

    def exchange(self, array, bounds, expected):
        return self._timed("all-to-all", super().exchange, array, bounds, expected)

    def exchanged(self, messages):
        coming, end = super().exchanged(messages), object()
        while (came := self._timed("all-to-all", next, coming, end)) is not end:
            yield came

    def complete(self, array, bounds):
        finish = self._timed("all-gather", super().complete, array, bounds)
        return lambda: self._timed("all-gather", finish)


def median_of(world, rounds, call):
    """Median seconds, on this process, of a call that all processes make at once."""
    seconds = []
    for _ in range(rounds + 1):
        world.Barrier()
        start = time.perf_counter()
        call()
        world.Barrier()
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])


def machine_of(world, mpi, elements, rounds):
    """The fields of a `Job` that say what it runs on, as measured here."""
    sent, came = (np.ones(elements // world.size, np.float32) for _ in range(2))
    to, source, piece = (world.rank + 1) % world.size, (world.rank - 1) % world.size, piece_bytes(world.size) // 4

    def send():
        for first in range(0, sent.size, piece):
            part = slice(first, first + piece)
            world.Sendrecv([sent[part], mpi.FLOAT], to, recvbuf=[came[part], mpi.FLOAT], source=source)

    def ping():
        for _ in range(PINGS):
            world.Sendrecv([sent[:1], mpi.FLOAT], to, recvbuf=[came[:1], mpi.FLOAT], source=source)

    return {
        "bandwidth": sent.nbytes / median_of(world, rounds, send),
        "latency": median_of(world, rounds, ping) / PINGS,
        "memory_bandwidth": 2 * sent.nbytes / median_of(world, rounds, lambda: np.copyto(came, sent)),
    }


def alone(world, call):
    """Seconds of a call of process 0, for which the others wait without taking a core; 0.0 on the others."""
    world.Barrier()
    start = time.perf_counter()
    if world.rank == 0:
        call()
    seconds = time.perf_counter() - start
    done = world.Ibarrier()
    while not done.Test():
        time.sleep(PAUSE)
    return seconds


def seconds_of_a_note():
    note = pickle.dumps(((1, None, 0), {0: "dense"}))
    start = time.perf_counter()
    for _ in range(PINGS):
        pickle.loads(note)
    return (time.perf_counter() - start) / PINGS


def measured(world, elements, arrays, rounds):
    """Medians of the parts of steps, of steps and of steps of process 0 alone; and what was sent in one."""
    comm, rng = Timed(Messages(world)), np.random.default_rng(0)
    w, g = (np.array_split(each, arrays) for each in rng.standard_normal((2, elements), np.float32))
    opt = fa.ADAGRAD(params=w, threads=1, comm=comm)
    one = fa.ADAGRAD(params=[each.copy() for each in w] if world.rank == 0 else np.zeros(1), threads=world.size)
    add_up, found = Sums._add_up, defaultdict(list)

    def timed_add_up(*arguments):
        return comm._timed("sums", add_up, *arguments)

    Sums._add_up = timed_add_up
    for turn in range(rounds + 1):
        world.Barrier()
        comm.reset()
        start = time.perf_counter()
        opt.step(g)
        world.Barrier()
        seconds = time.perf_counter() - start
        by_itself = alone(world, lambda: one.step(g))
        if turn:  # the first warms up
            for kind, value in {**comm.seconds, "step": seconds, "alone": by_itself}.items():
                found[kind].append(value)
    return {kind: median(values) for kind, values in found.items()}, comm.bytes_sent, opt.state


def main():
    from mpi4py import MPI

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--params", type=int, default=100_000_000)
    parser.add_argument("--arrays", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    arguments, world = parser.parse_args(), MPI.COMM_WORLD
    machine = machine_of(world, MPI, arguments.params, arguments.rounds)
    found, sent, state = measured(world, arguments.params, arguments.arrays, arguments.rounds)
    cost = cost_of(Job(world.size, **machine, params=arguments.params, arrays=arguments.arrays))
    own = sum(slot.nbytes for slots in state.values() for slot in slots.values())
    sents, states = world.gather(sent), world.gather(own)
    if world.rank:
        return
    about = f"{arguments.params:,} float32 in {arguments.arrays}"
    print(f"{world.size} processes, {about}, medians of {arguments.rounds} turns, on process 0")
    shown = [f"{machine[name] / 1e9:.3g} GB/s" for name in ("bandwidth", "memory_bandwidth")]
    print(f"messages {shown[0]}, {machine['latency'] * 1e6:.3g} us; memory {shown[1]}, one copy in each process")
    print(f"a note is read in {seconds_of_a_note() * 1e6:.3g} us")
    share = max(states) / (4 * arguments.params)
    print(f"sent: {max(sents) / cost.bytes_sent:.4f} of the model's bytes; state: {share:.4f} of one process's")
    kinds = "all-to-all", "sums", "all-gather", "notes"
    rest = found["step"] - math.fsum(found[kind] for kind in kinds)
    parts = ", ".join(f"{kind} {found[kind] * 1e3:.1f}" for kind in kinds)
    print(f"step: {found['step'] * 1e3:.1f} ms ({parts}, update and the rest {rest * 1e3:.1f})")
    transfer, compute = cost.transfer_seconds, cost.compute_seconds
    print(f"model: {cost.seconds * 1e3:.1f} ms (transfer {transfer * 1e3:.1f}, compute {compute * 1e3:.1f})")
    print(f"process 0 alone, on {world.size} threads: {found['alone'] * 1e3:.1f} ms")
    ratio = found["step"] / (found["alone"] + transfer)
    print(f"the step takes {ratio:.3f} of the time of that and the model's transfer")


if __name__ == "__main__":
    main()
