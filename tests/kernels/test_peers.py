"""Methods follow other libraries: recorded trajectories of some, the documented formulas of AdaGrad's others.

``python bench/record_peers.py`` makes the record.
"""

import json

import numpy as np
import pytest
from trajectories import TOLERANCE, join, load_record, shapes_of, slope, split, steps, worst_error

import fastadagrad as fa
from fastadagrad import peers

OURS = {
    "torch": fa.like("torch"),
    "torch, options": {"learning_rate": 0.3, "lr_decay": 0.05, "weight_decay": 0.02, "rms_regularizer": 1e-3},
    "torch, accumulator": {**fa.like("torch"), "learning_rate": 0.3, "initial_accumulator_value": 0.7},
    "optax": {**fa.like("optax"), "learning_rate": 0.3},
    "optax, options": {
        **fa.like("optax"),
        "learning_rate": 0.3,
        "initial_accumulator_value": 0.7,
        "rms_regularizer": 1e-3,
    },
    "optax, clipped": {
        **fa.like("optax"),
        "learning_rate": lambda t: 0.5 / (1 + 0.1 * t),
        "max_global_norm": 20.0,
    },
    "keras": fa.like("keras"),
    "keras, options": {
        **fa.like("keras"),
        "learning_rate": 0.3,
        "decoupled_weight_decay": 0.02,
        "max_gradient_elem": 5.0,
    },
    "keras, clipped": {**fa.like("keras"), "learning_rate": 0.3, "max_gradient_norm": 5.0},
}


def halflife(kept):
    """Of a running mean that keeps this much of itself in a step."""
    return -np.log(2) / np.log(kept)


RMSPROP = {"rms_halflife": halflife(0.99), "epsilon_inside": False}
ADAM = {"beta1_halflife": halflife(0.9), "beta2_halflife": halflife(0.999), "learning_rate": 0.1}
QUICK = {"beta1_halflife": halflife(0.8), "beta2_halflife": halflife(0.9), "learning_rate": 0.1}
FTRL = {"learning_rate": 0.3, "initial_accumulator_value": 0.1}
FAMILY = {
    "torch SGD": ("sgd", {"learning_rate": 1e-3, "weight_decay": 0.02}),
    "torch SGD, momentum": ("sgd", {"learning_rate": 1e-3, "momentum": 0.9}),
    "torch SGD, nesterov": ("nag", {"learning_rate": 1e-3, "momentum": 0.9}),
    "torch Rprop": (
        "rprop",
        {
            "learning_rate": 0.1,
            "rprop_decrease": 0.5,
            "rprop_increase": 1.2,
            "rprop_min_step": 1e-3,
            "rprop_max_step": 2.0,
        },
    ),
    "torch RMSprop": ("rmsprop", {**RMSPROP, "learning_rate": 0.1, "rms_regularizer": 1e-3, "centered": False}),
    "torch RMSprop, centered": (
        "rmsprop",
        {**RMSPROP, "learning_rate": 0.05, "rms_regularizer": 1e-2, "momentum": 0.5},
    ),
    "torch Adadelta": (
        "adadelta",
        {"learning_rate": 0.7, "rms_halflife": halflife(0.9), "rms_regularizer": 1e-3},
    ),
    "torch Adam": ("adam", ADAM),
    "torch Adam, amsgrad": ("adam", {**QUICK, "amsgrad": True, "weight_decay": 0.02}),
    "torch AdamW": ("adam", {**ADAM, "decoupled_weight_decay": 0.1}),
    "optax rmsprop, centered": (
        "rmsprop",
        {"learning_rate": 0.05, "rms_halflife": halflife(0.9), "rms_regularizer": 1e-3},
    ),
    "optax adamw": ("adam", {**ADAM, "decoupled_weight_decay": 0.1}),
    "optax cocob": ("cocob", {}),
    "optax cocob, alpha": ("cocob", {"cocob_alpha": 5.0}),
    "optax dog": ("dog", {}),
    "optax dog, decay": ("dog", {"learning_rate": 0.5, "initial_distance": 1e-3, "weight_decay": 0.02}),
    "optax dowg": ("dowg", {}),
    "optax dowg, start": ("dowg", {"initial_distance": 1.0, "rms_regularizer": 1e-2}),
    "authors' DoG": ("dog", {}),
    "authors' D-Adapt AdaGrad": ("dadapt_adagrad", {}),
    "authors' D-Adapt AdaGrad, growth": (
        "dadapt_adagrad",
        {"learning_rate": 0.5, "initial_distance": 0.01, "dadapt_growth": 1.1, "rms_regularizer": 1e-3},
    ),
    "keras Ftrl": ("ftrl", {**FTRL, "ftrl_beta": 1.0}),
    "keras Ftrl, penalties": ("ftrl", {**FTRL, "ftrl_beta": 0.5, "ftrl_l1": 0.5, "ftrl_l2": 0.1}),  # theirs, doubled
}
ALL = {**{case: ("adagrad", hyper) for case, hyper in OURS.items()}, **FAMILY}


