"""
Comparing methods
=================

:func:`fastadagrad.compare.compare` runs methods on problems with the same start values, data and number of steps, over
a grid of learning rates. ``fastadagrad compare`` does so from the command line, in several processes, and leaves a
report.
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np

from fastadagrad.compare import Problem, Task, compare

# %%
# A problem
# ---------
#
# A function makes a task of a seed: start values, a loss with its gradient, and how many steps there are. The axes of
# this bowl are turned against those of the parameters, so that no method has it easy.


def bowl(seed):
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.standard_normal((10, 10)))
    hessian = axes @ np.diag(np.geomspace(1, 1000, 10)) @ axes.T
    return Task(
        params=rng.standard_normal(10),
        loss=lambda w: (w @ hessian @ w / 2, hessian @ w),
        updates=20,
        epochs=10,
    )


# %%
# The comparison
# --------------

methods = ["sgd", "adagrad", "adam", "cocob"]
with tempfile.TemporaryDirectory() as folder:
    found = compare(
        [Problem("bowl", bowl, convex=True)],
        methods,
        rates="1e-4:10:11",
        seeds=3,
        jobs=0,
        out=folder,
        report=False,
    )
for line in found.lines:
    print(f"{line.method:8} final loss {line.final.median:.2g}", end=", ")
    if line.rate is None:
        print("takes no rate")
    else:
        print(f"best rate {line.rate:.2g}, good ones {line.good[0]:.2g} to {line.good[1]:.2g}")

# %%
# The losses at the end
# ---------------------
#
# A rate is good if the method has then come within a tenth of what there was to gain. SGD has to be slow enough for the
# steepest direction, and is then slow in all others.

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for line, marker in zip(found.lines, "osD^", strict=True):
    losses = [rated.final.median for rated in line.rates]
    if line.rate is None:
        axes.axhline(losses[0], color="0.4", linestyle="--", label=f"{line.method}, without a rate")
    else:
        axes.loglog([rated.rate for rated in line.rates], losses, f"{marker}-", label=line.method)
axes.set(xlabel="learning rate", ylabel="loss after 200 steps", title="A turned bowl, curvatures 1 to 1,000")
axes.set_ylim(None, 1e4)
axes.legend()
plt.show()
