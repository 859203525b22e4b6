"""Training in GPUs' memory by several processes, and by one with the sum of their gradients, on interpreted GPUs.

``mpiexec -n 3 python tests/tools/by_gpus.py`` prints, in each process, a line of JSON with digests of the parameters
after some steps of a few cases; with ``FASTADAGRAD_MPI_CUDA=1`` messages are from and to what stands for the memory of
the GPU, which is the host's.
"""

import json
import sys

import numpy as np
from by_processes import CASES, SHAPES, START, STEPS, added, digest, gradients_of

import fastadagrad as fa
from fastadagrad.optimizer.building import METHODS
from fastadagrad.optimizer.second_order import SecondOrder

FEW = ["adam", "global norm"]


def trained_on(gpu, size, method, hyper, dtype, comm=None):
    """Parameters on a GPU after some steps with the gradients of so many processes, as NumPy arrays."""
    params = {name: gpu.array(np.array(array, dtype)) for name, array in START.items()}
    if comm is not None and comm.rank:
        for array in params.values():
            array.set(np.nan)
    among = {} if comm is None else {"comm": comm, "reduction": "sum"}
    averaged = {"averaged": True} if issubclass(METHODS[method], SecondOrder) else {}
    opt = fa.build(method, params=params, **among, **averaged, **hyper)
    for t in range(STEPS):
        of_all = [gradients_of(rank, t, dtype, False) for rank in range(size)]
        own = {n: added([g[n] for g in of_all]) for n in SHAPES} if comm is None else of_all[comm.rank]
        own = {name: gpu.array(g, read_only=True) for name, g in own.items()}
        opt.step(own, *([own] if averaged else ()))
    return {name: array.numpy() for name, array in params.items()}


def digests(gpu, size, comm=None):
    return {case: digest(trained_on(gpu, size, *CASES[case], np.float32, comm)) for case in FEW}


if __name__ == "__main__":
    from gpu import Interpreter
    from mpi4py import MPI

    from fastadagrad.device import backend
    from fastadagrad.mpi import shards

    shards.TOGETHER = 0  # each array has messages of its own, as large ones have
    gpu, world = Interpreter(), MPI.COMM_WORLD
    backend.backend_at = lambda address: gpu
    sys.stdout.write(json.dumps({"rank": world.rank, "digests": digests(gpu, world.size, world)}) + "\n")
