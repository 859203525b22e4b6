"""Whether mpiexec has started this process, as one of several."""

from __future__ import annotations

import os

from ..support.extras import needed

# What mpiexec tells each process that it starts: MPICH's, Open MPI's, and that of a batch system in their place.
TOLD = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK")


def is_one_of_several(what: str) -> bool:
    """Whether this process is one of several of an MPI job.

    Raises
    ------
    RuntimeError
        If it seems to be, and mpi4py is not installed, which `what` then needs.
    """
    told = [os.environ[name] for name in TOLD if name in os.environ]
    if not told or told[0] == "1" != os.environ.get("PMIX_RANK"):
        return False
    size: int = needed("mpi4py.MPI", f"{what} under mpiexec").COMM_WORLD.Get_size()
    return size > 1
