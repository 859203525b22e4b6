"""Which learning rates a search suggests, and what training at them comes to.

For each problem and method: the loss on unseen examples (Rosenbrock's function: the loss) after a whole training at the
suggestion, as a multiple of the lowest that any rate of a grid gives. A run at each rate, as made by
`fastadagrad.find_learning_rate`, is compared with Smith's range test, one run whose rate grows, read in three ways.

    python bench/rate_searches.py
"""

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

import fastadagrad as fa

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


class Problem(NamedTuple):
    loss: object
    start: dict
    train: list | None
    valid: list | None
    epochs: int

    def optimizer(self, method, rate):
        name, hyper = METHODS[method]
        params = {name: array.copy() for name, array in self.start.items()}
        return fa.build(name, self.loss, params, learning_rate=rate, nonfinite="ignore", lazy="dense", **hyper)


def split(arrays, share=0.8):
    """Training and validation examples, shuffled."""
    order = np.random.default_rng(0).permutation(len(arrays[0]))
    n = int(share * len(order))
    return [a[order[:n]] for a in arrays], [a[order[n:]] for a in arrays]


def cross_entropy(scores, labels):
    """Mean loss and its slope for each score."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    slope, rows = shifted / shifted.sum(axis=1, keepdims=True), np.arange(len(labels))
    value = -np.log(slope[rows, labels]).mean()
    slope[rows, labels] -= 1
    return value, slope / len(labels)


def softmax():
    x, y = load_digits(return_X_y=True)

    def loss(p, x, y):
        value, slope = cross_entropy(x @ p["W"] + p["b"], y)
        return value, {"W": x.T @ slope, "b": slope.sum(axis=0)}

    return Problem(loss, {"W": np.zeros((64, 10)), "b": np.zeros(10)}, *split([x / 16, y]), 10)


def network():
    (x, y), rng = load_digits(return_X_y=True), np.random.default_rng(1)
    start = {"A": rng.standard_normal((64, 32)) / 8, "B": rng.standard_normal((32, 10)) / 6, "b": np.zeros(10)}

    def loss(p, x, y):
        hidden = np.tanh(x @ p["A"])
        value, slope = cross_entropy(hidden @ p["B"] + p["b"], y)
        back = (slope @ p["B"].T) * (1 - hidden**2)
        return value, {"A": x.T @ back, "B": hidden.T @ slope, "b": slope.sum(axis=0)}

    return Problem(loss, start, *split([x / 16, y]), 10)


def logistic():
    x, y = load_breast_cancer(return_X_y=True)

    def loss(p, x, y):
        margin = y * (x @ p["w"] + p["b"])
        slope = -y / (1 + np.exp(margin)) / len(y)
        return np.logaddexp(0, -margin).mean(), {"w": x.T @ slope, "b": slope.sum(keepdims=True)}

    train, valid = split([(x - x.mean(axis=0)) / x.std(axis=0), 2.0 * y - 1])
    return Problem(loss, {"w": np.zeros(30), "b": np.zeros(1)}, train, valid, 20)


def factorisation():
    rng = np.random.default_rng(1)
    y = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 40)) + rng.standard_normal((300, 40))
    i, j = np.nonzero(rng.random(y.shape) < 0.5)
    start = {"u": 0.3 * rng.standard_normal((300, 5)), "v": 0.3 * rng.standard_normal((40, 5))}

    def loss(p, i, j, y):
        u, v = p["u"][i], p["v"][j]
        error = (u * v).sum(axis=1) - y
        slope = (2 * error / len(y))[:, None]
        return (error**2).mean(), {"u": fa.Rows(i, slope * v), "v": fa.Rows(j, slope * u)}

    return Problem(loss, start, *split([i, j, y[i, j]]), 10)


def rosenbrock():
    x = np.full(10, -1.2)
    x[1::2] = 1.0

    def loss(p):
        x = p["x"]
        step, rest, gradient = x[1:] - x[:-1] ** 2, 1 - x[:-1], np.zeros_like(x)
        gradient[:-1] = -400 * x[:-1] * step - 2 * rest
        gradient[1:] += 200 * step
        return 100 * step @ step + rest @ rest, {"x": gradient}

    return Problem(loss, {"x": x}, None, None, 2000)


def trained(problem, method, rate):
    """Loss after a whole training."""
    opt, data = problem.optimizer(method, rate), (problem.train, problem.valid)
    often = 1 if problem.train else 10
    _, valid = opt.minimize(*data, max_epochs=problem.epochs, validate_every=often, patience=problem.epochs, rng=0)
    return valid["loss"] if math.isfinite(valid["loss"]) else math.inf


def range_test(problem, method, lowest=1e-6, highest=100.0):
    """Smith's: the rate of the lowest smoothed loss, a tenth of that, and where the loss falls fastest."""
    rates = np.geomspace(lowest, highest, SWEEP_STEPS)
    opt = problem.optimizer(method, lambda t: rates[min(t, SWEEP_STEPS - 1)])
    mean, smoothed = 0.0, []
    data = None if problem.train is None else fa.Dataset(problem.train, iteration_size=SWEEP_STEPS, rng=0)
    for batch in [()] * SWEEP_STEPS if data is None else data:
        value = opt.train_on(batch)["loss"]
        if not math.isfinite(value):
            break
        mean = KEPT * mean + (1 - KEPT) * value
        smoothed.append(mean / (1 - KEPT ** (len(smoothed) + 1)))
    lowest_at = int(np.argmin(smoothed))
    steepest = rates[np.diff(smoothed[: max(3, lowest_at)]).argmin()]
    return {"range test, lowest": rates[lowest_at], "a tenth": rates[lowest_at] / 10, "steepest": steepest}


def main():
    excesses = defaultdict(list)
    print(f"{'problem':14} {'method':18} {'best rate':>10}  suggestions, each with the multiple of the lowest loss")
    for make in (softmax, network, logistic, factorisation, rosenbrock):
        problem = make()
        for number, method in enumerate(METHODS):
            losses = np.array([trained(problem, method, rate) for rate in GRID])
            search = fa.find_learning_rate(problem.optimizer(method, 0.1), problem.train, highest=100.0, rng=0)
            found = {"runs": search.learning_rate, "runs, half": search.rates[search.losses.argmin()] / 2}
            shown = []
            for name, rate in {**found, **range_test(problem, method)}.items():
                excess = trained(problem, method, rate) / losses.min()
                if make is not rosenbrock:
                    excesses[number < ACCUMULATE, name].append(excess)
                shown.append(f"{name} {rate:.2g} ({excess:.3g})")
            print(f"{make.__name__:14} {method:18} {GRID[losses.argmin()]:10.2g}  {'; '.join(shown)}", flush=True)
    print("\nwithout rosenbrock, whose valley a short run hardly sees:")
    for (accumulate, name), values in excesses.items():
        kind = "accumulators that grow" if accumulate else "others"
        print(f"{kind:22} {name:18} geometric mean {np.exp(np.log(values).mean()):.3g}, worst {max(values):.3g}")


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main()
