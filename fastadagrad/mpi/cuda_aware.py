"""Whether an MPI sends what is in a GPU's memory from there, and receives it there: whether it is CUDA-aware."""

from __future__ import annotations

import os
from typing import Any

OVERRULED = "FASTADAGRAD_MPI_CUDA"  # what the environment calls whether it is, where the MPI does not say or is wrong
KINDS = "mpi_memory_alloc_kinds"  # the key of MPI 4.1 under which a communicator says which memory it takes
KIND, RESTRICTOR = "cuda", "device"  # named by the MPI Forum's side document "Memory Allocation Kinds"


def is_cuda_aware(comm: Any) -> bool:
    """Whether messages of a communicator of mpi4py may be in the memory of an NVIDIA GPU.

    It is asked as MPI 4.1 has it: by the kinds of memory in the communicator's info, of which one is ``cuda``, or
    ``cuda:device``. An MPI that does not know the key, or was not asked for that kind when the job began, is taken for
    one that is not CUDA-aware. Variables by which some libraries are told to use GPUs are not looked at, as they say
    what is wanted, not what the library can do.

    Raises
    ------
    ValueError
        If the environment variable that overrules all this is neither 0 nor 1.
    """
    given = os.environ.get(OVERRULED)
    if given is not None:
        if given not in ("0", "1"):
            raise ValueError(
                f"{OVERRULED} must be 1 for an MPI that is CUDA-aware or 0 for one that is not, not {given!r}"
            )
        return given == "1"
    return any(map(_is_of_gpus, _kinds_of(comm).split(",")))


def _kinds_of(comm: Any) -> str:
    info = comm.Get_info()
    try:
        return info.Get(KINDS) or ""
    finally:
        info.Free()


def _is_of_gpus(kind: str) -> bool:
    """Whether a kind of memory, which may have restrictors behind colons, is that in which GPUs have their arrays."""
    name, *restrictors = kind.strip().split(":")
    return name == KIND and (not restrictors or RESTRICTOR in restrictors)
