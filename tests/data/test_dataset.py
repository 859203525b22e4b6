"""Batches against plain slicing, and the promise that a restored stream goes on bit for bit."""

from __future__ import annotations

import copy
import doctest
import pickle
import tracemalloc
from functools import partial
from itertools import islice, repeat
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from batches import (
    Again,
    batch_sizes,
    epoch,
    evaluation,
    exactly,
    flat,
    lengths,
    plain_slices,
    samples,
    shuffles,
    take,
)
from hypothesis import assume, given
from hypothesis import strategies as st

import fastadagrad.data.dataset
from fastadagrad.data.dataset import Dataset, as_dataset, sample_count


def test_docstring_examples() -> None:
    assert doctest.testmod(fastadagrad.data.dataset).failed == 0


class TestEpoch:
    @exactly
    @given(lengths, batch_sizes, shuffles, st.integers(0, 5))
    def test_every_sample_comes_once(self, length: int, batch_size: int, shuffle: Any, seed: int) -> None:
        dataset = Dataset(np.arange(length), batch_size=batch_size, rng=seed, shuffle=shuffle)
        expected = plain_slices(length, batch_size)
        assert len(dataset) == dataset.iteration_size == len(expected)
        for _ in range(3):
            batches = epoch(dataset)
            assert sorted(flat(batches)) == list(range(length))
            if shuffle is True:
                assert [len(batch) for batch in batches] == [len(batch) for batch in expected]
            elif shuffle == "batches":
                assert sorted(batches) == expected
            else:
                assert batches == expected

    def test_sample_order_is_the_generators_permutation(self) -> None:
        dataset, rng = Dataset(np.arange(10), batch_size=4, rng=7), np.random.default_rng(7)
        for _ in range(3):
            order = rng.permutation(10).tolist()
            assert epoch(dataset) == [order[:4], order[4:8], order[8:]]

    @pytest.mark.parametrize("shuffle", [True, "batches"])
    def test_epochs_differ(self, shuffle: Any) -> None:
        dataset = Dataset(np.arange(50), batch_size=1, rng=0, shuffle=shuffle)
        assert epoch(dataset) != epoch(dataset)

    @pytest.mark.parametrize("rng", [3, np.int64(3), np.random.SeedSequence(3)])
    def test_equal_seeds_give_equal_orders(self, rng: Any) -> None:
        one, two, other = (Dataset(np.arange(30), batch_size=7, rng=seed) for seed in (rng, 3, 4))
        first = take(one, 12)
        assert first == take(two, 12)
        assert first != take(other, 12)

    def test_generator_is_shared_and_random_state_seeds(self) -> None:
        rng = np.random.default_rng(0)
        dataset = Dataset(np.arange(9), batch_size=8, rng=rng)
        order = np.random.default_rng(0).permutation(9).tolist()
        assert epoch(dataset) == [order[:8], order[8:]]
        assert rng.random() != np.random.default_rng(0).random()
        one, two = (Dataset(np.arange(30), batch_size=9, rng=np.random.RandomState(5)) for _ in range(2))
        assert take(one, 3) == take(two, 3)
        legacy = np.random.RandomState(5)
        assert epoch(Dataset(np.arange(40), rng=legacy)) != epoch(Dataset(np.arange(40), rng=legacy))

    @pytest.mark.parametrize("batch_size", [9, 10, 0])
    def test_one_batch_of_all_is_left_in_its_order(self, batch_size: int) -> None:
        """It makes no difference to a mean, and all the difference to a model that has parameters for each sample."""
        x = np.arange(9)
        dataset = Dataset(x, batch_size=batch_size, rng=0)
        for _ in range(3):
            [(batch,)] = dataset
            assert np.shares_memory(batch, x)
            assert batch.tolist() == x.tolist()

    @pytest.mark.parametrize("shuffle", [True, "batches", False])
    def test_a_pass_in_an_order_from_outside(self, shuffle: Any) -> None:
        """That of a training epoch with these numbers; the dataset's own, and its position, stay."""
        dataset, other = (Dataset(np.arange(23), batch_size=4, rng=seed, shuffle=shuffle) for seed in (1, 2))
        take(dataset, 3)
        before = dataset.state()
        assert [samples(batch) for batch in dataset.batches(np.random.default_rng(2))] == epoch(other)
        assert dataset.state() == before

    def test_unseeded_datasets_are_independent(self) -> None:
        assert epoch(Dataset(np.arange(100))) != epoch(Dataset(np.arange(100)))

    def test_global_numpy_state_is_untouched(self) -> None:
        before = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002
        take(Dataset(np.arange(9), rng=1), 4)
        take(Dataset(np.arange(9)), 4)
        assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before  # noqa: NPY002

    def test_leaving_a_loop_begins_a_new_permutation(self) -> None:
        dataset, rng = Dataset(np.arange(10), batch_size=2, rng=1), np.random.default_rng(1)
        left = [samples(batch) for batch in islice(dataset, 2)]
        assert flat(left) == rng.permutation(10)[:4].tolist()
        assert flat(epoch(dataset)) == rng.permutation(10).tolist()

    @exactly
    @given(lengths, batch_sizes, st.integers(1, 30), st.lists(st.integers(1, 30), max_size=4))
    def test_iteration_size_carries_on_through_the_permutations(
        self, length: int, batch_size: int, iteration_size: int, breaks: list[int]
    ) -> None:
        dataset = Dataset(np.arange(length), None, batch_size, iteration_size, rng=2)
        rng = np.random.default_rng(2)
        step = batch_size if batch_size > 0 else length
        one_batch = step >= length
        permutations = (list(range(length)) if one_batch else rng.permutation(length).tolist() for _ in repeat(None))
        stream = (order[i : i + step] for order in permutations for i in range(0, length, step))
        assert len(dataset) == iteration_size
        for count in [*breaks, 30]:
            expected = list(islice(stream, min(count, iteration_size)))
            assert [samples(batch) for batch in islice(dataset, count)] == expected

    def test_only_the_latest_loop_goes_on(self) -> None:
        dataset = Dataset(np.arange(10), batch_size=2, rng=0)
        old = iter(dataset)
        next(old)
        assert len(epoch(dataset)) == 5
        with pytest.raises(RuntimeError, match="newer loop"):
            next(old)

    def test_a_failing_batch_is_tried_again(self) -> None:
        class Flaky:
            shape = (6,)
            fail = False

            def __getitem__(self, key: slice) -> Any:
                if self.fail:
                    raise OSError("disk")
                return np.arange(6)[key]

        source = Flaky()
        dataset = Dataset(source, batch_size=1, iteration_size=6, rng=0)
        first = take(dataset, 2)
        source.fail = True
        with pytest.raises(OSError, match="disk"):
            next(iter(dataset))
        source.fail = False
        assert flat(first + take(dataset, 4)) == np.random.default_rng(0).permutation(6).tolist()


