"""Record 100 steps of other libraries' methods in tests/recorded/peers.npz, for tests/kernels/test_peers.py.

    python bench/record_peers.py

needs torch, optax, keras, dadaptation and dog-optimizer. A noisy quadratic gives the gradients, so that what
a step gets wrong comes back in all later ones:

    g_t = curvature * (p - target) + noise_t

The file has the problem (start, curvature, target, noise; float64, all parameters flat, one after the
other), the shapes of the parameters, one trajectory (steps, elements) a case, and the versions used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # on torch, Keras clips norms in float32
os.environ["JAX_ENABLE_X64"] = "1"

import dadaptation
import dog
import jax.numpy as jnp
import keras
import numpy as np
import optax
import optax.contrib
import torch
from numpy.typing import NDArray

Flat = NDArray[np.float64]
Step = Callable[[list[Flat]], list[Flat]]
TARGET = Path(__file__).parents[1] / "tests" / "recorded" / "peers.npz"
SHAPES: list[tuple[int, ...]] = [(2, 2), (4,), ()]
STEPS = 100
PEERS = ("torch", "optax", "keras", "jax", "numpy", "dadaptation", "dog-optimizer")


def make_problem(seed: int = 20) -> dict[str, Flat]:
    """Elements of very different scales; the last of the vector has no gradient at all."""
    rng = np.random.default_rng(seed)
    size = sum(int(np.prod(shape)) for shape in SHAPES)
    scale = 10.0 ** rng.uniform(-3, 3, size)
    scale[-2] = 0
    return {
        "start": rng.normal(0, 3, size),
        "curvature": scale * rng.uniform(0.1, 1, size),
        "target": rng.normal(0, 3, size),
        "noise": scale * rng.normal(0, 0.3, (STEPS, size)),
    }


def split(flat: Flat) -> list[Flat]:
    stops = np.cumsum([int(np.prod(shape)) for shape in SHAPES])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, stops[:-1]), SHAPES, strict=True)]


def join(arrays: list[Flat]) -> Flat:
    return np.concatenate([np.ravel(array) for array in arrays])


def follow(problem: dict[str, Flat], step: Step) -> Flat:
    """Trajectory of a `step` that maps gradients to the parameters after it."""
    p, trajectory = problem["start"], []
    for noise in problem["noise"]:
        p = join(step(split(problem["curvature"] * (p - problem["target"]) + noise)))
        trajectory.append(p)
    return np.array(trajectory)


def torch_step(start: list[Flat], method: Any = torch.optim.Adagrad, **options: Any) -> Step:
    params = [torch.tensor(array, dtype=torch.float64) for array in start]
    if method.__module__.startswith("torch."):
        options["foreach"] = False
    optimizer = method(params, **options)

    def step(gradients: list[Flat]) -> list[Flat]:
        for param, gradient in zip(params, gradients, strict=True):
            param.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        return [param.numpy().copy() for param in params]

    return step


def optax_step(start: list[Flat], transform: optax.GradientTransformation) -> Step:
    params = [jnp.asarray(array, jnp.float64) for array in start]
    state = transform.init(params)

    def step(gradients: list[Flat]) -> list[Flat]:
        nonlocal params, state
        updates, state = transform.update([jnp.asarray(g, jnp.float64) for g in gradients], state, params)
        params = optax.apply_updates(params, updates)
        return [np.asarray(param) for param in params]

    return step


def keras_step(start: list[Flat], method: Any = keras.optimizers.Adagrad, **options: Any) -> Step:
    keras.config.set_floatx("float64")  # or the learning rate is rounded to float32
    params = [keras.Variable(array, dtype="float64") for array in start]
    optimizer = method(**options)

    def step(gradients: list[Flat]) -> list[Flat]:
        optimizer.apply([keras.ops.convert_to_tensor(g, "float64") for g in gradients], params)
        return [keras.ops.convert_to_numpy(param) for param in params]

    return step


def cases(start: list[Flat]) -> Iterator[tuple[str, Step]]:
    yield "torch", torch_step(start)
    yield "torch, options", torch_step(start, lr=0.3, lr_decay=0.05, weight_decay=0.02, eps=1e-3)
    yield "torch, accumulator", torch_step(start, lr=0.3, initial_accumulator_value=0.7)
    yield "optax", optax_step(start, optax.adagrad(0.3))
    yield "optax, options", optax_step(start, optax.adagrad(0.3, initial_accumulator_value=0.7, eps=1e-3))
    clipped = optax.chain(optax.clip_by_global_norm(20.0), optax.adagrad(lambda t: 0.5 / (1 + 0.1 * t)))
    yield "optax, clipped", optax_step(start, clipped)
    yield "keras", keras_step(start)
    yield "keras, options", keras_step(start, learning_rate=0.3, weight_decay=0.02, clipvalue=5.0)
    yield "keras, clipped", keras_step(start, learning_rate=0.3, clipnorm=5.0)
    yield from family(start)


def family(start: list[Flat]) -> Iterator[tuple[str, Step]]:
    """Methods beside AdaGrad; rates are small where nothing else bounds a step."""
    t = torch.optim
    yield "torch SGD", torch_step(start, t.SGD, lr=1e-3, weight_decay=0.02)
    yield "torch SGD, momentum", torch_step(start, t.SGD, lr=1e-3, momentum=0.9)
    yield "torch SGD, nesterov", torch_step(start, t.SGD, lr=1e-3, momentum=0.9, nesterov=True)
    yield "torch Rprop", torch_step(start, t.Rprop, lr=0.1, etas=(0.5, 1.2), step_sizes=(1e-3, 2.0))
    yield "torch RMSprop", torch_step(start, t.RMSprop, lr=0.1, eps=1e-3)
    yield "torch RMSprop, centered", torch_step(start, t.RMSprop, lr=0.05, eps=1e-2, centered=True, momentum=0.5)
    yield "torch Adadelta", torch_step(start, t.Adadelta, lr=0.7, rho=0.9, eps=1e-3)
    yield "torch Adam", torch_step(start, t.Adam, lr=0.1)
    yield "torch Adam, amsgrad", torch_step(start, t.Adam, lr=0.1, amsgrad=True, betas=(0.8, 0.9), weight_decay=0.02)
    yield "torch AdamW", torch_step(start, t.AdamW, lr=0.1, weight_decay=0.1)
    yield "optax rmsprop, centered", optax_step(start, optax.rmsprop(0.05, eps=1e-3, centered=True))
    yield "optax adamw", optax_step(start, optax.adamw(0.1, weight_decay=0.1))
    yield "optax cocob", optax_step(start, optax.contrib.cocob())
    yield "optax cocob, alpha", optax_step(start, optax.contrib.cocob(alpha=5.0))
    yield "optax dog", optax_step(start, optax.contrib.dog())
    yield "optax dog, decay", optax_step(start, optax.contrib.dog(0.5, ("heuristic", 1e-3), weight_decay=0.02))
    yield "optax dowg", optax_step(start, optax.contrib.dowg())
    yield "optax dowg, start", optax_step(start, optax.contrib.dowg(init_estim_sq_dist=1.0, eps=1e-2))
    yield "authors' DoG", torch_step(start, dog.DoG)
    adagrad = dadaptation.DAdaptAdaGrad
    yield "authors' D-Adapt AdaGrad", torch_step(start, adagrad)
    yield "authors' D-Adapt AdaGrad, growth", torch_step(start, adagrad, lr=0.5, d0=0.01, growth_rate=1.1, eps=1e-3)
    k = keras.optimizers
    yield "keras Ftrl", keras_step(start, k.Ftrl, learning_rate=0.3, beta=1.0)
    penalties = {"l1_regularization_strength": 0.5, "l2_regularization_strength": 0.05}
    yield "keras Ftrl, penalties", keras_step(start, k.Ftrl, learning_rate=0.3, beta=0.5, **penalties)


def main() -> None:
    problem = make_problem()
    trajectories = {name: follow(problem, step) for name, step in cases(split(problem["start"]))}
    about = {
        "shapes": SHAPES,
        "cases": list(trajectories),
        "versions": {name: version(name) for name in PEERS},
    }
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about)), **problem, **trajectories}
    np.savez(TARGET, **arrays)


if __name__ == "__main__":
    main()
