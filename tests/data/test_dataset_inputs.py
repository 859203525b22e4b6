"""What a dataset makes batches of: arrays of many kinds, batches that are supplied, and nothing at all."""

from __future__ import annotations

import doctest
import tracemalloc
from functools import partial
from typing import Any

import numpy as np
import pytest
from batches import Again, OnDisk, epoch, evaluation, exactly, flat, shuffles, take
from hypothesis import assume, given
from hypothesis import strategies as st

import fastadagrad.data.dataset
from fastadagrad.data.dataset import Dataset, as_dataset, sample_count


def test_docstring_examples() -> None:
    assert doctest.testmod(fastadagrad.data.dataset).failed == 0


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
