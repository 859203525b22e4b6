"""Python threads that step many optimizers, or all one, while they save and read: the right bits, no abort, no hang.

``python tests/tools/threaded_steps.py --layers omp workqueue tbb --threads 8 --steps 10000`` does so under each of
Numba's threading layers, each in a process of its own. tbb needs libtbb, in LD_LIBRARY_PATH say.

many      each thread has an optimizer of its own, dense, by rows or with rows that lag behind, and its own gradients;
          it ends with the bits of the same steps made alone
shared    all threads step one optimizer with equal gradients, whose order does not matter; it ends with the bits of as
          many steps made alone, and every file and every row read on the way is of one whole step
"""

import argparse
import faulthandler
import io
import os
import subprocess
import sys
import threading
import time

import numba
import numpy as np

import fastadagrad as fa
from fastadagrad.host import place

SOME_KINDS, ROWS, WIDTH = 16, 300, 4  # of gradients that come in turns
KINDS = {
    "dense": ({"learning_rate": 0.1}, "dense"),
    "dense with options": ({"learning_rate": 0.1, "momentum": 0.9, "max_global_norm": 5.0}, "dense"),
    "rows": ({"learning_rate": 0.1}, "rows"),
    "an accumulator a row": ({"learning_rate": 0.1, "accumulator": "row"}, "rows"),
    "rows that lag behind": ({"learning_rate": 0.1, "momentum": 0.9}, "rows"),
    "rows that shrink": ({"learning_rate": 0.1, "l1": 1e-4}, "rows"),
    "one accumulator": ({"learning_rate": 0.1, "accumulator": "tensor"}, "rows"),
    "rows made dense": ({"learning_rate": 0.1, "momentum": 0.5, "lazy": "dense"}, "rows"),
}


class Subject:
    """An optimizer of one kind, its gradients, and what it does beside stepping."""

    def __init__(self, kind, equal_gradients):
        (hyper, form), rng = KINDS[kind], np.random.default_rng(len(kind))
        self.params = {"w": np.ones((ROWS, WIDTH)), "b": np.ones(50, np.float32)}
        self.opt = fa.ADAGRAD(params=self.params, **hyper)
        self.files = []
        some = 1 if equal_gradients else SOME_KINDS
        self.gradients = [self._gradient(form, rng) for _ in range(some)]

    @staticmethod
    def _gradient(form, rng):
        b = rng.standard_normal(50).astype(np.float32)
        if form == "dense":
            return {"w": rng.standard_normal((ROWS, WIDTH)), "b": b}
        indices = rng.integers(0, ROWS, 60)  # some are named twice
        return {"w": fa.Rows(indices, rng.standard_normal((60, WIDTH))), "b": b}

    def step(self, steps, every=0, offset=0):
        """Make so many steps; every so many, save, or read in one of several ways."""
        opt, some = self.opt, len(self.gradients)
        for k in range(steps):
            opt.step(self.gradients[k % some])
            if every and (k + offset) % every == 0:
                self._look((k + offset) // every)

    def _look(self, number):
        if number % 3 == 0:
            self.opt.save(file := io.BytesIO())
            self.files.append(file.getvalue())
        elif number % 3 == 1:
            self.opt.read_rows("w", np.arange(0, ROWS, 7))
        else:
            dict(self.opt.state["w"])

    def contents(self):
        self.opt.flush()
        slots = self.opt.state
        arrays = [*self.params.values(), *(a for name in sorted(slots) for _, a in sorted(slots[name].items()))]
        return b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)


def at_once(functions):
    """Call functions in threads of their own; the errors that they have raised."""
    errors, gate = [], threading.Barrier(len(functions))

    def work(function):
        try:
            gate.wait()
            function()
        except BaseException as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=work, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def many(kinds, threads, steps, every):
    """Errors of threads with an optimizer each, of these kinds in turns."""
    kinds = [kinds[i % len(kinds)] for i in range(threads)]
    together = [Subject(kind, False) for kind in kinds]
    wrong = at_once([lambda one=one: one.step(steps, every) for one in together])
    alone = {}
    for kind, one in zip(kinds, together, strict=True):
        if kind not in alone:
            reference = Subject(kind, False)
            reference.step(steps, every)
            alone[kind] = reference.contents()
        if one.opt.steps != steps or one.contents() != alone[kind]:
            wrong.append(f"many, {kind}: other bits after {one.opt.steps} steps than alone")
        wrong += [f"many, {kind}: {fault}" for fault in _faults_of_files(kind, one.files, None)]
    return wrong, sum(len(one.files) for one in together)


