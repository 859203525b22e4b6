"""Memory that is at an end, at every place of an operation: MemoryError, nothing torn, and training goes on.

``python tests/tools/scarce_memory.py --tries 100 --seed 1`` leaves each operation so much memory, from none to all that
it needs, and tells how each try ended. A try counts as torn if the parameters or the state are not as they were before,
or if the same operation, made again with memory at hand, does not give the bits of a run that never lacked any.
"""

import argparse
import collections
import gc
import io
import os
import resource
import subprocess
import sys
import traceback

import numpy as np

import fastadagrad as fa

CONTRACT = (ValueError, TypeError, IndexError, FloatingPointError, RuntimeError, OSError, MemoryError)
# Each request of 64 KiB and more is one of the system's, and what is freed goes back to it at once.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TOP_PAD_": "0",
    "MALLOC_TRIM_THRESHOLD_": "0",
    "PYTHONMALLOC": "malloc",
}
ROWS, WIDTH = 40_000, 4  # of so many rows, several threads share a step
SMALLEST = (
    4096  # bytes; where smaller requests fail, NumPy's own arithmetic crashes, and Python's parser loses its error
)


class Subject:
    """An optimizer whose rows lag behind, and what may be done with it."""

    def __init__(self, seed, n_rows=ROWS):
        rng = np.random.default_rng(seed)
        self.n_rows, named = n_rows, n_rows * 9 // 10
        self.w, self.b = rng.standard_normal((n_rows, WIDTH)), rng.standard_normal(30_000).astype(np.float32)
        hyper = {"learning_rate": 0.1, "momentum": 0.9}
        self.opt = fa.ADAGRAD(params={"w": self.w, "b": self.b}, **hyper)
        self.dense = {"w": rng.standard_normal(self.w.shape), "b": np.ones_like(self.b)}
        rows = fa.Rows(rng.integers(0, n_rows, named), rng.standard_normal((named, WIDTH)))
        self.rows = {**self.dense, "w": rows}
        self.opt.step(self.rows)
        kept = io.BytesIO()
        self.opt.save(kept)
        self.file = kept.getvalue()

    def begin(self):
        """Go back to where every try begins: rows lag behind."""
        self.opt.hyper.momentum = 0.9
        self.opt.load(io.BytesIO(self.file))
        self.opt.step(self.rows)

    def operations(self):
        opt = self.opt
        X, y = self.dense["w"], self.w[:, 0] > 0
        # Scaling is left out: where there is no memory for the buffers of a product, NumPy 2.4 crashes.
        model = {"max_epochs": 2, "learning_rate": 0.1, "scale": "none"}
        return {
            "dense step": lambda: opt.step(self.dense),
            "step by rows": lambda: opt.step(self.rows),
            "flush": opt.flush,
            "read_rows": lambda: opt.read_rows("w", np.arange(0, self.n_rows, 2)),
            "state": lambda: {name: dict(slots) for name, slots in opt.state.items()},
            "save": lambda: opt.save(io.BytesIO()),
            "load": lambda: opt.load(io.BytesIO(self.file)),
            "twin": opt.twin,
            "set_params": lambda: opt.set_params({"w": self.dense["w"], "b": self.dense["b"]}),
            "a hyperparameter": lambda: setattr(opt.hyper, "momentum", 0.5),
            "another optimizer": lambda: fa.ADAGRAD(
                params=np.ones((self.n_rows, WIDTH)), learning_rate=0.1, momentum=0.9
            ),
            "a linear model": lambda: fa.LinearModel(**model).fit(X, y),
        }

    def contents(self):
        """Bits of all that counts, with every row caught up, and the number of steps."""
        self.opt.flush()
        slots = self.opt.state
        arrays = [self.w, self.b, *(slots[name][slot] for name in sorted(slots) for slot in sorted(slots[name]))]
        return [array.tobytes() for array in arrays], self.opt.steps, self.opt.hyper.momentum


def _virtual_memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _grow_stack():
    """Have the stack grow: the system ends a process whose stack cannot, and the limit is of that memory, too."""
    nested = []
    for _ in range(800):
        nested = [nested]
    repr(nested)


def _fill():
    """Take all memory that is to be had, in pieces of ever smaller size."""
    held, size = [], 1 << 20
    while size >= SMALLEST:
        try:
            while True:
                held.append(bytearray(size))
        except MemoryError:
            size //= 2
    return held


def with_memory(operation, room):
    """Run an operation with about so many bytes to spare; returns what it has raised, or None."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    raised, spare, held = None, bytearray(room), None
    gc.collect()
    gc.disable()
    _grow_stack()
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_virtual_memory(), limits[1]))
        held = _fill()
        del spare
        try:
            operation()
        except BaseException as error:
            raised = error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        del held
        gc.enable()
    return raised


def rooms(tries, seed):
    """Sizes of memory: hundreds of bytes apart at first, and at the end hundreds of kilobytes."""
    rng = np.random.default_rng(seed)
    return (np.geomspace(SMALLEST, 16 << 20, tries) * rng.uniform(0.9, 1.1, tries)).astype(int).tolist()


def try_all(name, tries, seed, n_rows):
    """Counts of the ends of an operation's tries, and what was wrong with some."""
    subject = Subject(seed, n_rows)
    operation = subject.operations()[name]
    subject.begin()
    before = subject.contents()
    subject.begin()
    operation()
    after = subject.contents()
    counts, wrong = collections.Counter(), []
    for room in rooms(tries, seed):
        subject.begin()
        error = with_memory(operation, room)
        counts["done" if error is None else type(error).__name__] += 1
        if error is not None and not isinstance(error, CONTRACT):
            wrong.append(f"{name} with {room} bytes: {''.join(traceback.format_exception(error))}")
        if error is not None and subject.contents() != before:
            wrong.append(f"{name} with {room} bytes: torn by {error!r}")
        if error is not None:
            subject.begin()
            with_memory(operation, room)
            operation()
        if subject.contents() != after:
            wrong.append(f"{name} with {room} bytes: other bits afterwards ({error!r})")
    return counts, wrong


def run(name, tries, seed, n_rows=ROWS):
    """The counts and faults of an operation, in a process of its own."""
    options = ["--operation", name, "--tries", str(tries), "--seed", str(seed), "--rows", str(n_rows)]
    command = [sys.executable, "-X", "faulthandler", __file__, *options]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return "", [f"{name}: status {done.returncode}\n{done.stdout[-500:]}{done.stderr[-3000:]}"]
    return lines[0], lines[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--operation")
    arguments = parser.parse_args()
    if arguments.operation:
        counts, wrong = try_all(arguments.operation, arguments.tries, arguments.seed, arguments.rows)
        print(", ".join(f"{end} {n}" for end, n in sorted(counts.items())))
        print("\n".join(wrong), end="")
        return 0
    faults, operations = 0, Subject(0).operations()
    for name in operations:
        ends, wrong = run(name, arguments.tries, arguments.seed, arguments.rows)
        print(f"{name}: {ends}", *wrong, sep="\n  ", flush=True)
        faults += len(wrong)
    print(f"{arguments.tries} tries of each of {len(operations)} operations, {faults} torn")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
