"""Which learning rates a search suggests, and what training at them comes to.

For each problem and method: the loss on unseen examples (without data: the loss) after a whole training at the
suggestion, as a multiple of the lowest that any rate of a grid gives. A run at each rate, as made by
`fastadagrad.find_learning_rate`, is compared with Smith's range test, one run whose rate grows, read in three ways.

    python bench/rate_searches.py
"""

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np

import fastadagrad as fa
from fastadagrad.compare import Task
from fastadagrad.compare.problems import problem_named, task_of

GRID = 10.0 ** np.arange(-5, 2.01, 0.25)
SWEEP_STEPS, KEPT = 300, 0.95
METHODS = {
    "adagrad": ("adagrad", {}),
    "adagrad, momentum": ("adagrad", {"momentum": 0.9}),
    "adagrad_da": ("adagrad_da", {}),
    "ftrl": ("ftrl", {}),
    "sgd": ("sgd", {}),
    "sgd, momentum": ("sgd", {"momentum": 0.9}),
    "rmsprop": ("rmsprop", {"centered": False}),
    "adam": ("adam", {}),
}
ACCUMULATE = 4  # of them, the first


PROBLEMS = ("digits-softmax", "digits-mlp", "factorisation", "quadratic-rotated", "rosenbrock")


class Subject(NamedTuple):
    """A problem of `fastadagrad compare`, without data if it has none."""

    task: Task
    epochs: int

    def optimizer(self, method, rate):
        name, hyper = METHODS[method]
        return fa.build(name, self.task.loss, self.task.copied(), learning_rate=rate, nonfinite="ignore", **hyper)


def subject(name):
    task = task_of(problem_named(name), 0)
    return Subject(task, task.epochs * (1 if task.train else task.updates))


def trained(problem, method, rate):
    """Loss after a whole training."""
    opt, task = problem.optimizer(method, rate), problem.task
    often = 1 if task.train else 10
    limits = {"max_epochs": problem.epochs, "validate_every": often, "patience": problem.epochs}
    _, valid = opt.minimize(task.train, task.valid, batch_size=task.batch_size, rng=0, **limits)
    return valid["loss"] if math.isfinite(valid["loss"]) else math.inf


def range_test(problem, method, lowest=1e-6, highest=100.0):
    """Smith's: the rate of the lowest smoothed loss, a tenth of that, and where the loss falls fastest."""
    rates = np.geomspace(lowest, highest, SWEEP_STEPS)
    opt = problem.optimizer(method, lambda t: rates[min(t, SWEEP_STEPS - 1)])
    mean, smoothed = 0.0, []
    task = problem.task
    data = task.train and fa.Dataset(task.train, batch_size=task.batch_size, iteration_size=SWEEP_STEPS, rng=0)
    for batch in [()] * SWEEP_STEPS if data is None else data:
        value = opt._session.train_on(batch)["loss"]
        if not math.isfinite(value):
            break
        mean = KEPT * mean + (1 - KEPT) * value
        smoothed.append(mean / (1 - KEPT ** (len(smoothed) + 1)))
    lowest_at = int(np.argmin(smoothed))
    steepest = rates[np.diff(smoothed[: max(3, lowest_at)]).argmin()]
    return {"range test, lowest": rates[lowest_at], "a tenth": rates[lowest_at] / 10, "steepest": steepest}


def main():
    excesses = defaultdict(list)
    print(f"{'problem':18} {'method':18} {'best rate':>10}  suggestions, each with the multiple of the lowest loss")
    for problem_name in PROBLEMS:
        problem = subject(problem_name)
        for number, method in enumerate(METHODS):
            losses = np.array([trained(problem, method, rate) for rate in GRID])
            search = fa.find_learning_rate(problem.optimizer(method, 0.1), problem.task.train, highest=100.0, rng=0)
            found = {"runs": search.learning_rate, "runs, half": search.rates[search.losses.argmin()] / 2}
            shown = []
            for name, rate in {**found, **range_test(problem, method)}.items():
                excess = trained(problem, method, rate) / losses.min()
                if problem_name != "rosenbrock":
                    excesses[number < ACCUMULATE, name].append(excess)
                shown.append(f"{name} {rate:.2g} ({excess:.3g})")
            print(f"{problem_name:18} {method:18} {GRID[losses.argmin()]:10.2g}  {'; '.join(shown)}", flush=True)
    print("\nwithout rosenbrock, whose valley a short run hardly sees:")
    for (accumulate, name), values in excesses.items():
        kind = "accumulators that grow" if accumulate else "others"
        print(f"{kind:22} {name:18} geometric mean {np.exp(np.log(values).mean()):.3g}, worst {max(values):.3g}")


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main()
