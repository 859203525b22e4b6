"""The backend: memory and work of one GPU, as the optimizer uses it, and the function that finds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..kernels.cuda.compiling import Kernel

INSTALL = "pip install 'fastadagrad[cuda]', with 'cuda-bindings<13' for a driver older than 580"


class Allocation(Protocol):
    """Memory of a GPU that is freed when nothing refers to this object any more."""

    @property
    def address(self) -> int: ...


class Backend(Protocol):
    """Memory and work of one GPU. Work is done in the order of the calls; only `read` and `synchronize` wait for it."""

    @property
    def capability(self) -> tuple[int, int]:
        """The compute capability."""

    @property
    def captures(self) -> bool:
        """Whether the work is put into a CUDA graph, to be done whenever that is launched."""

    def holds(self, address: int) -> bool:
        """Whether an address is in the GPU's memory."""

    def allocate(self, size: int) -> Allocation:
        """Allocate `size` bytes at an address that is a multiple of 256."""

    def page_locked(self, size: int) -> NDArray[np.uint8]:
        """Memory of the host, not set, that stays where it is, so that the GPU copies from and to it by itself."""

    def write(self, address: int, values: NDArray[Any]) -> None:
        """Copy a C-contiguous host array to the GPU.

        The array may be changed as soon as the call returns or, if it is in page-locked memory, after `synchronize`.
        """

    def read(self, address: int, values: NDArray[Any], wait: bool = True) -> None:
        """Fill a C-contiguous host array from the GPU, once all work that was asked for before is done.

        Without `wait`, which is for arrays in page-locked memory, it is filled once `synchronize` returns.
        """

    def copy(self, to: int, source: int, size: int) -> None: ...

    def clear(self, address: int, size: int) -> None:
        """Set bytes to 0."""

    def load(self, kernel: Kernel) -> None:
        """Load a kernel's code and memory, so that a launch cannot fail for the lack of either."""

    def launch(self, kernel: Kernel, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """Launch a kernel. Arguments are whole numbers, for parameters of 64 bits, and NumPy scalars."""

    def ready(self, kernel: Kernel, blocks: int, threads: int, arguments: Sequence[Any]) -> Any:
        """A launch with its arguments, for `make`, which is quicker than `launch` where all is the same again."""

    def make(self, launch: Any, updates: NDArray[np.int64] | None = None, after: Any = None) -> None:
        """Launch what is ready, `after` something else, and add 1 to a count.

        A handler of a signal finds all of it done, or nothing.
        """

    def on(self, streams: Iterable[int | None]) -> AbstractContextManager[None]:
        """Do the work within this context on the first of these streams.

        The work begins after all work that these streams have so far, and afterwards all of them, and the default
        stream, wait for it. Without any stream it is done on the default stream. Within another such context nothing
        changes.
        """

    def keep(self, arrays: Any) -> None:
        """Keep a reference to an object until all work that has been asked for is done."""

    def synchronize(self) -> None:
        """Wait until the GPU has done all work, also that of other libraries."""


def backend_at(address: int) -> Backend:
    """The GPU that has this address in its memory, or the first GPU for address 0, which empty arrays have.

    Raises
    ------
    RuntimeError
        If the GPU cannot be used; the message says what to install.
    """
    try:
        from .driver import driver_at
    except ImportError as error:
        raise RuntimeError(f"device arrays need CUDA's Python packages ({error}): {INSTALL}") from error
    return driver_at(address)
