"""Batches divided among processes, for which threads stand in, against the formula in NumPy, bit for bit."""

import numpy as np
import pytest
from in_step import run
from linear_oracle import LEVEL, epoch, oracle_of, to_sparse
from oracle import bits_differ

import fastadagrad as fa
from fastadagrad.engine.options import make_settings
from fastadagrad.kernels.linear.layouts import Dense, WeighedDense, WeighedSparse
from fastadagrad.linear.divided import DividedTrainer, Together
from fastadagrad.linear.targets import Targets

SIZES, FEATURES, BATCH = (1, 2, 3, 4, 7), 21, 9


# Method, its options, layout, lazy, classes, whether examples are weighed, dtype
CASES = {
    "dense": ("ADAGRAD", {}, "dense", "exact", 0, False, np.float32),
    "sparse": ("ADAGRAD", {}, "sparse", "touched", 0, False, np.float32),
    "dense softmax": ("ADAGRAD", {}, "dense", "exact", 3, False, np.float32),
    "sparse softmax": ("ADAGRAD", {"l1": 0.01}, "sparse", "touched", 3, False, np.float64),
    "dense, weighed": ("SGD", {}, "dense", "exact", 0, True, np.float64),
    "sparse, weighed": ("SGD", {"l1": 0.01}, "sparse", "touched", 0, True, np.float32),
    "momentum": ("ADAGRAD", {"momentum": 0.5, "nesterov": True}, "sparse", "touched", 0, False, np.float32),
    "all features": ("ADAGRAD", {"momentum": 0.5}, "sparse", "dense", 0, False, np.float32),
    "other rates in each step": ("Adam", {}, "sparse", "touched", 0, False, np.float32),
    "placed anew": ("RDA", {"rda_l1": 0.002}, "sparse", "exact", 0, False, np.float32),
}


def make_examples(classes, dtype, n=52):
    rng = np.random.default_rng(classes)
    X = rng.normal(size=(n, FEATURES))
    X[rng.random(X.shape) < 0.7] = 0
    X[3] = 0
    labels = rng.integers(0, classes, n) if classes else np.where(X[:, :4].sum(1) + 0.3 * X[:, 4] > 0, 1.0, -1.0)
    importance = rng.uniform(0.5, 2, n).astype(dtype)
    return X.astype(dtype), labels.astype(dtype), rng.permutation(n), importance


def expected(size, case):
    """Losses of two epochs, and the oracles of the weights and the intercept."""
    name, hyper, layout, lazy, classes, weighed, dtype = CASES[case]
    X, labels, order, importance = make_examples(classes, dtype)
    shape = (FEATURES, classes) if classes else (FEATURES,)
    free = {key: x for key, x in hyper.items() if not key.endswith("l1")}
    features = oracle_of(name, np.zeros(shape, dtype), learning_rate=0.1, **hyper)
    constant = oracle_of(name, np.zeros((1, *shape[1:]), dtype), learning_rate=0.1, **free)
    losses = [
        epoch(
            X,
            labels,
            order,
            BATCH,
            "logistic",
            classes,
            lambda: features.p,
            lambda: constant.p,
            lambda g, chosen: features.step(g[chosen], chosen),
            constant.step,
            layout == "dense",
            lazy == "touched",
            importance if weighed else None,
            size,
        )
        for _ in range(2)
    ]
    return losses, features, constant


def trained(processes, case):
    name, hyper, layout, lazy, classes, weighed, dtype = CASES[case]
    X, labels, order, importance = make_examples(classes, dtype)
    examples = Dense(X, labels) if layout == "dense" else to_sparse(X, labels)
    if weighed:
        examples = (WeighedDense if layout == "dense" else WeighedSparse)(*examples, importance)
    targets = Targets("softmax", np.arange(classes)) if classes else Targets("logistic", np.array([0, 1]), option=LEVEL)
    settings, _ = make_settings(getattr(fa, name).rule, {"learning_rate": 0.1, **hyper})
    how = {"features": FEATURES, "targets": targets, "batch_size": BATCH, "lazy": lazy, "intercept": True}
    trainer = DividedTrainer(examples, settings, processes=Together(processes), **how)
    return [trainer.train(order) for _ in range(2)], trainer


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES)
def test_the_sums_of_shares_have_the_bits_of_the_formula(size, case):
    losses, features, constant = expected(size, case)
    for found, trainer in run(size, lambda processes: trained(processes, case)):
        assert found == losses
        for weights, oracle in ((trainer.weights, features), (trainer.intercept, constant)):
            assert bits_differ(weights.p, oracle.p) == 0
            for slot, of_oracle in zip(weights.slots, oracle.slots, strict=False):
                assert bits_differ(slot + 0, of_oracle + 0) == 0
