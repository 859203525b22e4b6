"""
Sparse embeddings
=================

A table of embeddings gets a gradient of few rows in each step. :class:`fastadagrad.Rows` names them, and a step costs
as much as they do, whatever the size of the table.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import fastadagrad as fa

# %%
# A factorisation of ratings
# --------------------------
#
# The rating of item j by user i is the product of two rows. A batch of 256 ratings names some users and some items; a
# row that is named twice gets the sum of its gradients.

rng = np.random.default_rng(0)
users, items, width = 400, 300, 8
truth = rng.standard_normal((users, 4)) @ rng.standard_normal((4, items))
i, j = rng.integers(0, users, 30_000), rng.integers(0, items, 30_000)
ratings = truth[i, j] + 0.1 * rng.standard_normal(i.size)


def loss(params, i, j, rating):
    u, v = params["users"][i], params["items"][j]
    error = (u * v).sum(axis=1) - rating
    slope = 2 * error[:, None] / len(rating)
    return error @ error / len(rating), {"users": fa.Rows(i, slope * v), "items": fa.Rows(j, slope * u)}


params = {name: 0.3 * rng.standard_normal((n, width)) for name, n in (("users", users), ("items", items))}
opt = fa.ADAGRAD(loss, params, learning_rate=0.3, threads=1)
train, valid = [i[:25_000], j[:25_000], ratings[:25_000]], [i[25_000:], j[25_000:], ratings[25_000:]]
losses = [
    (trained["loss"], validated["loss"])
    for trained, validated in opt.iterate(train, valid, batch_size=256, max_epochs=15, validate_every=1, rng=0)
]

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
axes.semilogy(losses, label=["training", "validation"])
axes.axhline(0.01, color="0.5", linestyle=":", label="noise in the ratings")
axes.set(xlabel="epoch", ylabel="mean squared error", title="Ratings by a table of users and one of items")
axes.legend()
plt.show()

# %%
# What a step costs
# -----------------
#
# A step with the gradient of 256 rows, in tables of more and more rows, beside the dense step of the whole table.

sizes, by_rows, dense = [1_000, 10_000, 100_000], [], []
for size in sizes:
    table = np.zeros((size, 16), np.float32)
    gradient = fa.Rows(rng.integers(0, size, 256), np.ones((256, 16), np.float32))
    whole = np.ones_like(table)
    opt = fa.ADAGRAD(params=table, learning_rate=0.1, nonfinite="ignore", threads=1)
    for times, g in ((by_rows, gradient), (dense, whole)):
        opt.step(g)
        seconds = []
        for _ in range(20):
            begin = time.perf_counter()
            opt.step(g)
            seconds.append(time.perf_counter() - begin)
        times.append(np.median(seconds))

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
axes.loglog(sizes, dense, "s--", color="tab:gray", label="dense gradient")
axes.loglog(sizes, by_rows, "o-", color="tab:blue", label="256 rows")
axes.set(
    xlabel="rows of the table", ylabel="seconds a step", title="A step by rows does not go by the size of the table"
)
axes.legend()
plt.show()
