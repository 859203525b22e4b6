"""The kinds of optimizers whose calls are compared with a model's: methods, options, and what may be changed."""

from dataclasses import dataclass, field

import numpy as np
from planned_world import falling, waving

SHAPES = {"a": (5, 2), "b": (3,), "c": (), "d": (7, 3)}
RATES = [0.01, 0.1, 0.5]
F4, F8 = np.float32, np.float64


@dataclass
class Kind:
    """What an optimizer is of, and what may be done to it so that its kernels are compiled once."""

    method: str = "ADAGRAD"
    hyper: dict = field(default_factory=dict)
    changes: dict = field(default_factory=dict)  # further hyperparameters, and the values that they may have
    dtypes: tuple = (F8, F8, F8, F8)
    rows: bool = True
    matrices: bool = False
    schedules: tuple = (falling, waving)
    groups: bool = True
    alone: bool = True  # whether parameters may be stepped one by one
    runs: bool = True
    by_hand: bool = True  # whether parameters may be written to
    rates_in_runs: bool = True  # whether a run may have its own rate
    from_zero: bool = False  # whether parameters begin at 0
    exact: bool = True  # whether all is the same to the bit


MIXED = (F8, F4, F8, F4)
KINDS = {
    "adagrad of float64": Kind(changes={"rms_regularizer": [1e-8, 1e-3], "lr_decay": [0.0, 0.1]}),
    "adagrad": Kind(
        changes={"rms_regularizer": [1e-8, 1e-3], "lr_decay": [0.0, 0.1], "max_global_norm": [0.0, 2.0]},
        dtypes=MIXED,
        matrices=True,
    ),
    "adagrad, momentum of what is touched": Kind(
        hyper={"lazy": "touched", "momentum": 0.9, "decoupled_weight_decay": 0.01},
        changes={"momentum": [0.0, 0.5, 0.9], "nesterov": [False, True], "max_gradient_norm": [0.0, 0.7]},
    ),
    "adagrad, penalised": Kind(
        hyper={"lazy": "dense", "l1": 0.01, "rms_regularizer": 0.01},
        changes={"l1": [0.01, 0.1], "l2": [0.0, 0.1], "max_gradient_elem": [0.5, 0.3]},
        matrices=True,
    ),
    "adagrad by rows": Kind(
        hyper={"accumulator": "row", "epsilon_inside": True, "groups": {"c": {"accumulator": "element"}}},
        dtypes=(F4, F4, F4, F4),
        groups=False,
    ),
    "adagrad, lagging": Kind(
        hyper={"momentum": 0.9}, changes={"momentum": [0.5, 0.9], "nesterov": [False, True]}, exact=False
    ),
    "adagrad, lagging and penalised": Kind(
        hyper={"l1": 0.01, "l2": 0.01, "rms_regularizer": 0.01},
        changes={"l1": [0.01, 0.1], "l2": [0.01, 0.1]},
        schedules=(),
        exact=False,
    ),
    "sgd": Kind("SGD", {"momentum": 0.5, "lazy": "dense"}, {"momentum": [0.5, 0.9]}),
    "nag": Kind("NAG", {"momentum": 0.9, "lazy": "touched"}),
    "rprop": Kind("RProp", {"lazy": "touched"}, rates_in_runs=False),
    "rmsprop": Kind("RMSProp", {"lazy": "touched"}, {"rms_halflife": [14.0, 3.0]}),
    "adadelta": Kind("ADADELTA", {"lazy": "dense"}),
    "esgd": Kind("ESGD", {"lazy": "dense"}, runs=False, alone=False),
    "adam": Kind("Adam", {"lazy": "dense"}, {"beta2_halflife": [69.0, 10.0]}, alone=False),
    "adam, amsgrad": Kind("Adam", {"lazy": "touched", "amsgrad": True}, alone=False),
    "adamax": Kind("AdaMax", {"lazy": "dense"}, alone=False),
    "adagrad_da": Kind("AdaGradDA", schedules=(), by_hand=False),
    "rda": Kind("RDA", {"lazy": "dense", "rda_l1": 0.01}, by_hand=False, alone=False),
    "ftrl": Kind("FTRL", {"ftrl_l1": 0.01}, schedules=(), by_hand=False, from_zero=True),
    "cocob": Kind("COCOB", by_hand=False),
    "dog": Kind("DoG", {"lazy": "dense"}, rows=False, groups=False, alone=False, schedules=()),
    "dowg": Kind("DoWG", {"lazy": "dense"}, rows=False, groups=False, alone=False, schedules=()),
    "dadapt_adagrad": Kind("DAdaptAdaGrad", rows=False, groups=False, alone=False, by_hand=False, schedules=()),
}