class TestArrays:
    @exactly
    @given(
        st.lists(st.integers(1, 6), min_size=1, max_size=4),
        st.integers(-4, 3),
        st.integers(1, 7),
        shuffles,
        st.sampled_from("CF"),
    )
    def test_any_axis_of_an_ndarray(
        self, shape: list[int], axis: int, batch_size: int, shuffle: Any, order: Any
    ) -> None:
        assume(-len(shape) <= axis < len(shape))
        array = np.asarray(np.random.default_rng(0).random(shape), order=order)
        index = np.arange(shape[axis])
        where = index.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])
        dataset = Dataset((array, where), batch_size=batch_size, axis=axis, rng=0, shuffle=shuffle)
        for batches in (iter(dataset), dataset.batches()):
            for part, numbers in batches:
                assert part.dtype == array.dtype
                assert np.array_equal(part, np.take(array, numbers.ravel(), axis))
                assert sample_count((part, numbers), axis) == numbers.size

    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("axis", [0, 1])
    def test_gathered_batches_are_fresh_and_contiguous_and_slices_are_views(self, order: Any, axis: int) -> None:
        array = np.zeros((8, 6), order=order)
        make = partial(Dataset, array, batch_size=3, axis=axis, rng=0)
        for (part,) in make():
            assert part.flags.c_contiguous
            assert not np.shares_memory(part, array)
        for dataset in (make(shuffle=False), make(shuffle="batches")):
            assert all(np.shares_memory(part, array) for (part,) in dataset)
        assert all(np.shares_memory(part, array) for (part,) in make().batches())

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_memmap_is_read_batch_by_batch(self, tmp_path: Any, order: Any) -> None:
        shape = (1000, 500)
        stored = np.memmap(tmp_path / "data", np.float64, "w+", shape=shape, order=order)
        stored[:, 0] = np.arange(1000)
        stored.flush()
        data = np.memmap(tmp_path / "data", np.float64, "r", shape=shape, order=order)
        dataset = Dataset(data, batch_size=4, rng=0)
        tracemalloc.start()
        seen = [part[:, 0].astype(int).tolist() for (part,) in dataset if part.flags.c_contiguous]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < data.nbytes / 10
        assert sorted(flat(seen)) == list(range(1000))
        assert all(type(part) is np.ndarray for (part,) in dataset.batches())

    def test_dict_gives_dict_batches(self) -> None:
        arrays = {"x": np.arange(10.0).reshape(5, 2), "y": np.arange(5)}
        for batches in (iter(Dataset(arrays, batch_size=2, rng=0)), Dataset(arrays, batch_size=2).batches()):
            for batch in batches:
                assert list(batch) == ["x", "y"]
                assert np.array_equal(batch["x"][:, 0], 2.0 * batch["y"])
                assert sample_count(batch) == len(batch["y"])

    @pytest.mark.parametrize("shuffle", [True, False, "batches"])
    def test_pandas(self, shuffle: Any) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"a": range(7), "b": range(7, 14)}, index=range(100, 107))
        series = pandas.Series(range(7), index=list("abcdefg"))
        alone = Dataset(frame, batch_size=3, rng=0, shuffle=shuffle)
        assert sorted(flat(part["a"].tolist() for (part,) in alone)) == list(range(7))
        for part, target in Dataset([frame, series], batch_size=3, rng=0, shuffle=shuffle):
            assert part["a"].tolist() == target.tolist() == [i - 100 for i in part.index]
            assert isinstance(part, pandas.DataFrame)
            assert isinstance(target, pandas.Series)
        columns = Dataset(frame, axis=1, batch_size=1, rng=0, shuffle=shuffle)
        assert sorted(list(part.columns) for (part,) in columns) == [["a"], ["b"]]
        with pytest.raises(ValueError, match=r"axis: expected an axis of inputs\[0\], Series"):
            Dataset(series, axis=1)

    @pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil"])
    @pytest.mark.parametrize("wrap", ["array", "matrix"])
    @pytest.mark.parametrize("shuffle", [True, False, "batches"])
    def test_scipy_sparse(self, kind: str, wrap: str, shuffle: Any) -> None:
        sparse = pytest.importorskip("scipy.sparse")
        dense = np.random.default_rng(0).integers(0, 3, (9, 4))
        data = getattr(sparse, f"{kind}_{wrap}")(dense)
        seen = []
        for part, rows in Dataset([data, np.arange(9)], batch_size=4, rng=1, shuffle=shuffle):
            assert part.format == ("csc" if kind == "csc" else "csr")
            assert np.array_equal(part.toarray(), dense[rows])
            seen += rows.tolist()
        assert sorted(seen) == list(range(9))
        for part, columns in Dataset([data, dense], axis=1, batch_size=3, rng=1, shuffle=shuffle):
            assert part.format == ("csr" if kind == "csr" else "csc")
            assert np.array_equal(part.toarray(), columns)
        with pytest.raises(ValueError, match="axis: expected an axis"):
            Dataset(data, axis=2)

    def test_other_indexable_things_are_sliced(self) -> None:
        class Stored:
            shape = (5, 2)

            def __getitem__(self, key: slice) -> Any:
                return np.arange(10).reshape(self.shape)[key]

        assert [part.shape for (part,) in Dataset(Stored(), batch_size=2).batches()] == [(2, 2), (2, 2), (1, 2)]

    def test_masks_survive(self) -> None:
        array = np.ma.masked_less(np.arange(6), 3)
        for (part,) in Dataset(array, batch_size=2, rng=0):
            assert part.mask.tolist() == [n < 3 for n in part.data]


