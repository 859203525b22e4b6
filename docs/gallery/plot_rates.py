"""
Finding a learning rate
=======================

:func:`fastadagrad.find_learning_rate` makes a short run at each rate of a grid, each from where the optimizer stands
and on the same batches, and leaves the optimizer as it was.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastadagrad as fa

rng = np.random.default_rng(0)
x = rng.standard_normal((600, 20)) * np.geomspace(0.1, 10, 20)
y = x @ (rng.standard_normal(20) / np.geomspace(0.1, 10, 20)) + 0.1 * rng.standard_normal(600)


def loss(w, x, y):
    error = x @ w - y
    return error @ error / len(y), 2 * error @ x / len(y)


# %%
# The search
# ----------

train, valid = [x[:500], y[:500]], [x[500:], y[500:]]
opt = fa.ADAGRAD(loss, np.zeros(20))
search = fa.find_learning_rate(opt, train, valid, rng=0)
print(f"suggested: {search.learning_rate:.3g}; the optimizer still has {opt.hyper.learning_rate:g}")

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
search.plot(axes)
plt.show()

# %%
# Training with it
# ----------------
#
# The default, 1e-4, is downhill's, and small for most problems.

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for rate, style in ((search.learning_rate, "-"), (search.learning_rate / 10, "--"), (1e-4, ":")):
    opt = fa.ADAGRAD(loss, np.zeros(20), learning_rate=rate)
    losses = [valid_["loss"] for _, valid_ in opt.iterate(train, valid, max_epochs=30, validate_every=1, rng=0)]
    axes.semilogy(losses, style, label=f"a = {rate:.2g}")
axes.set(xlabel="epoch", ylabel="validation loss", title="The suggested rate, a tenth of it, and the default")
axes.legend()
plt.show()
