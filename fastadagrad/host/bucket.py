"""The unit of parameters in the host's memory with dense gradients, which one launch steps together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.options import Settings
from ..engine.parameters import interval
from ..engine.rows import is_sparse
from ..engine.state import State
from ..engine.unit import OtherKind, Unit
from ..kernels.cpu.statistics import make_measure
from ..kernels.cpu.tensors import HEADERS, UPDATE, make_driver
from ..kernels.memory import addresses, headers
from ..kernels.rules import trait
from .gradients import gradient_refusal, host_form
from .launch import launch

_HEADERS_READABLE = headers.supported()


class Bucket(Unit):
    """Parameters with dense gradients, stepped in one launch."""

    def __init__(self, state: State, members: dict[int, Settings], kind: str, lean: bool, parallel_from: int) -> None:
        super().__init__(state, members, kind)
        [motion, *_] = (settings.motion for settings in members.values())
        self._driver = make_driver(self._form, motion, kind, lean, self._dtype)
        blocks, measured = int(self.table[-1, addresses.FIRST_BLOCK]), len(trait(self._form, "measured"))
        self._scratch = np.zeros(max(1, blocks))
        self._block_measures, self._measures = np.zeros((measured, blocks)), np.zeros((measured, len(members)))
        self._held: list[Any] = []  # views of gradients of other libraries, until a step has used them
        self._large = int(self.table[:-1, addresses.SIZE].sum()) >= parallel_from

    def run(self, work: int, gradients: list[Any], guard: NDArray[np.int64], threads: int) -> int:
        spans = threads if self._large else 1
        rest = id(gradients), self.table, self._scalars, guard, self._scratch, self.sums
        code: int
        if _HEADERS_READABLE or not work & HEADERS:
            code = launch(self._driver, spans, work, *rest)
            if code >= 0 or addresses.decode(code)[1] == addresses.NON_FINITE:
                if not work & HEADERS:
                    self._held.clear()
                return code
        self.locate_by_hand(gradients, guard)
        code = launch(self._driver, spans, work & ~HEADERS, *rest)
        if code < 0 or work & UPDATE:
            self._held.clear()
        return code

    def measure(self, threads: int) -> NDArray[np.float64]:
        """The sums that the method measures, over each parameter and its gradient of the last `run`.

        The result has shape (measured, members).
        """
        spans = threads if self._large else 1
        arguments = self.table, self._scalars, self._block_measures, self._measures
        launch(make_measure(self._form, self._dtype), spans, *arguments)
        return self._measures

    def block_sums(self) -> list[NDArray[np.float64]]:
        """For each parameter the sums of squares of the gradient's blocks of 4,096, by the last `run` with NORMS."""
        return self._by_member(self._scratch)

    def measured_blocks(self) -> list[list[NDArray[np.float64]]]:
        """For each number that the method measures, the sums over the blocks of each parameter, by `measure`."""
        return [self._by_member(sums) for sums in self._block_measures]

    def locate_by_hand(self, gradients: list[Any], guard: NDArray[np.int64]) -> None:
        """Check the gradients one by one in Python and note their addresses.

        This is for gradients that compiled code has refused, and for a Python whose objects it cannot read.
        """
        self._refuse_changed_parameters()
        if any(is_sparse(gradients[i]) for i in self.positions):
            raise OtherKind
        self._held.clear()
        for row, i in zip(self.table, self.positions, strict=False):
            name = self._params.names[i]
            gradient = host_form(f"gradient of {name!r}", gradients[i])
            it = "gradient" if gradient is gradients[i] else "numpy.asarray(gradient)"
            error = gradient_refusal(name, gradient, self._params.arrays[i], guard, it)
            if error:
                raise error
            row[addresses.GRADIENT] = interval(gradient)[0]
            if gradient is not gradients[i]:
                self._held.append(gradient)
