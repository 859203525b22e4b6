"""Training epochs over a source of batches, with a position that can be saved and restored."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..support.asking import asking
from .batches import Batch, Source, described
from .randomness import move, random_state


class Epochs:
    """A position in the passes over a source, and in the epochs that these are cut into."""

    _random: np.random.Generator | None  # each pass draws its order from it; None if passes have no random order
    _shuffle: str

    def _begin(self, source: Source, size: int | None) -> None:
        """Begin before the first batch, with epochs of `size` batches."""
        self._set_epoch(source, size)
        self._position = 0  # batches taken from the current pass
        self._done = 0  # batches taken from the current epoch
        self._drawn_from: dict[str, Any] | None = None  # the random state that ordered the current pass
        self._pass: Iterator[Batch] | None = None
        self._latest_loop: object = None  # None at first, and after shuffle() or restore()

    def _set_epoch(self, source: Source, size: int | None) -> None:
        """Take batches from `source`, in epochs of `size` batches; None: an epoch is one pass."""
        batches = source.size if size is None else size
        if batches is not None and batches < 1:
            raise ValueError(f"iteration_size: expected at least 1 batch an epoch, got {batches}")
        self._source, self._one_pass, self._iteration_size = source, size is None, batches
        self._identity = source.traits | {"shuffle": self._shuffle, "iteration_size": batches}

    def __iter__(self) -> Iterator[Batch]:
        """Run a training epoch: yield its batches in their drawn order."""
        if self._latest_loop is not None:  # and no shuffle() or restore() since
            self.end_epoch()
        yield from self._epoch(began=False)

    def rest(self) -> Iterator[Batch]:
        """Finish the epoch that :meth:`restore` has gone back to; yields nothing if its last batch was done.

        Yields
        ------
        array, tuple, dict or object
            A batch, as the source of the data has it.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> data = fa.Dataset(np.arange(4), batch_size=2, shuffle=False)
        >>> epoch = iter(data)
        >>> next(epoch)
        (array([0, 1]),)
        >>> data.restore(data.state())
        >>> [batch[0].tolist() for batch in data.rest()], [batch[0].tolist() for batch in data.rest()]
        ([[2, 3]], [])
        """
        return self._epoch(began=True)

    def _epoch(self, began: bool) -> Iterator[Batch]:
        loop = self._latest_loop = object()
        while self._done or not began:
            batch = self._advance()
            if batch is not None:
                began = True
                yield batch
            if self._latest_loop is not loop:
                raise RuntimeError(
                    f"{self!r}: a newer loop, shuffle(), restore() or another iteration_size ended this one; make two "
                    "Datasets"
                )

    def __getstate__(self) -> dict[str, Any]:
        """The state of a copy, whose first loop goes on from the position as after :meth:`restore`."""
        return {**vars(self), "_pass": None, "_latest_loop": None}

    def end_epoch(self) -> None:
        """Drop the rest of an epoch that a loop has left early; states taken from now on do not have it either.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> data = fa.Dataset(np.arange(4), batch_size=2, shuffle=False)
        >>> for batch in data:
        ...     break
        >>> data.state()["position"]
        1
        >>> data.end_epoch()
        >>> data.state()["position"]
        0
        """
        self._done = 0
        if self._one_pass:
            self._end_pass()

    def state(self) -> dict[str, Any]:
        """Return the position of training, between two batches or two epochs.

        Returns
        -------
        dict
            The state, small and in types that JSON has: instead of a permutation it holds the random state from which
            the permutation was drawn. For a callable or an iterable it holds only the position (batches of an iterable
            are then skipped up to it), as any randomness is the user's.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> data = fa.Dataset(np.arange(6), batch_size=2, iteration_size=2, shuffle=False)
        >>> for batch in data:
        ...     print(batch[0], data.state()["position"])
        [0 1] 1
        [2 3] 2
        """
        return {
            "source": self._identity,
            "position": self._position,
            "done": self._done,
            "random": random_state(self._random),
            "drawn_from": self._drawn_from,
        }

    @asking("state")
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state, so that the batches that followed it follow again, bit for bit.

        Parameters
        ----------
        state : dict
            A state from :meth:`state`, of this dataset or one made alike. A shared random generator goes back too.

        Raises
        ------
        ValueError
            If `state` is no such state; nothing has changed then.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> data = fa.Dataset(np.arange(4), batch_size=2, rng=0)
        >>> before = data.state()
        >>> [batch[0].tolist() for batch in data]
        [[2, 0], [1, 3]]
        >>> data.restore(before)
        >>> [batch[0].tolist() for batch in data]
        [[2, 0], [1, 3]]
        """
        self.check(state)
        if self._random is not None:
            move(self._random, state["random"])
        self._position, self._done, self._drawn_from = state["position"], state["done"], state["drawn_from"]
        self._pass = self._latest_loop = None

    @asking("state")
    def check(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError for a state that :meth:`restore` cannot go back to; nothing is changed.

        Parameters
        ----------
        state : dict
            The state to check.

        Raises
        ------
        ValueError
            If the state is not of a Dataset like this one, or is impossible.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> fa.Dataset(np.arange(6), batch_size=2).check(fa.Dataset(np.arange(6), batch_size=2).state())
        >>> fa.Dataset(np.arange(6), batch_size=2).check({})
        Traceback (most recent call last):
        ...
        ValueError: state: expected what Dataset.state() returned, got dict {}
        """
        if not isinstance(state, Mapping) or set(state) != set(self.state()):
            raise ValueError(f"state: expected what Dataset.state() returned, got {described(state)}")
        if state["source"] != self._identity:
            raise ValueError(f"state: expected one of a Dataset like {self!r}, got one of {state['source']}")
        position, done = state["position"], state["done"]
        if not (
            type(position) is type(done) is int
            and 0 <= position < (self._source.size or position + 1)
            and 0 <= done < (self._iteration_size or done + 1)
            and (done == position or not self._one_pass)
            and (state["drawn_from"] is not None or self._random is None or position == 0)
        ):
            raise ValueError(f"state: position {position!r} with {done!r} done is impossible in {self!r}")
        if self._random is not None:
            move(copy.deepcopy(self._random), state["random"])
            if state["drawn_from"] is not None:
                move(copy.deepcopy(self._random), state["drawn_from"])

    def _advance(self) -> Batch | None:
        """Take the next training batch; None if a pass over an iterable is found to be over."""
        self._pass = self._pass or self._open_pass()
        try:
            batch = next(self._pass, None)
        except BaseException:
            self._pass = None  # a generator that has raised looks exhausted; a new pass starts at this batch
            raise
        if batch is not None:
            own = self.__dict__  # quicker than attributes, whose names __setattr__ checks; every batch comes here
            own["_position"] += 1
            own["_done"] = 0 if self._done + 1 == self._iteration_size else self._done + 1
        if batch is None or self._position == self._source.size:
            self._end_pass()
        return batch

    def _open_pass(self) -> Iterator[Batch]:
        if self._random is not None and self._drawn_from is not None:
            return self._source.walk(self._position, move(copy.deepcopy(self._random), self._drawn_from))
        before = random_state(self._random)
        batches = self._source.walk(self._position, self._random)
        self._drawn_from = before
        return batches

    def _end_pass(self) -> None:
        self._pass = self._drawn_from = None
        self._position = 0
        if self._one_pass:
            self._done = 0
