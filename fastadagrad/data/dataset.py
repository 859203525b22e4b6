"""Minibatches: data cut into batches, in an order that can be saved and continued."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from typing import Any, Literal, Never

import numpy as np

from ..engine.options import refuse_unknown
from ..support.asking import UNREADABLE, asking, refuse_unreadable, shown, whether
from ..support.attributes import refuse_misplaced
from ..support.checks import whole_number
from ..support.hints import DATASETS
from .batches import Arrays, Batch, described, is_array, parts_of, source_of
from .epochs import Epochs
from .randomness import as_generator

__all__ = ["Batch", "Dataset", "as_dataset", "limited", "sample_count"]

Shuffle = bool | Literal["batches"]

_numbers = count()  # numbers for Datasets without a name, in this process
_KEYWORDS = ("inputs", "name", "batch_size", "iteration_size", "axis", "rng", "shuffle")
_SETTABLE = ("name", "iteration_size")
_PLACES = dict.fromkeys(_KEYWORDS, "Dataset(..., {}=...)") | dict.fromkeys(_SETTABLE, "dataset.{}")


class Dataset(Epochs):
    """Batches of data: a loop over it is a training epoch, one over :meth:`batches` an evaluation pass.

    Parameters
    ----------
    inputs : array, list or tuple of arrays, dict, callable or iterable
        - Arrays (ndarray, also memmap; pandas; polars; scipy.sparse; h5py's datasets; whatever has a shape and can be
          indexed), one or several, equally long along `axis`: a batch is a tuple with a part of each.
        - A dict of name -> array: a batch is a dict of name -> part.
        - A callable that returns one batch, or an iterable of batches that can be iterated over repeatedly
          (such as a list of tuples). A batch is an array, a tuple or list, or a dict; a callable may return any object
          that the loss knows. ``[[]]`` is one batch of nothing, for a loss without data.
    name : str, optional
        Name of the Dataset in messages and files. By default "dataset" and a number.
    batch_size : int, default 32
        Samples per batch; the last one may be smaller. With 0 or less, everything is one batch.
    iteration_size : int, optional
        Batches per training epoch, and the most that an evaluation pass takes, which are the first in storage order. By
        default one pass over the data; for a callable its length, or 100. It must be given for an endless iterable.
    axis : int, default 0
        The axis along which samples lie.
    rng : None, int, SeedSequence, BitGenerator, Generator or RandomState
        Source of the random order. A Generator is used itself, not copied; a RandomState seeds a new one.
    shuffle : bool or "batches", default True
        True: each pass has its own permutation of the samples, gathered into fresh arrays (not if all are one batch).
        "batches": slices (views of ndarrays) in a permuted order. False: storage order. Other sources have their own.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of a wrong kind, if arrays disagree in length, or if there is no data.

    Notes
    -----
    Without `iteration_size`, every loop begins a new pass, also if the loop before was left in the middle. With
    `iteration_size`, an epoch goes on in the pass where the epoch before stopped, and begins another pass when the data
    are exhausted. Either way, the first loop after :meth:`restore` finishes the epoch in which the state was taken.
    Only the latest loop can go on; an older one raises RuntimeError. Parts of CSR and CSC matrices keep their format;
    other formats of scipy.sparse are converted, once. Memmaps are read batch by batch. Batches gathered from ndarrays
    are C-contiguous.

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
        with asking("shuffle", shuffle):
            if not isinstance(shuffle, bool | np.bool) and (not isinstance(shuffle, str) or shuffle != "batches"):
                raise ValueError(f'shuffle: expected True, False or "batches", got {described(shuffle)}')
        self._number = next(_numbers)
        self.name = name
        self._axis = whole_number("axis", axis)
        self._batch_size = whole_number("batch_size", batch_size)
        arrays = partial(Arrays, self._batch_size, self._axis, isinstance(shuffle, str))
        self._generator = as_generator(rng)
        size = _checked_size(iteration_size)
        with asking("inputs", inputs):
            if isinstance(inputs, Dataset):
                raise TypeError(f"inputs: expected arrays, a callable or batches, got {described(inputs)}")
            source = source_of(inputs, size, arrays)
            several = isinstance(source, Arrays) and len(source) > 1
            self._random = self._generator if shuffle and several else None
            self._shuffle = str(shuffle)
            self._begin(source, size)

    def __setattr__(self, name: str, value: Any) -> None:
        own = name.startswith("_") or (hasattr(type(self), name) and name not in _KEYWORDS)
        if not (own or name in _SETTABLE):
            refuse_misplaced(self, name, _PLACES, DATASETS)
        super().__setattr__(name, value)

    @property
    def name(self) -> str:
        """Name in messages and files; if it is set to None, the name is "dataset" and a number."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        with asking("name", name):
            if name is not None and not isinstance(name, str):
                raise TypeError(f"name must be a string or None, not {shown(name)}")
        self._name, self._named = name or f"dataset{self._number}", bool(name)

    @property
    def named(self) -> bool:
        """Whether the name was given by the user."""
        return self._named

    @property
    def axis(self) -> int:
        """The axis along which samples lie."""
        return self._axis

    @property
    def iteration_size(self) -> int | None:
        """Batches per training epoch; None if only a pass over the data will show it.

        After it is set to another number, or to None for one pass, the next loop begins a new epoch. If there was a
        number before, that epoch goes on in the pass where the last one stopped.
        """
        return self._iteration_size

    @iteration_size.setter
    def iteration_size(self, size: int | None) -> None:
        size = _checked_size(size)
        was_one_pass = self._one_pass
        self._set_epoch(self._source.resized(size), size)
        self._done, self._latest_loop = 0, None
        if was_one_pass or self._one_pass:
            self._end_pass()

    @property
    def rng(self) -> np.random.Generator:
        """The generator that the order is drawn from."""
        return self._generator

    @property
    def batch_size(self) -> int:
        """Samples per batch, as it was given."""
        return self._batch_size

    def iterate(self, shuffle: bool = True) -> Iterator[Batch]:
        """Run a training epoch, as a loop over the Dataset does; with ``shuffle=False`` an evaluation pass.

        Parameters
        ----------
        shuffle : bool, default True
            False: the evaluation pass of :meth:`batches`.

        Yields
        ------
        array, tuple, dict or object
            A batch, as the source of the data has it.

        Raises
        ------
        RuntimeError
            From a training epoch, if a newer one has begun.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> data = fa.Dataset(np.arange(4), batch_size=2, rng=0)
        >>> [batch[0].tolist() for batch in data.iterate(shuffle=False)]
        [[0, 1], [2, 3]]
        """
        return iter(self) if whether("shuffle", shuffle) else self.batches()

    def shuffle(self) -> None:
        """Let the next loop begin a new pass, in a new order; nothing happens for data without a random order.

        Raises
        ------
        ValueError
            If the Dataset was made with ``shuffle=False``.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> data = fa.Dataset(np.arange(6), batch_size=2, iteration_size=1, rng=0)
        >>> [batch[0].tolist() for batch in data]
        [[3, 2]]
        >>> data.shuffle()  # else the next epoch would go on in that order
        >>> [batch[0].tolist() for batch in data]
        [[4, 5]]
        """
        if isinstance(self._source, Arrays) and self._shuffle == "False":
            raise ValueError(f"{self!r} was made with shuffle=False: make it with shuffle=True")
        if self._random is not None:
            self._done, self._latest_loop = 0, None
            self._end_pass()

    def batches(self, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Run an evaluation pass: the data in storage order, as views where possible, at most `iteration_size` batches.

        Training is not affected: no random number of its order is drawn, and its position does not move.

        Parameters
        ----------
        random : Generator, optional
            With a generator, the pass goes over all batches and, if the Dataset is shuffled, draws an order from it.

        Yields
        ------
        array, tuple, dict or object
            A batch, as the source of the data has it.

        Raises
        ------
        TypeError
            If `random` is no Generator.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> data = fa.Dataset(np.arange(4), batch_size=2, iteration_size=1)
        >>> [batch[0].tolist() for batch in data.batches()]
        [[0, 1]]
        >>> [batch[0].tolist() for batch in data.batches(np.random.default_rng(0))]
        [[2, 0], [1, 3]]
        """
        with asking("random", random):
            if random is not None and not isinstance(random, np.random.Generator):
                raise TypeError(f"random must be a numpy.random.Generator or None, not {shown(random)}")
        if random is None:
            return islice(self._source.walk(0, None), self.iteration_size)
        return self._source.walk(0, random if self._random is not None else None)

    def limited_to(self, iteration_size: int) -> Dataset:
        """Return a Dataset of the same data and random numbers with another `iteration_size`.

        The new Dataset goes on from the position of this one, which does not move.

        Parameters
        ----------
        iteration_size : int
            Batches per training epoch, and the most that an evaluation pass takes.

        Returns
        -------
        Dataset
            The new Dataset, which shares the data.

        Raises
        ------
        TypeError, ValueError
            If `iteration_size` is no whole number, or below 1.

        Examples
        --------
        >>> import numpy as np, fastadagrad as fa
        >>> data = fa.Dataset(np.arange(6), batch_size=2)
        >>> len(data.limited_to(2)), len(data)
        (2, 3)
        """
        limited = copy.copy(self)
        limited.iteration_size = iteration_size
        return limited

    def __len__(self) -> int:
        """Batches per training epoch; TypeError if an iterable has no length."""
        return len(self._source) if self.iteration_size is None else self.iteration_size

    def __repr__(self) -> str:
        return f"<Dataset {self.name}: {self._identity}>"