class TestSuppliedBatches:
    def test_callable(self) -> None:
        calls = iter(range(1000))
        dataset = Dataset(lambda: (np.array([next(calls)]),), iteration_size=3)
        assert epoch(dataset) == [[0], [1], [2]]
        assert evaluation(dataset) == [[3], [4], [5]]
        assert len(dataset) == 3

    def test_length_of_a_callable(self) -> None:
        class Sized:
            def __len__(self) -> int:
                return 4

            def __call__(self) -> Any:
                return np.zeros(2)

        assert len(epoch(Dataset(Sized()))) == len(Dataset(Sized())) == 4
        assert len(epoch(Dataset(Sized(), iteration_size=2))) == 2
        assert len(epoch(Dataset(Sized().__call__))) == 100

    @pytest.mark.parametrize("make", [list, tuple, Again])
    def test_iterable(self, make: Any) -> None:
        dataset = Dataset(make([(np.array([i]),) for i in range(5)]))
        for _ in range(2):
            assert epoch(dataset) == evaluation(dataset) == [[0], [1], [2], [3], [4]]
        assert take(dataset, 2) == [[0], [1]]
        assert epoch(dataset) == [[0], [1], [2], [3], [4]]
        paced = Dataset(make([(np.array([i]),) for i in range(5)]), iteration_size=3)
        assert [epoch(paced) for _ in range(3)] == [[[0], [1], [2]], [[3], [4], [0]], [[1], [2], [3]]]
        assert evaluation(paced) == [[0], [1], [2]]
        assert len(paced) == 3

    def test_length_of_an_iterable(self) -> None:
        assert len(Dataset([(np.zeros(3),)] * 5)) == 5
        assert Dataset([(np.zeros(3),)] * 5).iteration_size is None
        with pytest.raises(TypeError):
            len(Dataset(Again([])))

    @pytest.mark.parametrize("make", [lambda batch: partial(lambda: batch), lambda batch: Again([batch])])
    def test_kinds_of_batch(self, make: Any) -> None:
        array = np.zeros(3)

        def first(batch: Any) -> Any:
            return next(iter(Dataset(make(batch))))

        assert first(array)[0] is array
        assert first([array, 1.0]) == (array, 1.0)
        assert first({"x": array}) == {"x": array}
        with pytest.raises(TypeError, match="inputs: "):
            first(None)

    @pytest.mark.parametrize("batch", [3.0, "text", {1, 2}, np.float64(3)])
    def test_any_object_may_come_of_a_callable(self, batch: Any) -> None:
        dataset = Dataset(lambda: batch, iteration_size=3)
        assert list(dataset) == list(dataset.batches()) == [batch] * 3
        assert sample_count(batch) == 1
        with pytest.raises(TypeError, match="expected batches"):
            list(Dataset(Again([batch])))

    def test_list_of_dicts_is_batches(self) -> None:
        batches = [{"x": np.zeros(2)}, {"x": np.ones(3)}]
        assert [list(batch["x"]) for batch in Dataset(batches)] == [[0, 0], [1, 1, 1]]

    def test_exhausted_sources_say_so(self) -> None:
        class Once:
            def __init__(self) -> None:
                self.batches = iter([np.zeros(2)])

            def __iter__(self) -> Any:
                return self.batches

        dataset = Dataset(Once())
        assert len(epoch(dataset)) == 1
        with pytest.raises(ValueError, match="inputs: expected over 0 batches"):
            epoch(dataset)
        with pytest.raises(ValueError, match="inputs: expected over 0 batches"):
            list(dataset.batches())
        with pytest.raises(RuntimeError, match="StopIteration"):
            epoch(Dataset(partial(next, iter([np.zeros(2)]))))


