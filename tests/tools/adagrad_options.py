"""ADAGRAD with each of its options, and with several at once; and whether it has the bits of the formula."""

import numpy as np
from oracle import bits_differ

DTYPES = [np.float32, np.float64]

OPTIONS = {
    "plain": {},
    "epsilon 0": {"rms_regularizer": 0},
    "epsilon that float32 rounds to 0": {"rms_regularizer": 1e-60},
    "epsilon inside": {"epsilon_inside": True, "rms_regularizer": 1e-3},
    "initial accumulator": {"initial_accumulator_value": 0.1},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.95, "nesterov": True},
    "decaying rate": {"lr_decay": 0.1},
    "schedule": {"learning_rate": lambda t: 0.1 / (t + 1) ** 0.5},
    "weight decay": {"weight_decay": 0.01},
    "decoupled decay": {"decoupled_weight_decay": 0.1},
    "decoupled decay and nesterov": {"decoupled_weight_decay": 0.1, "momentum": 0.9, "nesterov": True},
    "l1": {"l1": 0.1},
    "l2": {"l2": 0.1},
    "l1 and l2 without epsilon": {"l1": 0.2, "l2": 0.3, "rms_regularizer": 0},
    "l1 at a rate of 0": {"learning_rate": 0.0, "l1": 0.1},
    "l1 and l2 at a rate that becomes 0": {"learning_rate": lambda t: 0.1 * (t % 2), "l1": 0.1, "l2": 0.3},
    "l1 that float32 rounds to 0": {"learning_rate": 1e-30, "l1": 1e-30},
    "clipped elements": {"max_gradient_elem": 0.5},
    "clipped norm": {"max_gradient_norm": 0.7},
    "clipped elements, not norm": {"max_gradient_elem": 0.5, "max_gradient_norm": 0.7},
    "clipped global norm": {"max_global_norm": 3.0},
    "all at once": {
        "max_gradient_norm": 2.0,
        "weight_decay": 0.01,
        "decoupled_weight_decay": 0.01,
        "momentum": 0.9,
        "lr_decay": 0.01,
        "initial_accumulator_value": 0.5,
    },
    "row": {"accumulator": "row"},
    "row, momentum": {"accumulator": "row", "momentum": 0.9},
    "row, clipped and penalised": {"accumulator": "row", "max_gradient_norm": 0.5, "l1": 0.1, "weight_decay": 0.1},
    "tensor": {"accumulator": "tensor"},
    "tensor, nesterov": {"accumulator": "tensor", "momentum": 0.9, "nesterov": True},
    "tensor, clipped and penalised": {"accumulator": "tensor", "max_global_norm": 0.5, "l2": 0.1},
}


def assert_equal_bits(opt, oracle):
    for (name, p), q, G, v in zip(opt.params.items(), oracle.p, oracle.G, oracle.v, strict=True):
        assert bits_differ(p, q) == 0, name
        assert bits_differ(opt.state[name]["accumulator"], G) == 0, name
        if "velocity" in opt.state[name]:
            assert bits_differ(opt.state[name]["velocity"], v) == 0, name
