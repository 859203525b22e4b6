"""A small neural network of JAX that reads handwritten digits, its parameters a tree of dicts and lists.

`jax.value_and_grad` returns the gradients in the structure of the parameters, and the optimizer takes them as they are,
without a copy. The parameters are NumPy's arrays, which the optimizer updates in place; JAX reads them in each call.

    pip install "fastadagrad[jax,fit]"
    python examples/jax_mlp.py
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import fastadagrad as fa


def scores(params, x):
    for layer in params["hidden"]:
        x = jnp.tanh(x @ layer["W"] + layer["b"])
    return x @ params["output"]["W"] + params["output"]["b"]


def loss(params, x, digit):
    """Mean negative log-likelihood."""
    return -jnp.take_along_axis(jax.nn.log_softmax(scores(params, x)), digit[:, None], axis=1).mean()


def accuracy(params, x, digit):
    return (scores(params, x).argmax(axis=1) == digit).mean()


def layer(rng, fan_in, fan_out):
    W = rng.standard_normal((fan_in, fan_out), np.float32) / np.float32(fan_in**0.5)
    return {"W": W, "b": np.zeros(fan_out, np.float32)}


def main():
    """Accuracy on 360 digits that were never seen, and the optimizer."""
    x, digit = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    rng = np.random.default_rng(0)
    train, valid, test = np.split(rng.permutation(len(x)), [1077, 1437])
    params = {"hidden": [layer(rng, 64, 32), layer(rng, 32, 32)], "output": layer(rng, 32, 10)}
    opt = fa.ADAGRAD(
        jax.jit(jax.value_and_grad(loss)), params, monitors={"accuracy": jax.jit(accuracy)}, learning_rate=0.05
    )
    opt.minimize([x[train], digit[train]], [x[valid], digit[valid]], max_epochs=30, validate_every=1, patience=3, rng=0)
    return opt.evaluate([x[test], digit[test]])["accuracy"], opt


if __name__ == "__main__":
    reached, opt = main()
    print(f"parameters: {', '.join(opt.params)}")
    for epoch in opt.history:
        print(f"epoch {epoch.epoch:2}: loss {epoch.train['loss']:.4f}, validation {epoch.valid['loss']:.4f}")
    print(f"accuracy on unseen digits: {reached:.3f} ({opt.steps} steps, {opt.stopped_because})")
