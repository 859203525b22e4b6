"""Logistic regression by several processes: mpiexec -n 4 python examples/mpi_logistic.py

Every process has the same examples and computes on its share of each batch; each keeps a part of the accumulators.
"""

import numpy as np
from mpi4py import MPI

import fastadagrad as fa


def loss(w, x, y):
    z = np.logaddexp(0, -y * (x @ w))
    return z.mean(), x.T @ (-y * (1 - np.exp(-z))) / len(y)


comm = MPI.COMM_WORLD
rng = np.random.default_rng(0)
x = rng.standard_normal((20_000, 200))
y = np.sign(x @ rng.standard_normal(x.shape[1]))
w = np.zeros(x.shape[1])
opt = fa.ADAGRAD(loss, w, learning_rate=0.1, comm=comm)
for epoch, (train, valid) in enumerate(opt.iterate([x, y], max_epochs=5, batch_size=256, rng=1), 1):
    if comm.rank == 0:
        print(f"epoch {epoch}: loss {train['loss']:.4f}, validated {valid['loss']:.4f}", flush=True)
if comm.rank == 0:
    print(f"accuracy {np.mean(np.sign(x @ w) == y):.3f}, by {comm.size} processes")
