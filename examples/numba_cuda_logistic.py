"""A logistic regression by CUDA kernels of its own: each weight is stepped in the thread that sums up its gradient.

pip install fastadagrad "numba-cuda[cu13]" "numpy<2.5"
python examples/numba_cuda_logistic.py
"""

import math
import os
import sys

import numpy as np

import fastadagrad as fa

THREADS = 128  # a block


def kernels(cuda, update):
    """The two kernels of a batch, by numba-cuda or its successor."""

    @cuda.jit
    def find_errors(X, y, w, start, error):
        i = cuda.grid(1)
        if i < error.size:
            score = w[0] * X[start + i, 0]
            for j in range(1, w.size):
                score += w[j] * X[start + i, j]
            error[i] = 1 / (1 + math.exp(-score)) - y[start + i]

    @cuda.jit
    def step_weights(X, error, start, w, slots, s):
        j = cuda.grid(1)
        if j < w.size:
            g = error[0] * X[start, j]
            for i in range(1, error.size):
                g += error[i] * X[start + i, j]
            update(w, j, g / error.size, slots, s)

    return find_errors, step_weights


def problem(samples=6000, features=20):
    """Data of a made-up problem, and the weights that made them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((samples, features), np.float32)
    truth = rng.standard_normal(features, np.float32)
    return X, (rng.random(samples) < 1 / (1 + np.exp(-2 * X @ truth))).astype(np.float32), truth


def main(cuda, batch=100, epochs=10):
    """Accuracy on unseen samples, and that of the true weights."""
    X, y, truth = problem()
    adagrad = fa.compiled_update(dtype=np.float32, learning_rate=0.1, target="cuda")
    find_errors, step_weights = kernels(cuda, adagrad.update)
    w, s = np.zeros(X.shape[1], np.float32), adagrad.scalars()
    slots = tuple(cuda.to_device(slot) for slot in adagrad.slots(w))
    X_there, y_there, w_there = cuda.to_device(X), cuda.to_device(y), cuda.to_device(w)
    error = cuda.device_array(batch, np.float32)
    for _ in range(epochs):
        for start in range(0, 5000, batch):
            find_errors[-(-batch // THREADS), THREADS](X_there, y_there, w_there, start, error)
            step_weights[-(-w.size // THREADS), THREADS](X_there, error, start, w_there, slots, s)
    w = w_there.copy_to_host()
    return np.mean((X[5000:] @ w > 0) == y[5000:]), np.mean((X[5000:] @ truth > 0) == y[5000:])


def gpu_or_exit():
    """The module `cuda` of numba-cuda; where that or a GPU is missing, the program ends and says so."""
    os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")  # the problem is small on purpose
    try:
        import numba_cuda  # noqa: F401
        from numba import cuda

        cuda.current_context()
    except Exception as error:  # numba-cuda's own, if there is no driver
        command = 'pip install "numba-cuda[cu13]" "numpy<2.5"'
        sys.exit(f"this example needs a GPU and numba-cuda ({command}): {type(error).__name__}: {error}")
    return cuda


if __name__ == "__main__":
    accuracy, best = main(gpu_or_exit())
    print(f"accuracy {accuracy:.3f}, with the true weights {best:.3f}")
