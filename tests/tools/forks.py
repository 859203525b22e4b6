"""Processes that begin while optimizers are used: the right bits, no abort, no hang.

``python tests/tools/forks.py --repeat 50`` starts so many processes in each of twelve scenarios, every way in which
multiprocessing starts processes (fork, forkserver, spawn) in every situation:

after       optimizers have been stepped, also on several threads
stepping    another thread steps, and the process begins in the midst of it
compiling   another thread compiles, and so does the process
nested      the process has a pool of its own, started in the same way, whose processes step
"""

import argparse
import contextlib
import faulthandler
import itertools
import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
from meanwhile import meanwhile

import fastadagrad as fa

METHODS, SITUATIONS = ("fork", "forkserver", "spawn"), ("after", "stepping", "compiling", "nested")
LARGE = 300_000  # elements: a step is shared among threads
PATIENCE = 120.0  # seconds after which a process counts as hanging
RIGHT = 0


class Inherited:
    """An optimizer that forked processes find and go on with: each element's accumulator is the number of steps."""

    def __init__(self):
        self.params = {"large": np.zeros(LARGE), "b": np.zeros(2000, np.float32)}  # two launches a step
        self.gradients = {name: np.ones_like(array) for name, array in self.params.items()}
        self.opt = fa.ADAGRAD(params=self.params, learning_rate=0.1, momentum=0.5)

    def step(self):
        self.opt.step(self.gradients)

    def is_whole(self):
        counts = [slots["accumulator"] for slots in self.opt.state.values()]
        return all(bool((count == self.opt.steps).all()) for count in counts)


inherited = None  # in a process that has been forked from one that had it


def own_steps(seed):
    """Parameters after some steps of all kinds, dense ones on several threads where there may be some."""
    rng = np.random.default_rng(seed)
    w, table = np.zeros(LARGE), np.ones((500, 4))
    opt = fa.ADAGRAD(params={"w": w, "table": table}, learning_rate=0.1, momentum=0.9)
    for _ in range(3):
        rows = fa.Rows(rng.integers(0, 500, 80), rng.standard_normal((80, 4)))
        opt.step({"w": rng.standard_normal(LARGE), "table": rows})
    opt.flush()
    return w.tobytes() + table.tobytes()


def kernel(n):
    """A kernel that no other process has compiled, and that is not kept."""
    from fastadagrad.kernels.jit import compiled

    made = compiled(lambda x: x * n + 1)
    made._cache.disable()
    return made


def is_right(seed, expected, number):
    """What each process checks; `number` is not None where it compiles."""
    if inherited is not None:
        before = inherited.is_whole()
        inherited.step()
        if not before or not inherited.is_whole():
            return False
    if number is not None and kernel(number)(3) != 3 * number + 1:
        return False
    return own_steps(seed) == expected


def begin(method, seed, expected, number, nested):
    """The work of a process."""
    faulthandler.dump_traceback_later(PATIENCE - 5, exit=True)
    right = is_right(seed, expected, number)
    if nested:
        with multiprocessing.get_context(method).Pool(2) as pool:
            right &= all(pool.starmap(is_right, [(seed, expected, None)] * 4, 1))
    sys.exit(RIGHT if right else 9)


def run_here(method, situation, repeat):
    """Start processes in one scenario; the ends of those that did not end well."""
    global inherited
    context, seed = multiprocessing.get_context(method), 7
    if method == "forkserver":
        context.set_forkserver_preload(["fastadagrad.adaptive"])
    inherited = Inherited()
    inherited.step()
    expected, numbers, wrong = own_steps(seed), itertools.count(2), []
    work = {"stepping": inherited.step, "compiling": lambda: kernel(next(numbers))(3)}.get(situation)
    with meanwhile(work) if work else contextlib.nullcontext():
        for i in range(repeat):
            time.sleep(0.002 * (i % 7))
            number = next(numbers) if situation == "compiling" else None
            process = context.Process(target=begin, args=(method, seed, expected, number, situation == "nested"))
            process.start()
            process.join(PATIENCE)
            if process.exitcode is None:
                process.kill()
                wrong.append(f"process {i} hangs")
            elif process.exitcode != RIGHT:
                wrong.append(f"process {i} ended with {process.exitcode}")
    inherited.step()
    if not inherited.is_whole():
        wrong.append("the parent has a torn step")
    return wrong


def run(method, situation, repeat, layer="omp"):
    """The same in a process of its own: what was wrong, in words; None if there is no such threading layer here."""
    of_numba = {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    environment = {**os.environ, **of_numba, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}
    # Python's forkserver warns at its end that semaphores of the pools of its children have been left.
    ignored = ["-W", "ignore::DeprecationWarning", "-W", "ignore::UserWarning:multiprocessing.resource_tracker"]
    options = ["--scenario", method, situation, "--repeat", str(repeat)]
    command = [sys.executable, *ignored, __file__, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "No threading layer could be loaded" in done.stderr:
        return None
    if done.returncode or done.stderr or done.stdout != "done\n":
        return f"status {done.returncode}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--layer", default="omp")
    parser.add_argument("--scenario", nargs=2, metavar=("METHOD", "SITUATION"), help="in this process")
    given = parser.parse_args()
    if given.scenario:
        wrong = run_here(*given.scenario, given.repeat)
        print(*wrong, "done", sep="\n")
        return 0
    faults, scenarios = 0, [*itertools.product(METHODS, SITUATIONS)]
    for method, situation in scenarios:
        begun = time.monotonic()
        wrong = run(method, situation, given.repeat, given.layer)
        faults += bool(wrong)
        outcome = "not installed" if wrong is None else wrong or f"{given.repeat} of {given.repeat} right"
        print(f"{method}, {situation}: {outcome}, {time.monotonic() - begun:.0f} s", flush=True)
    right = f"{len(scenarios) - faults} of {len(scenarios)} scenarios"
    print(f"{right}: each of {given.repeat} processes with the right bits, no abort, no hang")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
