"""A dataset whose state was saved goes on bit for bit."""

from __future__ import annotations

import json
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import pytest
from batches import (
    BIT_GENERATORS,
    Again,
    batch_sizes,
    epoch,
    evaluation,
    exactly,
    flat,
    iteration_sizes,
    lengths,
    plain_slices,
    samples,
    shuffles,
    take,
)
from hypothesis import given
from hypothesis import strategies as st

from fastadagrad.data.dataset import Dataset


class TestState:
    @exactly
    @given(lengths, batch_sizes, shuffles, iteration_sizes, st.integers(0, 60))
    def test_restored_stream_goes_on(
        self, length: int, batch_size: int, shuffle: Any, iteration_size: int | None, count: int
    ) -> None:
        make = partial(Dataset, np.arange(length), None, batch_size, iteration_size, shuffle=shuffle)
        dataset = make(rng=5)
        per_epoch = len(dataset)
        stream: list[list[int]] = []
        state = json.dumps(dataset.state())
        while len(stream) < count + 2 * per_epoch:
            for batch in dataset:
                stream.append(samples(batch))
                if len(stream) == count:
                    state = json.dumps(dataset.state())
        other = make(rng=6)
        take(other, 3)
        other.restore(json.loads(state))
        assert other.state() == json.loads(state)
        rest = epoch(other)
        assert len(rest) == per_epoch - count % per_epoch
        rest += epoch(other)
        assert rest == stream[count : count + len(rest)]

    @pytest.mark.parametrize("kind", ["arrays", "iterable", "short epochs"])
    def test_rest(self, kind: str) -> None:
        batches = [(np.full(2, i),) for i in range(3)]
        make = {
            "arrays": lambda: Dataset(np.arange(6), batch_size=2, rng=3),
            "iterable": lambda: Dataset(batches),
            "short epochs": lambda: Dataset(np.arange(8), batch_size=2, iteration_size=3, rng=3),
        }[kind]
        dataset, states = make(), []
        whole = []
        for batch in dataset:
            whole.append(samples(batch))
            states.append(dataset.state())
        following = epoch(dataset)
        for done, state in enumerate(states, 1):
            other = make()
            other.restore(state)
            assert [samples(batch) for batch in other.rest()] == whole[done:]
            assert epoch(other) == following

    @pytest.mark.parametrize("one_pass", [True, False])
    def test_end_epoch(self, one_pass: bool) -> None:
        dataset = Dataset(np.arange(8), batch_size=2, iteration_size=None if one_pass else 4, rng=3)
        take(dataset, 2)
        dataset.end_epoch()
        other = Dataset(np.arange(8), batch_size=2, iteration_size=None if one_pass else 4)
        other.restore(json.loads(json.dumps(dataset.state())))
        assert epoch(other) == epoch(dataset)
        assert len(epoch(other)) == 4

    @pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
    def test_every_bit_generator_is_saved_as_json(self, bit_generator: Any) -> None:
        make = partial(Dataset, np.arange(50), batch_size=8)
        dataset = make(rng=np.random.Generator(bit_generator(1)))
        take(dataset, 10)
        state = json.loads(json.dumps(dataset.state()))
        other = make(rng=bit_generator(2))
        for restored in (dataset, other):
            restored.restore(state)
        assert take(dataset, 20) == take(other, 20)

    @exactly
    @given(shuffles, iteration_sizes, st.integers(0, 20), st.integers(0, 3))
    def test_evaluation_does_not_change_training(
        self, shuffle: Any, iteration_size: int | None, count: int, stop: int
    ) -> None:
        make = partial(Dataset, np.arange(11), None, 3, iteration_size, rng=1, shuffle=shuffle)
        plain, evaluated = take(make(), 30), make()
        seen: list[list[int]] = []
        while len(seen) < 30:
            for batch in islice(evaluated, 30 - len(seen)):
                seen.append(samples(batch))
                if len(seen) == count:
                    before = evaluated.state()
                    assert evaluation(evaluated) == plain_slices(11, 3)[:iteration_size]
                    list(islice(evaluated.batches(), stop))
                    assert evaluated.state() == before
        assert seen == plain

    @pytest.mark.parametrize("make", [list, Again])
    @pytest.mark.parametrize("iteration_size", [None, 3, 7])
    def test_position_of_an_iterable(self, make: Any, iteration_size: int | None) -> None:
        batches = [(np.array([i]),) for i in range(5)]
        dataset = Dataset(make(batches), iteration_size=iteration_size)
        per_epoch = iteration_size or 5
        for count in range(25):
            expected = [[i % 5] for i in range(count, count + 12)]
            take(dataset, min(count, 1))
            state = json.loads(json.dumps(dataset.state()))
            other = Dataset(make(batches), iteration_size=iteration_size)
            other.restore(state)
            rest = epoch(other)
            assert len(rest) == per_epoch - count % per_epoch
            assert (rest + epoch(other) + epoch(other))[:5] == expected[:5]
            dataset.restore(state)

    def test_position_of_a_callable(self) -> None:
        dataset = Dataset(lambda: np.zeros(1), iteration_size=5)
        take(dataset, 2)
        other = Dataset(lambda: np.zeros(1), iteration_size=5)
        other.restore(dataset.state())
        assert [len(epoch(other)), len(epoch(other))] == [3, 5]

    def test_an_iterable_that_has_shrunk_says_so(self) -> None:
        batches = [(np.zeros(1),)] * 5
        dataset = Dataset(batches)
        take(dataset, 4)
        dataset.restore(dataset.state())
        del batches[2:]
        with pytest.raises(ValueError, match=r"expected over 4 batches, list .* gave 2"):
            epoch(dataset)

    def test_restore_ends_a_running_loop(self) -> None:
        dataset = Dataset(np.arange(6), batch_size=2, rng=0)
        loop = iter(dataset)
        next(loop)
        dataset.restore(dataset.state())
        with pytest.raises(RuntimeError, match="restore"):
            next(loop)
        assert len(epoch(dataset)) == 2
        assert len(epoch(dataset)) == 3

    def test_shared_generator_goes_back_as_a_whole(self) -> None:
        rng = np.random.default_rng(0)
        dataset = Dataset(np.arange(12), batch_size=2, rng=rng)
        stream, states = [], []
        for batch in chain(dataset, dataset):
            stream.append((samples(batch), rng.random()))
            states.append(dataset.state())
        for count in (2, 6, 9):
            again = np.random.default_rng(1)
            other = Dataset(np.arange(12), batch_size=2, rng=again)
            other.restore(states[count - 1])
            rest = [(samples(batch), again.random()) for batch in other]
            assert rest == stream[count : count + len(rest)]
            assert len(rest) == 6 - count % 6

    def test_state_is_small(self) -> None:
        dataset = Dataset(np.zeros(100_000), batch_size=10, rng=0)
        take(dataset, 3)
        assert len(json.dumps(dataset.state())) < 1000

    @pytest.mark.parametrize("wrong", [None, 3, "state", [], {}, {"position": 0}])
    def test_something_else_is_refused(self, wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"state: expected what Dataset.state\(\) returned"):
            Dataset(np.arange(5)).restore(wrong)

    @pytest.mark.parametrize(
        "foreign",
        [
            Dataset(np.arange(11), batch_size=3),
            Dataset(np.arange(10), batch_size=4),
            Dataset(np.arange(10), batch_size=3, shuffle="batches"),
            Dataset(np.arange(10), batch_size=3, iteration_size=9),
            Dataset([(np.arange(10),)] * 4),
            Dataset(lambda: np.zeros(1), iteration_size=4),
        ],
        ids=repr,
    )
    def test_state_of_another_dataset_is_refused(self, foreign: Dataset) -> None:
        dataset = Dataset(np.arange(10), batch_size=3, rng=0)
        with pytest.raises(ValueError, match="state: expected one of a Dataset like"):
            dataset.restore(foreign.state())
        assert flat(epoch(dataset)) == np.random.default_rng(0).permutation(10).tolist()

    @pytest.mark.parametrize(
        "change",
        [
            {"position": 4, "done": 4},
            {"position": -1, "done": -1},
            {"position": 1.0, "done": 1.0},
            {"position": True, "done": True},
            {"position": 1},
            {"position": "2"},
            {"drawn_from": None},
            {"random": None},
            {"random": 5},
            {"random": {"bit_generator": "PCG64"}},
            {"random": np.random.MT19937(0).state},
            {"drawn_from": {}},
            {"drawn_from": {"bit_generator": "PCG64", "state": {"state": "x", "inc": 1}}},
        ],
        ids=repr,
    )
    def test_impossible_states_change_nothing(self, change: dict[str, Any]) -> None:
        make = partial(Dataset, np.arange(10), batch_size=3, rng=0)
        dataset, untouched = make(), make()
        take(dataset, 2), take(untouched, 2)
        before = dataset.state()
        with pytest.raises(ValueError, match="state: "):
            dataset.restore(before | change)
        assert dataset.state() == before
        assert take(dataset, 9) == take(untouched, 9)

    @pytest.mark.parametrize("position", [-1, 10**9])
    @pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox])
    def test_positions_outside_a_generators_buffer_are_refused(self, kind: Any, position: int) -> None:
        dataset = Dataset(np.arange(40), rng=kind(0))
        state = dataset.state()
        (state["random"]["state"] if kind is np.random.MT19937 else state["random"]).update(
            pos=position, buffer_pos=position
        )
        with pytest.raises(ValueError, match="outside its buffer"):
            dataset.restore(state)
