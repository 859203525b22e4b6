"""A logistic regression trained wholly inside one compiled function.

The loop over epochs and batches, the gradient and the AdaGrad update run without the Python interpreter.

    python examples/nopython_logistic.py
"""

import numpy as np
from numba import njit

import fastadagrad as fa

adagrad = fa.compiled_update(dtype=np.float64, learning_rate=0.1)
update = adagrad.update


@njit
def train(w, X, y, slots, s, epochs, batch_size):
    for _ in range(epochs):
        for start in range(0, len(X), batch_size):
            x, t = X[start : start + batch_size], y[start : start + batch_size]
            probability = 1 / (1 + np.exp(-(x @ w)))
            update(w, (probability - t) @ x / len(t), slots, s)


def main():
    """Accuracy on unseen samples of a made-up problem."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6000, 20))
    truth = rng.standard_normal(20)
    y = (rng.random(6000) < 1 / (1 + np.exp(-2 * X @ truth))).astype(np.float64)
    w = np.zeros(20)
    train(w, X[:5000], y[:5000], adagrad.slots(w), adagrad.scalars(), epochs=20, batch_size=32)
    accuracy = np.mean((X[5000:] @ w > 0) == y[5000:])
    best = np.mean((X[5000:] @ truth > 0) == y[5000:])
    return accuracy, best


if __name__ == "__main__":
    accuracy, best = main()
    print(f"accuracy {accuracy:.3f}, with the true weights {best:.3f}")
