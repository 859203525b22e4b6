"""Memory after many steps, optimizers, files and fits: it does not grow.

``python tests/tools/growing_memory.py --times 1`` makes a million steps, ten thousand optimizers and so on, and prints
by how much the process and Python's own memory have grown meanwhile; ``--times 0.1`` makes a tenth of that.
"""

import argparse
import ctypes
import gc
import io
import os
import sys
import time
import tracemalloc

import numpy as np

import fastadagrad as fa

MOST = 3 << 20  # bytes by which the process may grow: pieces of memory that lie between others
MOST_TRACED = 100_000  # bytes by which Python's own may: caches that fill up to their size
ROWS = 2000


def dense_steps():
    w = np.zeros(100)
    opt, g = fa.ADAGRAD(params=w, learning_rate=0.1, momentum=0.9), np.ones(100)
    return lambda: opt.step(g)


def steps_by_rows():
    table, rng = np.zeros((ROWS, 4)), np.random.default_rng(0)
    opt = fa.ADAGRAD(params=table, learning_rate=0.1, l1=1e-3)
    some = [fa.Rows(rng.integers(0, ROWS, 50), rng.standard_normal((50, 4))) for _ in range(16)]

    def work(count=[0]):  # noqa: B006
        count[0] += 1
        opt.step(some[count[0] % 16])
        if count[0] % 100 == 0:
            opt.read_rows("param0", np.arange(0, ROWS, 9))

    return work


def changed_rates():
    opt, g = fa.ADAGRAD(params=np.zeros(100)), np.ones(100)

    def work(count=[0]):  # noqa: B006
        count[0] += 1
        opt.hyper.learning_rate = 0.1 + count[0] % 7
        opt.hyper.momentum = 0.1 * (count[0] % 3)
        opt.step(g)

    return work


def optimizers():
    g = np.ones(1000)

    def work():
        opt = fa.ADAGRAD(params=np.zeros(1000), learning_rate=0.1)
        opt.step(g)

    return work


def files():
    opt = fa.ADAGRAD(params={"w": np.zeros((300, 4)), "b": np.zeros(30)}, learning_rate=0.1, momentum=0.9)
    opt.step({"w": np.ones((300, 4)), "b": np.ones(30)})

    def work():
        opt.save(file := io.BytesIO())
        opt.load(io.BytesIO(file.getvalue()))

    return work


def iterations():
    data = [np.ones((20, 1))]

    def loss(w, x):
        return float((w - x.mean()) @ (w - x.mean())), 2 * (w - x.mean())

    def work():
        opt = fa.ADAGRAD(loss, np.zeros(50))  # whose history grows as it goes on
        for _ in opt.iterate(data, max_updates=5):
            pass

    return work


def twins():
    opt = fa.ADAGRAD(params=np.zeros(1000), learning_rate=0.1)
    return lambda: opt.twin().step(np.ones(1000))


def linear_fits():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 8))
    y = X[:, 0] > 0
    return lambda: fa.LinearModel(max_epochs=3, learning_rate=0.1).fit(X, y).predict(X)


def linear_files():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 8))
    model = fa.LinearModel(max_epochs=3, learning_rate=0.1).fit(X, X[:, 0] > 0)

    def work():
        model.save(file := io.BytesIO())
        fa.LinearModel.load(io.BytesIO(file.getvalue()))

    return work


WORK = {
    dense_steps: 1_000_000,
    steps_by_rows: 300_000,
    changed_rates: 50_000,
    optimizers: 10_000,
    files: 5_000,
    iterations: 5_000,
    twins: 5_000,
    linear_fits: 1_000,
    linear_files: 3_000,
}


def resident():
    """Bytes of memory that the process has, after what is free has been given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(work, times):
    """By how many bytes the process grows in so many calls, and by how many Python's own memory in a tenth of them."""
    for _ in range(max(30, times // 20)):
        work()
    before = resident()
    for _ in range(times):
        work()
    grown = resident() - before
    tracemalloc.start()
    for _ in range(30):
        work()
    gc.collect()
    traced = tracemalloc.get_traced_memory()[0]
    for _ in range(max(30, times // 50)):
        work()
    gc.collect()
    grown_traced = tracemalloc.get_traced_memory()[0] - traced
    tracemalloc.stop()
    return grown, grown_traced


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=float, default=1.0)
    given = parser.parse_args()
    faults = 0
    for make, most in WORK.items():
        begun, times = time.monotonic(), max(50, int(most * given.times))
        grown, traced = growth(make(), times)
        within = grown <= MOST and traced <= MOST_TRACED
        faults += not within
        name, seconds = make.__name__.replace("_", " "), time.monotonic() - begun
        print(f"{times} {name}: {grown} bytes, {traced} of Python's{'' if within else ', TOO MUCH'}, {seconds:.0f} s")
    most = ", ".join(f"{max(50, int(n * given.times))} {make.__name__.replace('_', ' ')}" for make, n in WORK.items())
    print(f"{len(WORK) - faults} of {len(WORK)} kinds of work do not grow: {most}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
