"""What the optimizer asks of a GPU, and the one that there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..kernels.cuda.compiling import Kernel

INSTALL = "pip install 'fastadagrad[cuda13]', or [cuda12] for a driver older than 580"


class Allocation(Protocol):
    """Memory that is given back when nothing refers to this object any more."""

    @property
    def address(self) -> int: ...


class Backend(Protocol):
    """Memory and work of one GPU. What is asked for is done in that order, and, but for `read`, not waited for."""

    @property
    def capability(self) -> tuple[int, int]:
        """The compute capability."""

    def holds(self, address: int) -> bool:
        """Whether this is in the GPU's memory."""

    def allocate(self, size: int) -> Allocation:
        """So many bytes, at a multiple of 256."""

    def write(self, address: int, values: NDArray[Any]) -> None:
        """Copy a C-contiguous host array, which may change at once."""

    def read(self, address: int, values: NDArray[Any]) -> None:
        """Fill a C-contiguous host array, after all that was asked for before."""

    def copy(self, to: int, source: int, size: int) -> None: ...

    def clear(self, address: int, size: int) -> None:
        """Set bytes to 0."""

    def load(self, kernel: Kernel) -> None:
        """See to it that launching it can fail no more for want of anything."""

    def launch(self, kernel: Kernel, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """Arguments are whole numbers, for parameters of 64 bits, and NumPy scalars."""

    def on(self, streams: Iterable[int | None]) -> AbstractContextManager[None]:
        """Work on the first of these streams, after what has been asked of all of them; then they wait for it.

        Without any it is the default stream; that one waits for the work too. Within another such context it changes
        nothing.
        """

    def keep(self, arrays: Any) -> None:
        """Keep an object until what has been asked for is done."""

    def synchronize(self) -> None:
        """Wait until the GPU has nothing to do, for anyone."""


def backend_at(address: int) -> Backend:
    """The GPU that has this address in its memory, or the first GPU for address 0, which empty arrays have.

    Raises
    ------
    RuntimeError
        If there is no way to use it; says what to install.
    """
    try:
        from .driver import driver_at
    except ImportError as error:
        raise RuntimeError(f"device arrays need CUDA's Python packages ({error}): {INSTALL}") from error
    return driver_at(address)
