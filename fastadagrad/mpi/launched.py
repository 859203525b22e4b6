"""Whether mpiexec has started this process, as one of several."""

from __future__ import annotations

import os

from ..support.extras import needed

# What the environment has of a process that is started by mpiexec: how many there are, by MPICH and by Open MPI, or, by
# a batch system in their place, the number of the process alone.
SIZES, NUMBER = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE"), "PMIX_RANK"
NUMBERS = "PMI_RANK", "OMPI_COMM_WORLD_RANK", NUMBER


def follows() -> bool:
    """Whether the environment says that this is a process of an MPI job other than process 0, which tells for all."""
    return any(os.environ.get(name, "0") != "0" for name in NUMBERS)


def is_one_of_several(what: str) -> bool:
    """Whether this process is one of several of an MPI job.

    Raises
    ------
    RuntimeError
        If it seems to be, and mpi4py is not installed, which `what` then needs.
    """
    sizes = {os.environ[name] for name in SIZES if name in os.environ}
    if sizes == {"1"} or not (sizes or NUMBER in os.environ):
        return False
    size: int = needed("mpi4py.MPI", f"{what} under mpiexec").COMM_WORLD.Get_size()
    return size > 1