def as_dataset(data: Any, *args: Any, **kwargs: Any) -> Dataset | None:
    """Make a :class:`Dataset` of `data` with these arguments; a Dataset or None is returned as it is."""
    return data if data is None or isinstance(data, Dataset) else Dataset(data, *args, **kwargs)


def _checked_size(size: Any) -> int | None:
    """An `iteration_size`; it is the length of a Dataset, which Python bounds."""
    return None if size is None else whole_number("iteration_size", size, 1, sys.maxsize)


def limited(data: Dataset | None, iteration_size: int | None) -> Dataset | None:
    """The Dataset `data`, or one of the same data with another `iteration_size` if that is given."""
    if data is None or iteration_size is None or iteration_size == data.iteration_size:
        return data
    return data.limited_to(iteration_size)


def sample_count(batch: Any, axis: int = 0) -> int:
    """Weigh a batch: the length of its first array along `axis`, or 1 if it has none.

    >>> import numpy as np
    >>> sample_count((np.zeros((8, 3)), np.zeros(8))), sample_count((0.5,))
    (8, 1)
    """
    try:
        shape = next((part.shape for part in parts_of(batch) if is_array(part)), ())
        return int(shape[axis]) if -len(shape) <= axis < len(shape) else 1
    except UNREADABLE as error:
        refuse_unreadable("a batch", error)
        raise
