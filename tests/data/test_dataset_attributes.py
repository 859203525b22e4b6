"""What a Dataset shows of itself, and which attributes can be set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from batches import (
    epoch,
    flat,
    plain_slices,
    samples,
)

from fastadagrad.data.dataset import Dataset


class TestAttributes:
    """Names and methods that downhill's Dataset has."""

    def test_default_names_are_numbered(self) -> None:
        first, named, second, third = (Dataset(np.zeros(3), name) for name in (None, "train", None, ""))
        assert named.name == "train"
        numbers = [int(dataset.name.removeprefix("dataset")) for dataset in (first, second, third)]
        assert numbers == [numbers[0], numbers[0] + 2, numbers[0] + 3]
        assert "Dataset dataset" in repr(first)

    def test_rng(self) -> None:
        rng = np.random.default_rng(4)
        assert Dataset(np.zeros(3), rng=rng).rng is rng
        assert Dataset(np.zeros(3), rng=4).rng.integers(1000) == np.random.default_rng(4).integers(1000)
        assert isinstance(Dataset(lambda: np.zeros(3)).rng, np.random.Generator)
        with pytest.raises(AttributeError):
            Dataset(np.zeros(3)).rng = rng  # type: ignore[misc]

    @pytest.mark.parametrize("batch_size", [2, 0, -1, 100])
    def test_batch_size(self, batch_size: int) -> None:
        assert Dataset(np.zeros(3), batch_size=batch_size).batch_size == batch_size

    @pytest.mark.parametrize("shuffle", [True, "batches"])
    def test_iterate(self, shuffle: Any) -> None:
        one, two = (Dataset(np.arange(23), batch_size=4, rng=1, shuffle=shuffle) for _ in range(2))
        for _ in range(2):
            assert [samples(batch) for batch in one.iterate()] == epoch(two)
            assert [samples(batch) for batch in one.iterate(shuffle=False)] == plain_slices(23, 4)

    def test_shuffle_begins_a_new_order(self) -> None:
        dataset = Dataset(np.arange(50), batch_size=10, iteration_size=2, rng=1)
        rng = np.random.default_rng(1)
        assert flat(epoch(dataset)) == rng.permutation(50)[:20].tolist()
        dataset.shuffle()
        second = rng.permutation(50).tolist()
        assert flat(epoch(dataset)) == second[:20]
        assert flat(epoch(dataset)) == second[20:40]
        dataset.shuffle()
        assert dataset.state()["position"] == 0
        restored = Dataset(np.arange(50), batch_size=10, iteration_size=2)
        restored.restore(dataset.state())
        assert epoch(restored) == epoch(dataset)

    def test_shuffle_in_the_midst_of_a_loop_ends_it(self) -> None:
        dataset = Dataset(np.arange(9), batch_size=2, rng=1)
        loop = iter(dataset)
        next(loop)
        dataset.shuffle()
        with pytest.raises(RuntimeError, match=r"shuffle\(\)"):
            list(loop)
        assert sorted(flat(epoch(dataset))) == list(range(9))

    def test_shuffle_where_there_is_no_order(self) -> None:
        for inputs in (lambda: np.zeros(3), [(np.zeros(3),)] * 4, np.zeros(3)):
            Dataset(inputs).shuffle()
        with pytest.raises(ValueError, match="made with shuffle=False"):
            Dataset(np.arange(50), shuffle=False).shuffle()


