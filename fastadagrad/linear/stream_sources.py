"""Where the buffers of a fit to a stream come from: a stream that is read anew for each epoch, or once only."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from ..data.ahead import closed_at_end
from ..data.randomness import move, random_state
from ..data.streams import Stream, read_blocks
from ..data.tables import Table
from ..support import interrupts
from .fed import Fed
from .feeds import Feed, Prepared, Preparing, buffers, values_of
from .survey import Survey

AHEAD = 6  # blocks that are prepared while others are trained on


class Source(Protocol):
    """What gives the buffers of each epoch, prepared as `preparing` says."""

    preparing: Preparing
    trainer: Fed
    random: Any  # state of the random numbers, from which the orders of the next epoch are drawn

    def feeds(self, epoch: int) -> Generator[Feed, None, None]: ...


class Passes:
    """A stream whose scales are known, and which is read anew for each epoch, if there are several."""

    trainer: Fed

    def __init__(self, stream: Stream, preparing: Preparing, p: Mapping[str, Any], steps: int, buffer: int) -> None:
        self.preparing, self._stream, self._buffer = preparing, stream, buffer
        self._rng = _orders(p, steps)
        self._seed = None if self._rng is None else [p["seed"], 2, steps]

    @property
    def random(self) -> Any:
        """The state of the random numbers that orders within buffers are drawn from, in types that JSON has."""
        return random_state(self._rng)

    @random.setter
    def random(self, state: Any) -> None:
        if self._rng is not None:
            move(self._rng, state)

    def look_through(self) -> None:
        """Read the stream once, so that it is known where its blocks lie: from then on their order is drawn."""
        with closed_at_end(read_blocks(self._stream, lambda table: None, ahead=AHEAD)) as blocks:
            for _ in blocks:
                pass

    def feeds(self, epoch: int) -> Generator[Feed, None, None]:
        """The buffers of an epoch."""
        order = None
        if self._seed is not None:
            order = np.random.default_rng([*self._seed, epoch]).permutation
        blocks = read_blocks(self._stream, self.preparing, order, AHEAD)
        with closed_at_end(blocks):
            yield from buffers(blocks, list, self._rng, self._buffer)


class Once:
    """A stream that can be read once only; its scales grow with what has been read, and training goes with them.

    Parameters
    ----------
    survey : Survey
        Gets the first buffer at once, and the rest as it is read.
    first : callable
        Gets each block of the first buffer.
    """

    trainer: Fed
    random: Any = None  # as there is one epoch only, which is gone through from its beginning

    def __init__(
        self,
        stream: Stream,
        survey: Survey,
        p: Mapping[str, Any],
        classes: Any,
        buffer: int,
        first: Callable[[Table], object],
    ) -> None:
        self._survey, self._buffer, self._rng = survey, buffer, _orders(p, 0)
        self._blocks = read_blocks(stream, survey.examine, ahead=AHEAD)
        self._first = list[Table]()
        values = 0
        for block in self._blocks:
            survey.add(block)
            first(block.table)
            self._first.append(block.table)
            values += values_of(block.table)
            if values >= buffer:
                break
        if not survey.rows:
            raise ValueError(f"{stream.name} has no rows to train on")
        survey.settle()
        self.preparing = Preparing(survey.scaling(), survey.targets(classes), survey.width, p["dtype"])

    def _tables(self) -> Iterator[Table]:
        while self._first:
            yield self._first.pop(0)
        for block in self._blocks:
            self._survey.add(block)
            yield block.table

    def _prepared(self, tables: list[Table]) -> list[Prepared]:
        scale = self._survey.scaling()
        with interrupts.whole():
            self.trainer.rescale(self.preparing.scale, scale)
            self.preparing.scale = scale
        return [self.preparing(table) for table in tables]

    def feeds(self, epoch: int) -> Generator[Feed, None, None]:
        """The buffers of the one epoch."""
        with closed_at_end(self._blocks):
            yield from buffers(self._tables(), self._prepared, self._rng, self._buffer)


def _orders(p: Mapping[str, Any], steps: int) -> np.random.Generator | None:
    return np.random.default_rng([p["seed"], 1, *([steps] if steps else [])]) if p["shuffle"] else None
