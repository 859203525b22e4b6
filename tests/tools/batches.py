"""What the tests of datasets share: samples by number, and hypotheses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastadagrad.data.dataset import Dataset

exactly = settings(derandomize=True, deadline=None)
lengths = st.integers(1, 40)
batch_sizes = st.integers(-1, 45)
shuffles = st.sampled_from([True, False, "batches"])
iteration_sizes = st.none() | st.integers(1, 30)
BIT_GENERATORS = [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64]


def samples(batch: Any) -> list[int]:
    (part,) = batch
    numbers: list[int] = part.tolist()
    return numbers


def epoch(dataset: Dataset) -> list[list[int]]:
    return [samples(batch) for batch in dataset]


def evaluation(dataset: Dataset) -> list[list[int]]:
    return [samples(batch) for batch in dataset.batches()]


def take(dataset: Dataset, count: int) -> list[list[int]]:
    """The next `count` batches, over as many epochs as that takes; the last may be left in the middle."""
    taken: list[list[int]] = []
    while len(taken) < count:
        for batch in islice(dataset, count - len(taken)):
            taken.append(samples(batch))
    return taken


def flat(batches: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(batches))


def plain_slices(length: int, batch_size: int) -> list[list[int]]:
    numbers = list(range(length))
    step = batch_size if batch_size > 0 else length
    return [numbers[i : i + step] for i in range(0, length, step)]


class Again:
    """An iterable without a length."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return (item for item in self.items)


class OnDisk:
    """What matters of h5py.Dataset: a shape, slices, and index arrays that ascend, along any axis."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array, self.shape, self.dtype, self.refused = array, array.shape, array.dtype, 0

    def __getitem__(self, key: Any) -> Any:
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, np.ndarray) and np.any(np.diff(part) <= 0):
                self.refused += 1
                raise TypeError("Indexing elements must be in increasing order")
        return self.array[key]