SETTINGS = [
    ("iteration_size", 0, ValueError, "iteration_size must be a whole number of at least 1, not 0"),
    ("iteration_size", 2.0, TypeError, "iteration_size must be a whole number of at least 1, not 2.0"),
    ("iteration_size", "x", TypeError, "iteration_size must be a whole number"),
    ("name", 3, TypeError, "name must be a string or None, not 3"),
    ("batch_size", "x", AttributeError, r"it is Dataset\(\.\.\., batch_size=\.\.\.\)"),
    ("batch_size", 16, AttributeError, r"it is Dataset\(\.\.\., batch_size=\.\.\.\)"),
    ("axis", 1, AttributeError, r"it is Dataset\(\.\.\., axis=\.\.\.\)"),
    ("shuffle", False, AttributeError, r"it is Dataset\(\.\.\., shuffle=\.\.\.\)"),
    ("rng", 0, AttributeError, r"it is Dataset\(\.\.\., rng=\.\.\.\)"),
    ("inputs", [], AttributeError, r"it is Dataset\(\.\.\., inputs=\.\.\.\)"),
    ("batchsize", 3, AttributeError, r"did you mean Dataset\(\.\.\., batch_size=\.\.\.\)"),
    ("itertion_size", 3, AttributeError, r"did you mean dataset\.iteration_size\?"),
    ("train_batches", 3, AttributeError, r"did you mean dataset\.iteration_size\?"),
    ("seed", 3, AttributeError, r"did you mean Dataset\(\.\.\., rng=\.\.\.\)"),
]


class TestSettingAttributes:
    @pytest.mark.parametrize(("name", "value", "error", "message"), SETTINGS)
    def test_nonsense_is_refused_and_changes_nothing(
        self, name: str, value: Any, error: type[Exception], message: str
    ) -> None:
        dataset, untouched = (Dataset(np.arange(10), "mine", 3, iteration_size=2, rng=1) for _ in range(2))
        with pytest.raises(error, match=message):
            setattr(dataset, name, value)
        assert (dataset.name, dataset.batch_size, dataset.axis, dataset.iteration_size) == ("mine", 3, 0, 2)
        assert [epoch(dataset) for _ in range(3)] == [epoch(untouched) for _ in range(3)]

    def test_a_users_own(self) -> None:
        class Weighed(Dataset):
            seed = 3

            def __init__(self, *rest: Any) -> None:
                super().__init__(*rest)
                self.weights, self.seed = [1.0], 4

        dataset = Weighed(np.arange(4))
        assert (dataset.weights, dataset.seed) == ([1.0], 4)

    def test_a_name_can_be_set_and_taken_away(self) -> None:
        dataset = Dataset(np.arange(4))
        own = dataset.name
        dataset.name = "other"
        assert (dataset.name, dataset.named) == ("other", True)
        dataset.name = None
        assert (dataset.name, dataset.named) == (own, False)

    def test_another_iteration_size_is_that_of_a_dataset_made_with_it(self) -> None:
        dataset, made = Dataset(np.arange(10), batch_size=2, rng=4), Dataset(np.arange(10), None, 2, 3, rng=4)
        dataset.iteration_size = 3
        assert (len(dataset), dataset.iteration_size) == (3, 3)
        assert [epoch(dataset) for _ in range(4)] == [epoch(made) for _ in range(4)]
        assert dataset.state() == made.state()
        dataset.iteration_size = None
        assert len(epoch(dataset)) == len(dataset) == 5
        assert len(list(dataset.batches())) == 5

    def test_another_iteration_size_goes_on_in_the_pass_where_the_one_before_stopped(self) -> None:
        dataset = Dataset(np.arange(12), batch_size=2, iteration_size=2, shuffle=False)
        assert [batch.tolist() for (batch,) in dataset] == [[0, 1], [2, 3]]
        dataset.iteration_size = 3
        assert [batch.tolist() for (batch,) in dataset] == [[4, 5], [6, 7], [8, 9]]

    def test_another_iteration_size_of_a_callable(self) -> None:
        dataset = Dataset(lambda: (np.zeros(1),))
        assert dataset.iteration_size == 100
        dataset.iteration_size = 2
        assert len(epoch(dataset)) == len(list(dataset.batches())) == 2
        dataset.iteration_size = None
        assert dataset.iteration_size == 100

    def test_another_iteration_size_in_a_loop_ends_it(self) -> None:
        dataset = Dataset(np.arange(10), batch_size=2)
        loop = iter(dataset)
        next(loop)
        dataset.iteration_size = 2
        with pytest.raises(RuntimeError, match="or another iteration_size ended this one"):
            next(loop)
        assert len(epoch(dataset)) == 2
