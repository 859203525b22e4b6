"""Optimizers and models whose files, in tests/recorded/first_version, were written by the code of version 0.1.0.

Run as a program, this module writes such files with the code that there is, and what training came to after them.
Nothing in it depends on a library's random numbers, sums or functions, so that every machine has the same bits.
"""

import sys
from pathlib import Path

import numpy as np
from places import RECORDED

import fastadagrad as fa

FOLDER = RECORDED / "first_version"
EXPECTED = FOLDER / "expected.npz"
SHAPES = {"table": (6, 2), "bias": (3,)}


def numbers(shape, seed, dtype):
    return ((np.arange(np.prod(shape, dtype=int)) * 7 + seed * 13) % 11 - 5).reshape(shape).astype(dtype) / 4


def params_of(dtype):
    return {name: numbers(shape, i, dtype) for i, (name, shape) in enumerate(SHAPES.items())}


def gradients_of(step, dtype, sparse):
    gradients = {name: numbers(shape, 3 + step + i, dtype) for i, (name, shape) in enumerate(SHAPES.items())}
    if sparse:
        gradients["table"] = fa.Rows(np.array([step % 6, 3, step % 6]), numbers((3, 2), step, dtype))
    return gradients


STEPPED = {
    "adagrad_momentum": ("adagrad", np.float32, False, {"learning_rate": 0.1, "momentum": 0.5, "nesterov": True}),
    "adagrad_groups": (
        "adagrad",
        np.float64,
        False,
        {
            "learning_rate": 0.1,
            "accumulator": "row",
            "lr_decay": 0.5,
            "groups": {"bias": {"accumulator": "element", "weight_decay": 0.25, "max_gradient_elem": 0.5}},
        },
    ),
    "adagrad_frozen": ("adagrad", np.float32, False, {"learning_rate": 0.1, "groups": {"bias": {"frozen": True}}}),
    "adagrad_rows": ("adagrad", np.float32, True, {"learning_rate": 0.1, "momentum": 0.5, "lazy": "touched"}),
    "adam": ("adam", np.float64, False, {"learning_rate": lambda t: 0.5 / (t + 1), "beta1_halflife": 1}),
    "rmsprop": ("rmsprop", np.float32, False, {"learning_rate": 0.1, "centered": False, "rms_halflife": 1}),
    "ftrl": ("ftrl", np.float64, False, {"learning_rate": 0.5, "ftrl_l1": 0.125}),
    "cocob": ("cocob", np.float32, False, {}),
    "dog": ("dog", np.float64, False, {"initial_distance": 0.125}),
    "dadapt_adagrad": ("dadapt_adagrad", np.float64, False, {"initial_distance": 0.125}),
}


def stepped(case):
    """An optimizer as it was made, and a function that steps it from one step to another."""
    algo, dtype, sparse, hyper = STEPPED[case]
    opt = fa.build(algo, params=params_of(dtype), **hyper)

    def go_on(first, last):
        for step in range(first, last):
            opt.step(gradients_of(step, dtype, sparse))

    return opt, go_on


def pulled(w, x):
    """A loss whose values and gradients need no sums."""
    return float(abs(w - x[0]).max()), w - x[0]


def iterated():
    """An optimizer, its data, and the arguments of the iteration in which it was saved."""
    w = np.array([4.0, -2.0, 1.0])
    opt = fa.ADAGRAD(pulled, w, learning_rate=lambda t: 1 / (t + 1), validate_every=1)
    data = fa.Dataset(numbers((7, 3), 0, float), name="training", batch_size=1, rng=3)
    return opt, data, {"max_updates": 19, "momentum": 0.5, "patience": 9}


ROWS = numbers((40, 3), 1, float) + numbers((40, 1), 5, float) / 8
MODELS = {
    "logistic": ({"loss": "logistic", "max_epochs": 2, "l1": 0.01}, ROWS[:, 0] > ROWS[:, 1]),
    "softmax": ({"max_epochs": 2, "dtype": np.float64}, np.array(["low", "mid", "high"])[np.argmax(ROWS, axis=1)]),
    "squared": ({"loss": "squared", "max_epochs": 2, "learning_rate": 0.25}, ROWS[:, 0] - 2 * ROWS[:, 2]),
}


def results_of(opt):
    """All arrays of an optimizer by names that a file can have."""
    found = {f"param.{name}": array for name, array in opt.params.items()}
    for name, slots in opt.state.items():
        found |= {f"{slot}.{name}": array for slot, array in slots.items()}
    return {key: np.array(array) for key, array in found.items()}


def write(folder):
    expected = {}
    for case in STEPPED:
        opt, go_on = stepped(case)
        go_on(0, 3)
        opt.save(folder / f"{case}.npz")
        go_on(3, 6)
        expected |= {f"{case}.{key}": array for key, array in results_of(opt).items()}
    opt, data, how = iterated()
    for epoch, _ in enumerate(opt.iterate(data, **how), 1):
        if epoch == 1:
            opt.save(folder / "iterated.npz")
    expected |= {f"iterated.{key}": array for key, array in results_of(opt).items()}
    expected["iterated.best"] = np.array([opt.best.loss, opt.best.epoch, opt.best.steps])
    for case, (how, labels) in MODELS.items():
        model = fa.LinearModel(**how).fit(ROWS, labels)
        model.save(folder / f"{case}.npz")
        expected |= {f"{case}.scores": model.decision_function(ROWS), f"{case}.labels": model.predict(ROWS)}
    np.savez(folder / "expected.npz", **expected)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