@pytest.fixture(scope="module")
def record():
    return load_record()


def run(record, shapes, algo="adagrad", **hyper):
    """Parameters after each step, all of them flat."""
    return steps(record, fa.build(algo, params=split(record["start"], shapes), **hyper))


def test_record_has_every_case(record):
    about = json.loads(str(record["about"]))
    assert about["cases"] == list(ALL)
    assert set(about["versions"]) >= {"torch", "optax", "keras"}
    assert len(record["noise"]) == 100


@pytest.mark.parametrize("case", ALL)
def test_follows_the_recorded_trajectory(record, case):
    algo, hyper = ALL[case]
    for t, p in enumerate(run(record, shapes_of(record), algo, **hyper)):
        assert worst_error(p, record[case][t]) <= TOLERANCE, f"step {t}"


def test_record_tells_the_cases_apart(record):
    has_gradient = record["curvature"] != 0
    for case in OURS:
        assert np.all(np.ptp(record[case], axis=0)[has_gradient] > 1e-6), "following what rests shows nothing"
        for other in OURS:
            assert other == case or worst_error(record[other][-1], record[case][-1]) > 1e-6


def tensorflow(p, g, G):
    G += g * g
    return p - 1e-3 * g * (1 / (np.sqrt(G) + 1e-7)), G


def fbgemm(p, g, G):
    G += g * g
    return p - 0.01 / (np.sqrt(G) + 1e-8) * g, G


def fbgemm_rowwise(p, g, G):
    if g.ndim < 2:
        return fbgemm(p, g, G)
    G += np.mean(g * g, axis=1, keepdims=True)
    return p - 0.01 / (np.sqrt(G) + 1e-8) * g, G


def downhill(p, g, G):
    G += g * g
    return p - g * 1e-4 / np.sqrt(G + 1e-8), G


DOCUMENTED = {
    "tensorflow": (tensorflow, 0.1),
    "fbgemm": (fbgemm, 0.0),
    "fbgemm-rowwise": (fbgemm_rowwise, 0.0),
    "downhill": (downhill, 0.0),
}


@pytest.mark.parametrize("peer", DOCUMENTED)
def test_follows_the_documented_formula(record, peer):
    shapes = [(2, 2), (5,)]
    update, initial = DOCUMENTED[peer]
    params = split(record["start"], shapes)
    accumulators = [np.full_like(p, initial) for p in params]
    for t, p in enumerate(run(record, shapes, **fa.like(peer))):
        gradients = split(slope(record, join(params), t), shapes)
        pairs = [update(*arrays) for arrays in zip(params, gradients, accumulators, strict=True)]
        params, accumulators = [q for q, _ in pairs], [G for _, G in pairs]
        assert worst_error(p, join(params)) <= TOLERANCE, f"step {t}"


def test_momentum_of_downhill(record):
    """Its velocity: v <- m*v + (q - p), p <- p + v, where q is the plain update."""
    p, velocity, G = record["start"].copy(), np.zeros(9), np.zeros(9)
    for t, ours in enumerate(run(record, [(9,)], **fa.like("downhill"), momentum=0.9)):
        q, G = downhill(p, slope(record, p, t), G)
        velocity = 0.9 * velocity + (q - p)
        p = p + velocity
        assert worst_error(ours, p) <= 1e-13, f"step {t}"


def test_every_peer_is_followed():
    assert set(peers.PEERS) == {case.split(",")[0] for case in OURS} | set(DOCUMENTED)


def test_like_gives_a_fresh_dict():
    fa.like("torch")["learning_rate"] = 1.0
    assert fa.like("torch")["learning_rate"] == 0.01


def test_unknown_peer():
    with pytest.raises(ValueError, match=r"'keras'.*not 'pytorch'"):
        fa.like("pytorch")
