r"""
How the accumulator bends the path
==================================

On a bowl that is a hundred times steeper across than along, gradient descent has one rate for both directions. AdaGrad
has one for each element, which its own gradients have made:

.. code-block:: text

    G <- G + g*g
    H  = sqrt(G) + e
    p <- p - a*g / H
"""

import matplotlib.pyplot as plt
import numpy as np

import fastadagrad as fa

curvature = np.array([1.0, 100.0])
start = np.array([-4.0, 1.0])


def bowl(p):
    return p @ (curvature * p) / 2, curvature * p


def path(method, steps=40, **hyper):
    """Points that a method goes through, and the denominators H that AdaGrad had there."""
    p = start.copy()
    opt = fa.build(method, params=p, **hyper)
    points, sizes = [p.copy()], []
    for _ in range(steps):
        opt.step(bowl(p)[1])
        points.append(p.copy())
        if method == "adagrad":
            sizes.append(np.sqrt(opt.state["param0"]["accumulator"]) + opt.hyper.rms_regularizer)
    return np.array(points), np.array(sizes)


# %%
# The paths
# ---------
#
# SGD's rate has to be below 2/100, or it leaves the bowl across; at 0.019 it swings to and fro, and moves along slowly.
# AdaGrad's first step has the length a in both directions, whatever the slopes are, and so leads away at 45 degrees.
# Each direction is then slowed down by its own gradients.

sgd, _ = path("sgd", learning_rate=0.019)
adagrad, H = path("adagrad", learning_rate=0.9)

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
x, y = np.meshgrid(np.linspace(-4.6, 1.2, 200), np.linspace(-1.3, 1.3, 200))
value = (curvature[0] * x**2 + curvature[1] * y**2) / 2
axes.contour(x, y, value, levels=np.geomspace(0.1, 80, 12), colors="0.75", linewidths=0.8)
axes.plot(*sgd.T, "o-", color="tab:orange", markersize=3, linewidth=1.2, label="SGD, a = 0.019")
axes.plot(*adagrad.T, "o-", color="tab:blue", markersize=3, linewidth=1.2, label="AdaGrad, a = 0.9")
axes.plot(0, 0, "k+", markersize=10)
axes.set(xlabel="along: curvature 1", ylabel="across: curvature 100", title="40 steps on an elongated bowl")
axes.legend(loc="lower right")
plt.show()

print(f"value after 40 steps: SGD {bowl(sgd[-1])[0]:.3g}, AdaGrad {bowl(adagrad[-1])[0]:.3g}")

# %%
# What bends it
# -------------
#
# A step is a/H times the gradient, and H grows with the gradients that a direction has seen. Across they are large, and
# soon small: H stays where the first of them have brought it. Along they are small: H is too, and the rate is high.

figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
axes.semilogy(0.9 / H[:, 0], color="tab:blue", label="AdaGrad, along")
axes.semilogy(0.9 / H[:, 1], "--", color="tab:blue", label="AdaGrad, across")
axes.axhline(0.019, color="tab:orange", label="SGD, both")
axes.set(xlabel="step", ylabel="a/H", title="A rate for each direction")
axes.legend()
plt.show()

# %%
# The curvature does not matter
# -----------------------------
#
# A gradient that is c times as large makes H c times as large, and their quotient is the same. With e = 0, AdaGrad
# therefore takes the same path on this bowl as on one that is a million times as steep across. (This holds where the
# axes of the bowl are those of the parameters. AdaGrad does not know of directions between them.)

before, _ = path("adagrad", learning_rate=0.9, rms_regularizer=0.0)
curvature[1] *= 1e6
after, _ = path("adagrad", learning_rate=0.9, rms_regularizer=0.0)
print(f"largest difference between the two paths: {abs(after - before).max():.1e}")
