"""The place in a stream where a fit is, and the way back to that of a checkpoint: what was trained on is read again."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import chain
from typing import Any

from ..data.tables import Table
from .fed import Fed
from .feeds import Feed, Preparing
from .fit_checkpoints import Taken, about_examples, about_targets, checksum
from .progressive import Progressive
from .stream_sources import Once, Source
from .training import Examples


def about(preparing: Preparing, held_out: Table | None) -> dict[str, Any]:
    """What tells a stream from another one, as far as it is known before training."""
    scale = preparing.scale
    return {
        "features": preparing.width,
        "labels": about_targets(preparing.targets),
        "scales": checksum(scale.shift, scale.size),
        "valid": about_examples(held_out),
    }


class Place:
    """The place between two buffers of a stream where training is.

    Parameters
    ----------
    source : Source
    taken : Taken, optional
        A checkpoint to go on from.
    """

    def __init__(self, source: Source, taken: Taken | None) -> None:
        self._source, self._taken = source, taken  # which is let go once it has been entered
        self._before: dict[str, Any] = {} if taken is None else taken.header["stream"]
        self.values = 0  # of all examples that were trained on
        self._epoch = 0 if taken is None else taken.epoch  # epochs that are done
        self._buffers = self._in_epoch = 0  # buffers of this epoch, and the values in them
        self._random: Any = None  # state of the random numbers at the start of this epoch
        self._progressive: dict[str, Any] | None = None
        self._scale: object = None  # by which the weights were trained last
        self._first: Iterator[Feed] | None = None
        self._open: Generator[Feed, None, None] | None = None

    def enter(self, trainer: Fed, name: str) -> Examples:
        """Read up to the place, feed the trainer with the first examples that it is to have, and return these.

        Raises
        ------
        ValueError
            If the stream has no rows, or other ones than when the checkpoint was written.
        """
        source, taken, before = self._source, self._taken, self._before
        if taken is not None:
            source.random = before["random"]
        self._random = source.random
        once_more = isinstance(source, Once) and self._epoch == 1  # for its scales, which grow to the end
        self._open = source.feeds(1 if once_more else self._epoch + 1)
        last = self._skip(before.get("buffers", 0), name)
        if taken is not None:
            trainer.restore(taken.trained, taken.means, taken.header["visits"], before["mean"])
            self.values = before["values"]
            self._taken = None
        self._first = self._open
        if last is None:
            last = next(self._open, None)
            if last is None:
                raise ValueError(f"{name} has no rows to train on")
            self._first = chain([last], self._open)
        trainer.feed(last.examples)
        return last.examples

    def _skip(self, buffers: int, name: str) -> Feed | None:
        """Read buffers that have been trained on; the last of them."""
        assert self._open is not None
        last = None
        for _ in range(buffers):
            last = next(self._open, None)
            if last is None:
                break
            self._in_epoch += int(last.examples.values.size)
            self._buffers += 1
        if buffers and (last is None or self._in_epoch != self._before["in_epoch"]):
            raise ValueError(
                f"{name} has other rows than when the checkpoint was written: give another folder to begin"
            )
        self._scale = self._source.preparing.scale
        return last

    def go_on(self, progressive: Progressive) -> bool:
        """Whether an epoch goes on that was begun before the checkpoint, of which `progressive` takes the losses."""
        before, self._before = self._before, {}
        if not before.get("buffers"):
            return False
        progressive.restore(before["progressive"])
        return True

    def feeds(self, epoch: int) -> Iterator[Feed]:
        """The buffers of an epoch, or the rest of them."""
        if self._first is not None:
            feeds, self._first = self._first, None
            return feeds
        self._random, self._buffers, self._in_epoch = self._source.random, 0, 0
        self._open = self._source.feeds(epoch)
        return self._open

    def passed(self, feed: Feed, progressive: Progressive) -> None:
        """Note that a buffer has been trained on."""
        size = int(feed.examples.values.size)
        self._buffers, self._in_epoch, self.values = self._buffers + 1, self._in_epoch + size, self.values + size
        self._progressive, self._scale = progressive.state(), self._source.preparing.scale

    def end_buffers(self) -> None:
        """Note that an epoch has had its last buffer: until it has ended, there is no place to go on from."""
        self._progressive = None

    def end_epoch(self) -> None:
        """Note that an epoch has ended."""
        self._progressive = None
        self._epoch += 1
        if not isinstance(self._source, Once):
            self._random, self._buffers, self._in_epoch = self._source.random, 0, 0

    @property
    def is_between_buffers(self) -> bool:
        """Whether the weights are as the latest buffer has left them: scales may have grown for the next since."""
        return self._progressive is not None and self._scale is self._source.preparing.scale

    def state(self) -> dict[str, Any]:
        """The place, in types that JSON has."""
        return {
            "buffers": self._buffers,
            "in_epoch": self._in_epoch,
            "values": self.values,
            "random": self._random,
            "progressive": self._progressive,
        }

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
