"""A small neural network that reads handwritten digits, its gradients derived by autograd.

pip install "fastadagrad[fit,autograd]"
python examples/digits_network.py
"""

import autograd.numpy as np
from autograd.scipy.special import logsumexp
from numpy.random import default_rng
from sklearn.datasets import load_digits

import fastadagrad as fa


def scores(params, x):
    hidden = np.tanh(x @ params["hidden"] + params["hidden bias"])
    return hidden @ params["output"] + params["output bias"]


def loss(params, x, digit):
    """Mean negative log-likelihood."""
    s = scores(params, x)
    return np.mean(logsumexp(s, axis=1) - s[np.arange(len(digit)), digit])


def accuracy(params, x, digit):
    return np.mean(np.argmax(scores(params, x), axis=1) == digit)


def main():
    """Accuracy on 360 digits that were never seen, and the optimizer."""
    x, digit = load_digits(return_X_y=True)
    x = x / 16
    rng = default_rng(0)
    order = rng.permutation(len(x))
    train, valid, test = np.split(order, [1077, 1437])
    params = {
        "hidden": rng.standard_normal((64, 32)) / 8,
        "hidden bias": np.zeros(32),
        "output": rng.standard_normal((32, 10)) / 6,
        "output bias": np.zeros(10),
    }
    opt = fa.ADAGRAD(loss, params, monitors={"accuracy": accuracy}, learning_rate=0.1)
    opt.minimize([x[train], digit[train]], [x[valid], digit[valid]], max_epochs=30, validate_every=1, patience=3, rng=0)
    return opt.evaluate([x[test], digit[test]])["accuracy"], opt


if __name__ == "__main__":
    reached, opt = main()
    for epoch in opt.history:
        print(f"epoch {epoch.epoch:2}: loss {epoch.train['loss']:.4f}, validation {epoch.valid['loss']:.4f}")
    print(f"accuracy on unseen digits: {reached:.3f} ({opt.steps} steps, {opt.stopped_because})")
