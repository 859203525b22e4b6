"""A logistic regression whose data, parameters, gradients and optimizer all lie on a GPU, as arrays of CuPy.

Only the mean loss of each batch comes back to the computer.

    pip install "fastadagrad[cuda]" cupy-cuda13x
    python examples/cupy_logistic.py
"""

import sys

import fastadagrad as fa


def problem(xp, samples=6000, features=20):
    """Data of a made-up problem, and the weights that made them; `xp` is CuPy, or NumPy."""
    rng = xp.random.default_rng(0)
    X = rng.standard_normal((samples, features))
    truth = rng.standard_normal(features)
    y = (rng.random(samples) < 1 / (1 + xp.exp(-2 * X @ truth))).astype(xp.float64)
    return X, y, truth


def loss_of(xp):
    def loss(params, x, y):
        """Mean negative log-likelihood and its gradients, in the structure of the parameters."""
        score = x @ params["w"] + params["b"]
        error = 1 / (1 + xp.exp(-score)) - y
        value = (xp.logaddexp(0, score) - y * score).mean()
        return value, {"w": error @ x / len(y), "b": error.mean()}

    return loss


def main(xp):
    """Accuracy on unseen samples, that of the true weights, and the optimizer."""
    X, y, truth = problem(xp)
    params = {"w": xp.zeros(X.shape[1]), "b": xp.zeros(())}
    opt = fa.ADAGRAD(loss_of(xp), params, learning_rate=0.1)

    def batches():
        for start in range(0, 5000, 100):
            yield X[start : start + 100], y[start : start + 100]

    opt.minimize([*batches()], max_epochs=10, validate_every=5)
    X, y = X[5000:], y[5000:]
    reached = float(((X @ params["w"] + params["b"] > 0) == y).mean())
    return reached, float(((X @ truth > 0) == y).mean()), opt


def gpu_or_exit():
    """CuPy, if it is installed and finds a GPU; else the program ends and says what is missing."""
    try:
        import cupy

        cupy.cuda.Device(0).use()
    except Exception as error:  # CuPy's own, if there is no driver
        sys.exit(f"this example needs a GPU and CuPy (pip install cupy-cuda13x): {type(error).__name__}: {error}")
    return cupy


if __name__ == "__main__":
    reached, best, opt = main(gpu_or_exit())
    print(f"accuracy {reached:.3f}, with the true weights {best:.3f}; {opt!r}")