class TestNothing:
    """A loss without data has batches of nothing."""

    @pytest.mark.parametrize("empty", [[], ()])
    @pytest.mark.parametrize("make", [list, tuple])
    @pytest.mark.parametrize("count", [1, 3])
    def test_batches_of_nothing(self, make: Any, empty: Any, count: int) -> None:
        dataset = Dataset(make([empty] * count))
        for _ in range(2):
            assert list(dataset) == list(dataset.batches()) == [()] * count
        assert sample_count(()) == 1

    @pytest.mark.parametrize("inputs", [[[], [1]], [[], 3], [{}], [[], {}]])
    def test_what_is_not_nothing(self, inputs: Any) -> None:
        with pytest.raises(TypeError, match=r"inputs\[0\]: expected an array"):
            Dataset(inputs)


class TestHelpers:
    def test_as_dataset(self) -> None:
        dataset = Dataset(np.zeros(3))
        assert as_dataset(dataset, "other", 7) is dataset
        assert as_dataset(None) is None
        made = as_dataset(np.arange(5), "train", 2, 4, rng=0, shuffle=False)
        assert made is not None
        assert made.name == "train"
        assert epoch(made) == [[0, 1], [2, 3], [4], [0, 1]]

    @pytest.mark.parametrize(
        ("batch", "axis", "count"),
        [
            ((np.zeros((3, 2)), np.zeros(5)), 0, 3),
            ((np.zeros((3, 2)),), 1, 2),
            ((np.zeros((3, 2)),), -1, 2),
            ((np.zeros(3),), 1, 1),
            ((0.5, np.zeros(4)), 0, 4),
            ((0.5, "text"), 0, 1),
            ((), 0, 1),
            (None, 0, 1),
            (np.zeros((6, 2)), 0, 6),
            ({"x": np.zeros((7, 2)), "y": np.zeros(1)}, 0, 7),
        ],
    )
    def test_sample_count(self, batch: Any, axis: int, count: int) -> None:
        assert sample_count(batch, axis) == count

    def test_repr(self) -> None:
        text = repr(Dataset(np.zeros(10), "train", 4))
        assert "train" in text
        assert "'samples': 10" in text
        assert "'batch_size': 4" in text


