"""Minibatches: cutting data into batches, in an order that can be saved and taken up again."""

from __future__ import annotations

import copy
import json
import operator
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count, islice
from typing import Any, Literal, Never

import numpy as np

from ..engine.options import refuse_unknown
from ..support.attributes import refuse_misplaced
from ..support.checks import shown, whole_number
from ..support.hints import DATASETS
from .batches import Arrays, Batch, Source, described, is_array, parts_of, source_of

__all__ = ["Batch", "Dataset", "as_dataset", "limited", "sample_count"]

Shuffle = bool | Literal["batches"]

_numbers = count()  # of Datasets made in this process, for those without a name
_KEYWORDS = ("inputs", "name", "batch_size", "iteration_size", "axis", "rng", "shuffle")
_SETTABLE = ("name", "iteration_size")
_PLACES = dict.fromkeys(_KEYWORDS, "Dataset(..., {}=...)") | dict.fromkeys(_SETTABLE, "dataset.{}")


class Dataset:
    """Batches of data: a loop over it is a training epoch, one over :meth:`batches` an evaluation pass.

    Parameters
    ----------
    inputs : array, list or tuple of arrays, dict, callable or iterable
        - Arrays (ndarray, also memmap; pandas; polars; scipy.sparse; h5py's datasets; whatever has a shape and can be
          indexed), one or several, equally long along `axis`: a batch is a tuple with a part of each.
        - A dict of name -> array: a batch is a dict of name -> part.
        - A callable that returns one batch, or an iterable of batches that can be iterated over repeatedly
          (such as a list of tuples). A batch is an array, a tuple or list, or a dict; of a callable, any object that
          the loss knows. ``[[]]`` is one batch of nothing, for a loss without data.
    name : str, optional
        What to call it in messages and files. By default "dataset" and a number.
    batch_size : int
        Samples per batch; the last one may be smaller. With 0 or less, everything is one batch.
    iteration_size : int, optional
        Batches per training epoch, and the most that an evaluation pass takes: the first in storage order. By default
        one pass over the data; for a callable its length, or 100. An iterable without an end needs it.
    axis : int
        The axis along which samples lie.
    rng : None, int, SeedSequence, BitGenerator, Generator or RandomState
        What the order is drawn from: a Generator itself (not a copy), or a new one. A RandomState seeds it.
    shuffle : bool or "batches"
        True: each pass has its own permutation of the samples, gathered into fresh arrays (not if all are one batch).
        "batches": slices (views of ndarrays) in a permuted order. False: storage order. Other sources have their own.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of a wrong kind, if arrays disagree in length, or if there is no data.

    Notes
    -----
    Without `iteration_size`, every loop begins a new pass, also if the one before was left in the middle. With it, an
    epoch goes on in the pass where the one before stopped, and begins another when the data are exhausted. Either way,
    the first loop after :meth:`restore` finishes the epoch in which the state was taken. Only the latest loop can go
    on; an older one raises RuntimeError. Parts of CSR and CSC matrices keep their format; other formats of scipy.sparse
    are converted, once. Memmaps are read batch by batch. Batches gathered from ndarrays are C-contiguous.

    Examples
    --------
    >>> import numpy as np, fastadagrad as fa
    >>> train = fa.Dataset([np.arange(10.0).reshape(5, 2), np.arange(5)], batch_size=2, rng=0)
    >>> [y.tolist() for x, y in train]
    [[2, 4], [3, 0], [1]]
    >>> [y.tolist() for x, y in train.batches()]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        inputs: Any,
        name: str | None = None,
        batch_size: int = 32,
        iteration_size: int | None = None,
        axis: int = 0,
        rng: Any = None,
        shuffle: Shuffle = True,
        **misspelt: Never,
    ) -> None:
        refuse_unknown(misspelt, _KEYWORDS, "Dataset", foreign=DATASETS)
        if not isinstance(shuffle, bool | np.bool) and (not isinstance(shuffle, str) or shuffle != "batches"):
            raise ValueError(f'shuffle: expected True, False or "batches", got {described(shuffle)}')
        self._number = next(_numbers)
        self.name = name
        self._axis = whole_number("axis", axis)
        self._batch_size = whole_number("batch_size", batch_size)
        arrays = partial(Arrays, self._batch_size, self._axis, isinstance(shuffle, str))
        self._generator = as_generator(rng)
        if isinstance(inputs, Dataset):
            raise TypeError(f"inputs: expected arrays, a callable or batches, got {described(inputs)}")
        size = None if iteration_size is None else whole_number("iteration_size", iteration_size, 1)
        source = source_of(inputs, size, arrays)
        several = isinstance(source, Arrays) and len(source) > 1
        self._random = self._generator if shuffle and several else None
        self._shuffle = str(shuffle)
        self._set_epoch(source, size)
        self._position = 0  # batches taken from the current pass
        self._done = 0  # batches taken from the current epoch
        self._drawn_from: dict[str, Any] | None = None  # the random state that ordered the current pass
        self._pass: Iterator[Batch] | None = None
        self._latest_loop: object = None  # None after shuffle() and restore() too

    def _set_epoch(self, source: Source, size: int | None) -> None:
        """Take batches from there in epochs of so many; None: of one pass."""
        batches = source.size if size is None else size
        if batches is not None and batches < 1:
            raise ValueError(f"iteration_size: expected at least 1 batch an epoch, got {batches}")
        self._source, self._one_pass, self._iteration_size = source, size is None, batches
        self._identity = source.traits | {"shuffle": self._shuffle, "iteration_size": batches}

    def __setattr__(self, name: str, value: Any) -> None:
        own = name.startswith("_") or (hasattr(type(self), name) and name not in _KEYWORDS)
        if not (own or name in _SETTABLE):
            refuse_misplaced(self, name, _PLACES, DATASETS)
        super().__setattr__(name, value)

    @property
    def name(self) -> str:
        """What messages and files call it; set to None, it is "dataset" and a number."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, not {shown(name)}")
        self._name, self._named = name or f"dataset{self._number}", bool(name)

    @property
    def named(self) -> bool:
        """Whether it has a name of its user's."""
        return self._named

    @property
    def axis(self) -> int:
        """The axis along which samples lie."""
        return self._axis

    @property
    def iteration_size(self) -> int | None:
        """Batches per training epoch; None where only a pass will tell.

        Set to another number, or to None for one pass, a new epoch begins with the next loop, in the pass where this
        one has stopped if there was a number before.
        """
        return self._iteration_size

    @iteration_size.setter
    def iteration_size(self, size: int | None) -> None:
        size = None if size is None else whole_number("iteration_size", size, 1)
        was_one_pass = self._one_pass
        self._set_epoch(self._source.resized(size), size)
        self._done, self._latest_loop = 0, None
        if was_one_pass or self._one_pass:
            self._end_pass()

    @property
    def rng(self) -> np.random.Generator:
        """What the order is drawn from."""
        return self._generator

    @property
    def batch_size(self) -> int:
        """Samples per batch, as it was given."""
        return self._batch_size

    def __iter__(self) -> Iterator[Batch]:
        """Run a training epoch: yield its batches in their drawn order."""
        if self._latest_loop is not None:  # and no shuffle() or restore() since
            self.end_epoch()
        yield from self._epoch(began=False)

    def iterate(self, shuffle: bool = True) -> Iterator[Batch]:
        """Run a training epoch, as a loop over the Dataset does; with ``shuffle=False`` an evaluation pass."""
        return iter(self) if shuffle else self.batches()

    def shuffle(self) -> None:
        """Begin a new pass, in a new order, with the next loop; where there is no order to draw, nothing happens.

        Raises
        ------
        ValueError
            If the Dataset was made with ``shuffle=False``.
        """
        if isinstance(self._source, Arrays) and self._shuffle == "False":
            raise ValueError(f"{self!r} was made with shuffle=False: make it with shuffle=True")
        if self._random is not None:
            self._done, self._latest_loop = 0, None
            self._end_pass()

    def rest(self) -> Iterator[Batch]:
        """Finish the epoch that :meth:`restore` has gone back to: none, if that was behind its last batch."""
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

    def batches(self, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Run an evaluation pass: the data in storage order, as views where possible, at most `iteration_size` batches.

        With `random`, one pass over all of them, in an order that it gives if they are shuffled. Training goes on as if
        this had not happened: none of its numbers is drawn, and no position moves.
        """
        if random is None:
            return islice(self._source.walk(0, None), self.iteration_size)
        return self._source.walk(0, random if self._random is not None else None)

    def limited_to(self, iteration_size: int) -> Dataset:
        """Return a Dataset of the same data and random numbers with another `iteration_size`.

        It goes on from where this one is, which stays there itself.
        """
        limited = copy.copy(self)
        limited.iteration_size = iteration_size
        return limited

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: the position, from which its first loop goes on as after :meth:`restore`."""
        return {**vars(self), "_pass": None, "_latest_loop": None}

    def __len__(self) -> int:
        """Batches per training epoch; TypeError if an iterable has no length."""
        return len(self._source) if self.iteration_size is None else self.iteration_size

    def __repr__(self) -> str:
        return f"<Dataset {self.name}: {self._identity}>"

    def end_epoch(self) -> None:
        """Give up the rest of an epoch that a loop has left, also for states that are taken from here on."""
        self._done = 0
        if self._one_pass:
            self._end_pass()

    def state(self) -> dict[str, Any]:
        """Say where training has got to, between two batches or two epochs.

        Returns
        -------
        dict
            Fit for JSON, and small: in place of a permutation, the random state from which it was drawn. Of a callable
            or an iterable only the position (up to which an iterable is then skipped): their randomness is their own.
        """
        return {
            "source": self._identity,
            "position": self._position,
            "done": self._done,
            "random": random_state(self._random),
            "drawn_from": self._drawn_from,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state, so that the batches that followed it follow again, bit for bit.

        Parameters
        ----------
        state : dict
            From :meth:`state`, of this dataset or one made alike. A shared random generator goes back too.

        Raises
        ------
        ValueError
            If it is not such a state; nothing has changed then.
        """
        self.check(state)
        if self._random is not None:
            move(self._random, state["random"])
        self._position, self._done, self._drawn_from = state["position"], state["done"], state["drawn_from"]
        self._pass = self._latest_loop = None

    def check(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError for what :meth:`restore` cannot go back to."""
        if not isinstance(state, Mapping) or set(state) != set(self.state()):
            raise ValueError(f"state: expected what Dataset.state() returned, got {described(state)}")
        if state["source"] != self._identity:
            raise ValueError(f"state: expected one of a Dataset like {self!r}, got one of {state['source']}")
        position, done = state["position"], state["done"]
        if not (
            type(position) is type(done) is int
            and 0 <= position < (self._source.size or position + 1)
            and 0 <= done < (self.iteration_size or done + 1)
            and (done == position or not self._one_pass)
            and (state["drawn_from"] is not None or self._random is None or position == 0)
        ):
            raise ValueError(f"state: position {position!r} with {done!r} done is impossible in {self!r}")
        if self._random is not None:
            move(copy.deepcopy(self._random), state["random"])
            if state["drawn_from"] is not None:
                move(copy.deepcopy(self._random), state["drawn_from"])

    def _advance(self) -> Batch | None:
        """Take the next training batch; None where a pass over an iterable turns out to be over."""
        self._pass = self._pass or self._open_pass()
        try:
            batch = next(self._pass, None)
        except BaseException:
            self._pass = None  # it would look exhausted from now on; the next one starts at this batch
            raise
        if batch is not None:
            own = self.__dict__  # as every batch comes here, and __setattr__ looks at names
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


def as_dataset(data: Any, *args: Any, **kwargs: Any) -> Dataset | None:
    """Make a :class:`Dataset` of `data` with these arguments; a Dataset or None is returned as it is."""
    return data if data is None or isinstance(data, Dataset) else Dataset(data, *args, **kwargs)


def limited(data: Dataset | None, iteration_size: int | None) -> Dataset | None:
    """`data`, in epochs of another size if one is given."""
    if data is None or iteration_size is None or iteration_size == data.iteration_size:
        return data
    return data.limited_to(iteration_size)


def sample_count(batch: Any, axis: int = 0) -> int:
    """Weigh a batch: the length of its first array along `axis`, or 1 if it has none.

    >>> import numpy as np
    >>> sample_count((np.zeros((8, 3)), np.zeros(8))), sample_count((0.5,))
    (8, 1)
    """
    shape = next((part.shape for part in parts_of(batch) if is_array(part)), ())
    return int(shape[axis]) if -len(shape) <= axis < len(shape) else 1


def as_generator(rng: Any) -> np.random.Generator:
    if isinstance(rng, np.random.RandomState):
        rng = int.from_bytes(rng.bytes(16), "little")
    try:
        return np.random.default_rng(whole_number("rng", rng) if isinstance(rng, bool) else rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng: expected None, a seed or a Generator, got {described(rng)}") from error


def random_state(random: np.random.Generator | None) -> Any:
    state = None if random is None else random.bit_generator.state
    return json.loads(json.dumps(state, default=operator.methodcaller("tolist")))


def move(random: np.random.Generator, state: Any) -> np.random.Generator:
    """Set a random generator to a state from outside."""
    try:
        # NumPy checks neither of these, and would read outside its buffers.
        if not 0 <= state["state"].get("pos", 0) <= 624 or not 0 <= state.get("buffer_pos", 0) <= 4:
            raise ValueError("its position is outside its buffer")
        random.bit_generator.state = state
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"state: its random state is not one of {random!r}: {error}") from error
    return random
