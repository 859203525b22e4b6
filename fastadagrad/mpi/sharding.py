"""Tables that are larger than one machine: each process has some rows."""

from __future__ import annotations

import operator
import os
from typing import Any

import numpy as np

from ..engine.shard import Shard
from ..support.asking import asking, shown
from .agreement import Agreement
from .communicator import processes_of
from .cuts import cut
from .processes import InStep


def shard(shape: Any, dtype: Any = np.float32, comm: Any = None, *, path: Any = None) -> Shard:
    """Divide an array of zeros among processes, so that each has some rows and none has all.

    The array is a parameter for an optimizer that is made with the same `comm`, and takes gradients by `Rows`, whose
    indices are row numbers of the whole array. Rows travel to the processes that have them, and
    ``opt.read_rows(name, indices)`` fetches rows from there. In a run ``touches=`` names the rows that the loss reads;
    ``params[name][indices]`` gives them, as that of an array of NumPy's would.

    Parameters
    ----------
    shape : tuple of int
        The shape of the whole array, ``(rows, ...)``, which has two dimensions or more. It is cut between rows at
        multiples of 4,096 elements.
    dtype : dtype, default float32
        float16, float32, float64 or ml_dtypes.bfloat16.
    comm : mpi4py communicator
        Its processes all make this call.
    path : path-like, optional
        The rows are in a file of this process, ``path.RANK-of-SIZE``, which is mapped into memory: made if it is
        missing, and gone on with if there is one. Without `path` they are in memory.

    Returns
    -------
    Shard
        The rows of this process: ``rows``, which can be written, with the numbers ``start`` to ``stop - 1``.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused, differs between processes, or a file has another size; in all processes.
    OSError
        If the file cannot be made or opened.

    Examples
    --------
    >>> import fastadagrad as fa
    >>> from mpi4py import MPI  # doctest: +SKIP
    >>> table = fa.shard((1_000_000_000, 16), comm=MPI.COMM_WORLD)  # doctest: +SKIP
    >>> table.rows[...] = np.random.default_rng(table.start).standard_normal(table.rows.shape)  # doctest: +SKIP
    >>> opt = fa.ADAGRAD(params={"table": table}, comm=MPI.COMM_WORLD)  # doctest: +SKIP
    """
    if comm is None:
        raise TypeError("comm is missing: give the communicator of the processes that share the array")
    found = processes_of(comm)
    if found is None:
        whole, kind = _checked(shape, dtype)
        return Shard(_rows(whole, kind, path, 0, 1), whole, [0, whole[0]], 0)
    processes = InStep(found)
    agreement, about = Agreement(processes), "shard"
    whole, kind = agreement.everywhere(about, lambda: _checked(shape, dtype))
    given = processes.all_of(about, (whole, str(kind), path is None))
    if len({*given}) > 1:
        raise ValueError(f"all processes must be given the same shape and dtype, and all a path or none: {given}")
    bounds = cut([whole], [False], processes.size)[0]
    own = bounds[processes.rank + 1] - bounds[processes.rank]
    rows = agreement.everywhere(about, lambda: _rows((own, *whole[1:]), kind, path, processes.rank, processes.size))
    return Shard(rows, whole, bounds, processes.rank)


def _checked(shape: Any, dtype: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with asking("shape"):
        found = tuple(operator.index(extent) for extent in shape)
    if len(found) < 2 or any(extent < 0 for extent in found):
        raise ValueError(f"shape must be of rows and columns, two numbers or more, not {shown(shape)}")
    with asking("dtype"):
        kind = np.dtype(dtype)
    return found, kind


def _rows(shape: tuple[int, ...], dtype: np.dtype[Any], path: Any, rank: int, size: int) -> Any:
    """Zeros in memory, or what a file has."""
    if path is None:
        return np.zeros(shape, dtype)
    with asking("path"):
        name = f"{os.fspath(path)}.{rank}-of-{size}"
    expected = dtype.itemsize * int(np.prod(shape, dtype=object))
    if not expected:  # a file of no bytes cannot be mapped
        return np.zeros(shape, dtype)
    if os.path.exists(name) and os.path.getsize(name) != expected:
        raise ValueError(
            f"{name} has {os.path.getsize(name)} bytes, and rows of shape {shape} in {dtype} take {expected}: give "
            "another path, or delete it"
        )
    mode: Any = "r+" if os.path.exists(name) else "w+"
    return np.memmap(name, dtype, mode, shape=shape)
