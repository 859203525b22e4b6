"""Which samples come in which batch: epochs and their orders against plain slicing, and copies that go on."""

from __future__ import annotations

import copy
import pickle
from itertools import islice, repeat
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from batches import OnDisk, batch_sizes, epoch, exactly, flat, lengths, plain_slices, samples, shuffles, take
from hypothesis import given
from hypothesis import strategies as st

from fastadagrad.data.dataset import Dataset


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