def shared(kind, threads, steps, every):
    """Errors of threads that share an optimizer."""
    one = Subject(kind, True)
    wrong = at_once([lambda i=i: one.step(steps, every, offset=i * every // threads) for i in range(threads)])
    alone, wanted = Subject(kind, True), {}
    numbers = sorted({_steps_of(kind, file) for file in one.files})
    made = 0
    for number in [*numbers, threads * steps]:
        alone.step(number - made)
        made, wanted[number] = number, alone.contents()
    if one.opt.steps != threads * steps or one.contents() != wanted[threads * steps]:
        wrong.append(f"shared, {kind}: other bits after {one.opt.steps} steps than alone")
    wrong += [f"shared, {kind}: {fault}" for fault in _faults_of_files(kind, one.files, wanted)]
    return wrong, len(one.files)


def _loaded(kind, file):
    other = Subject(kind, True)
    other.opt.load(io.BytesIO(file))
    return other


def _steps_of(kind, file):
    return _loaded(kind, file).opt.steps


def _faults_of_files(kind, files, wanted):
    """What is wrong with files; `wanted` are the bits after some numbers of steps.

    No kind whose rows lag behind is shared: a file catches them up, and that rounds otherwise than a run without files.
    """
    faults = []
    for file in files:
        try:
            other = _loaded(kind, file)
        except Exception as error:
            faults.append(f"a file cannot be loaded: {error!r}")
            continue
        if wanted is not None and other.contents() != wanted[other.opt.steps]:
            faults.append(f"a file of {other.opt.steps} steps is not of one whole step")
    return faults


def run_here(threads, steps, every, kinds, shared_kinds):
    """Do all in this process; prints a line and returns the number of faults."""
    sys.setswitchinterval(1e-5)
    place.PARALLEL_FROM = 1 << 10  # elements: the dense gradients are shared among Numba's threads
    for kind in {*kinds, *shared_kinds}:  # compile
        one = Subject(kind, True)
        one.step(2, 1)
        one.contents()
    faulthandler.dump_traceback_later(300 + threads * steps // 20, exit=True)  # a hang
    begun = time.monotonic()
    wrong, files = many(kinds, threads, steps, every)
    for kind in shared_kinds:
        found, more = shared(kind, threads, steps, every)
        wrong, files = wrong + found, files + more
    seconds = time.monotonic() - begun
    total = threads * steps * (1 + len(shared_kinds))
    did = f"{threads} threads x {steps} steps, {total} steps, {files} files"
    print(f"{numba.threading_layer()}: {did}, {len(wrong)} faults, {seconds:.0f} s")
    print(*wrong[:20], sep="\n", end="")
    return len(wrong)


def run(layer, threads, steps, every, shared_kinds, kinds=(*KINDS,)):
    """The same in a process of its own, under a layer; None if there is no such layer here."""
    options = ["--threads", threads, "--steps", steps, "--every", every, "--kinds", *kinds, "--shared", *shared_kinds]
    command = [sys.executable, "-X", "faulthandler", __file__, "--here", *map(str, options)]
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "No threading layer could be loaded" in done.stderr:
        return None
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="+", default=["omp", "workqueue", "tbb"])
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=97, help="steps from one save or read of a thread to the next")
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], choices=[*KINDS], help="of optimizers that are many")
    parser.add_argument("--shared", nargs="*", default=["dense with options", "rows"], choices=[*KINDS])
    parser.add_argument("--here", action="store_true", help="in this process, under its own layer")
    given = parser.parse_args()
    if given.here:
        return bool(run_here(given.threads, given.steps, given.every, given.kinds, given.shared))
    status, right = 0, []
    for layer in given.layers:
        done = run(layer, given.threads, given.steps, given.every, given.shared, given.kinds)
        if done is None:
            print(f"{layer}: not installed", flush=True)
            continue
        print(done.stdout, end="", flush=True)
        if done.returncode or not done.stdout.startswith(f"{layer}: "):
            status = 1
            print(f"{layer}: status {done.returncode}\n{done.stderr[-4000:]}", flush=True)
        else:
            right.append(layer)
    steps = given.threads * given.steps * (1 + len(given.shared))
    print(f"{given.threads} threads, {steps} steps without a fault under each of: {', '.join(right)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
