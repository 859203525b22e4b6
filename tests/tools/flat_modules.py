"""Optimizers and models whose files, in tests/recorded/flat_modules, were written before modules were put into rooms.

As of `first_version`, whose files are older: here are those kinds of state of which it has none, among them rows that
were lagging behind when the file was written and do so again when it is read. What they have missed is made up for by
powers in float64, of which float32 parameters show no last place.

Run as a program, with tests/tools on PYTHONPATH, this module writes such files with the code that there is, and digests
of what came after them.
"""

import sys
from pathlib import Path

import digests
import numpy as np
import scipy.sparse
from first_version import ROWS, numbers, params_of, results_of
from places import RECORDED

import fastadagrad as fa

FOLDER = RECORDED / "flat_modules"
EXPECTED = FOLDER / "digests.txt"
SAVED, MORE = 5, 10  # steps

# Method, dtype, whether gradients are of rows, hyperparameters
STEPPED = {
    "adagrad": ("adagrad", np.float32, False, {"learning_rate": 0.1}),
    "lagging_momentum": ("adagrad", np.float32, True, {"learning_rate": 0.1, "momentum": 0.5}),
    "lagging_schedule": ("sgd", np.float32, True, {"learning_rate": lambda t: 0.5 / (t + 1), "momentum": 0.5}),
    "lagging_penalty": ("adagrad", np.float32, True, {"learning_rate": 0.1, "l1": 0.125, "accumulator": "row"}),
    "tensor": ("adagrad", np.float64, False, {"learning_rate": 0.1, "accumulator": "tensor", "max_global_norm": 0.5}),
    "amsgrad": ("adam", np.float64, False, {"learning_rate": 0.1, "amsgrad": True, "beta1_halflife": 1}),
    "adagrad_da": ("adagrad_da", np.float64, False, {"learning_rate": 0.5, "rda_l1": 0.125}),
    "ftrl_rows": ("ftrl", np.float32, True, {"learning_rate": 0.5, "ftrl_l1": 0.125}),
    "rda": ("rda", np.float32, False, {"learning_rate": 0.5, "rda_l1": 0.125}),
    "rprop": ("rprop", np.float32, False, {"learning_rate": 0.25, "rprop_increase": 1.5, "rprop_decrease": 0.5}),
    "adadelta": ("adadelta", np.float32, False, {"rms_halflife": 1}),
    "nag": ("nag", np.float64, False, {"learning_rate": 0.1, "momentum": 0.5}),
    "esgd": ("esgd", np.float64, False, {"learning_rate": 0.1, "averaged": True, "hv_rng": 3}),
    "dowg": ("dowg", np.float64, False, {"initial_distance": 0.125}),
}


def gradients_of(step, dtype, sparse):
    """Of a table and a bias; rows are named after others have been for some steps."""
    gradients = {name: numbers(p.shape, 3 + step + i, dtype) for i, (name, p) in enumerate(params_of(dtype).items())}
    if sparse:
        gradients["table"] = fa.Rows(np.array([step % 3, (step + 1) % 6]), numbers((2, 2), step, dtype))
    return gradients


def stepped(case):
    """An optimizer as it was made, and a function that steps it from one step to another."""
    algo, dtype, sparse, hyper = STEPPED[case]
    opt = fa.build(algo, params=params_of(dtype), **hyper)

    def go_on(first, last):
        for step in range(first, last):
            gradients = gradients_of(step, dtype, sparse)
            if algo == "esgd":
                opt.step(gradients, opt.draw_vectors())
            else:
                opt.step(gradients)

    return opt, go_on


SPARSE = scipy.sparse.csr_array(np.where(ROWS > 0.25, ROWS, 0.0))
LABELS = np.array(["low", "mid", "high"])[np.argmax(ROWS, axis=1)]
# Keyword arguments, examples and labels
MODELS = {
    "sparse_logistic": ({"loss": "logistic", "max_epochs": 2, "momentum": 0.5}, SPARSE, ROWS[:, 0] > ROWS[:, 1]),
    "hashed_logistic": ({"max_epochs": 2, "hash_bits": 1, "l2": 0.01}, SPARSE, ROWS[:, 0] > ROWS[:, 1]),
    "sparse_softmax": ({"max_epochs": 2, "scale": "maxabs", "validation": 0.25}, SPARSE, LABELS),
    "hinge": ({"loss": "hinge", "max_epochs": 2, "batch_size": 4, "dtype": np.float64}, ROWS, ROWS[:, 0] > ROWS[:, 1]),
}


def results_of_model(model, examples):
    labels = np.asarray(model.predict(examples))
    found = {"coefficients": model.coef_, "intercept": model.intercept_, "scores": model.decision_function(examples)}
    return {**found, "labels": np.array([str(label) for label in labels.tolist()])}


def write(folder):
    found = {}
    for case in STEPPED:
        opt, go_on = stepped(case)
        go_on(0, SAVED)
        opt.save(folder / f"{case}.npz")
        go_on(SAVED, SAVED + MORE)
        found[case] = digests.digest_of(results_of(opt))
    for case, (how, examples, labels) in MODELS.items():
        model = fa.LinearModel(**how).fit(examples, labels)
        model.save(folder / f"{case}.npz")
        found[case] = digests.digest_of(results_of_model(model, examples))
    (folder / "digests.txt").write_text(digests.written(found))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
