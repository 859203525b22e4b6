"""Hyperparameters that reproduce other libraries' AdaGrad."""

from __future__ import annotations

from typing import Any, Literal

from .support.checks import one_of

PEERS: dict[str, dict[str, Any]] = {
    "torch": {"learning_rate": 1e-2, "rms_regularizer": 1e-10},
    "keras": {
        "learning_rate": 1e-3,
        "rms_regularizer": 1e-7,
        "epsilon_inside": True,
        "initial_accumulator_value": 0.1,
    },
    "optax": {"rms_regularizer": 1e-7, "epsilon_inside": True, "initial_accumulator_value": 0.1},
    "tensorflow": {"learning_rate": 1e-3, "rms_regularizer": 1e-7, "initial_accumulator_value": 0.1},
    "fbgemm": {"learning_rate": 1e-2, "rms_regularizer": 1e-8},
    "fbgemm-rowwise": {"learning_rate": 1e-2, "rms_regularizer": 1e-8, "accumulator": "row"},
    "downhill": {"learning_rate": 1e-4, "rms_regularizer": 1e-8, "epsilon_inside": True},
}


def like(
    peer: Literal["torch", "keras", "optax", "tensorflow", "fbgemm", "fbgemm-rowwise", "downhill"],
) -> dict[str, Any]:
    """Keyword arguments with which `ADAGRAD` follows another library's AdaGrad.

    Parameters
    ----------
    peer : "torch", "keras", "optax", "tensorflow", "fbgemm", "fbgemm-rowwise" or "downhill"
        Name of the library, whose defaults are taken where it has them (optax has none for the learning rate);
        "downhill" is without Nesterov momentum, whose velocity downhill stores differently.

    Returns
    -------
    dict of str to object
        Keyword arguments of `ADAGRAD`.

    Raises
    ------
    ValueError
        If the peer is not known.

    Examples
    --------
    >>> import fastadagrad as fa
    >>> fa.like("torch")
    {'learning_rate': 0.01, 'rms_regularizer': 1e-10}
    """
    return dict(PEERS[one_of("peer", peer, PEERS)])