class OnDisk:
    """What matters of h5py.Dataset: a shape, slices, and index arrays that ascend, along any axis."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.refused = array, array.shape, array.dtype, 0

    def __getitem__(self, key):
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, np.ndarray) and np.any(np.diff(part) <= 0):
                self.refused += 1
                raise TypeError("Indexing elements must be in increasing order")
        return self.array[key]


@pytest.mark.parametrize("axis", [0, 1])
def test_arrays_that_want_ascending_indices(axis):
    """Shuffled, they give the batches of an ndarray; they refuse once only."""
    values = np.arange(24.0).reshape(12, 2) if axis == 0 else np.arange(24.0).reshape(2, 12)
    disk = OnDisk(values)
    data, plain = (Dataset([x], axis=axis, batch_size=5, rng=0) for x in (disk, values))
    for _ in range(2):
        for (part,), (expected,) in zip(data, plain, strict=True):
            assert part.tolist() == expected.tolist()
            assert part.flags.c_contiguous
    assert disk.refused == 1
    assert [part.tolist() for (part,) in data.batches()] == [part.tolist() for (part,) in plain.batches()]


def test_errors_of_a_foreign_array_are_its_own():
    class Broken(OnDisk):
        def __getitem__(self, key):
            raise TypeError("out of order")

    with pytest.raises(TypeError, match="out of order"):
        next(iter(Dataset([Broken(np.arange(9.0))], batch_size=2)))


@pytest.mark.parametrize("way", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy], ids=["pickled", "deep"])
@pytest.mark.parametrize("taken", [0, 1, 3, 4])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Dataset([np.arange(14.0).reshape(7, 2), np.arange(7)], batch_size=2, rng=3),
        lambda: Dataset({"x": pd.DataFrame({"a": np.arange(7.0)})}, batch_size=2, rng=3),
        lambda: Dataset(sp.csr_matrix(np.eye(7)), batch_size=2, rng=3),
        lambda: Dataset(OnDisk(np.arange(7.0)), batch_size=2, rng=3, iteration_size=3),
        lambda: Dataset([(np.full(2, i),) for i in range(4)]),
    ],
    ids=["arrays", "frame", "sparse", "foreign", "batches"],
)
def test_a_copy_goes_on_from_where_its_original_is(make, taken, way):
    data = make()
    epoch = iter(data)
    for _ in range(min(taken, len(data))):
        next(epoch)
    twin = way(data)

    def rest_of(data):
        return [[np.asarray(getattr(x, "todense", lambda x=x: x)()).tolist() for x in parts(b)] for b in data.rest()]

    def parts(batch):
        return batch.values() if isinstance(batch, dict) else batch

    found = rest_of(twin), rest_of(twin)
    assert found == (rest_of(data), rest_of(data))
