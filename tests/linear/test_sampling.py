"""Rows of a stream that are chosen at random and held in memory: bounded, and the same in any order of the blocks."""

from dataclasses import replace

import numpy as np
import pytest
from streamed import LABELS, K, N, X

import fastadagrad as fa
from fastadagrad.linear.sampling import FOR_RATES, FOR_VALIDATION, Aside, Sample, numbers_of

pytestmark = pytest.mark.usefixtures("small_blocks")


def blocks_of(text_file):
    return [*fa.Stream(text_file("logistic"))]


def rows_in(table):
    rows = np.column_stack([as_dense(table), table.labels])  # those of few values are not unique
    return {tuple(row) for row in rows[np.count_nonzero(rows, axis=1) > 2].tolist()}


def as_dense(table):
    dense = np.zeros((len(table.labels), K))
    features = table.features
    dense[np.repeat(np.arange(len(dense)), np.diff(features.indptr)), features.indices] = features.data
    return dense


def test_numbers_depend_on_the_place_the_seed_and_the_use_alone(text_file):
    first, second = blocks_of(text_file)[:2]
    numbers = numbers_of(second, 3, FOR_RATES)
    np.testing.assert_array_equal(numbers_of(blocks_of(text_file)[1], 3, FOR_RATES), numbers)
    for other in (numbers_of(second, 4, FOR_RATES), numbers_of(second, 3, FOR_VALIDATION)):
        assert not np.array_equal(other, numbers)
    assert not np.array_equal(numbers_of(first, 3, FOR_RATES)[:50], numbers[:50])
    every = np.concatenate([numbers_of(block, 0, FOR_RATES) for block in blocks_of(text_file)])
    assert len(np.unique(every)) == N
    assert abs(every.mean() - 0.5) < 0.03


@pytest.mark.parametrize(("rows", "values"), [(300, 10**9), (None, 700), (300, 700), (10**6, 10**9), (1, 10**9)])
def test_a_sample_has_the_lowest_numbers_and_is_bounded(text_file, rows, values):
    blocks = blocks_of(text_file)
    numbers = [numbers_of(block, 0, FOR_RATES) for block in blocks]
    sample = Sample(rows, values)
    for block, own in zip(blocks, numbers, strict=True):
        sample.add(block, own)
        assert sample._rows <= 2 * (rows or N)
        assert sample._values <= 2 * values
    table = sample.table()
    count, order = len(table.labels), np.argsort(np.concatenate(numbers))
    chosen = np.sort(order[:count])
    np.testing.assert_array_equal(as_dense(table), X[chosen])
    np.testing.assert_array_equal(table.labels, LABELS["logistic"][chosen])
    stored = np.count_nonzero(X, axis=1)[order]
    assert count <= (rows or N)
    assert stored[:count].sum() <= values
    assert count == min(rows or N, N) or stored[: count + 1].sum() > values
    backwards = Sample(rows, values)
    for block, own in zip(blocks[::-1], numbers[::-1], strict=True):
        backwards.add(block, own)
    assert rows_in(backwards.table()) == rows_in(table)


def test_rows_without_weight_are_not_chosen(text_file):
    block = blocks_of(text_file)[0]
    weights = np.arange(len(block.labels)) % 2.0
    sample = Sample(1000)
    sample.add(replace(block, weights=weights), np.zeros(len(weights)))
    assert len(sample.table().labels) == len(weights) // 2
    assert Sample(10).table() is None


def test_every_row_is_either_set_aside_or_left(text_file):
    aside = Aside(0.2, seed=1)
    for block in blocks_of(text_file):
        aside.add(block, aside.numbers_of(block))
    held_out = aside.table()
    left = [aside.left_of(block) for block in blocks_of(text_file)]
    assert sum(len(part.labels) for part in left) + len(held_out.labels) == N
    assert abs(len(held_out.labels) - 0.2 * N) < 4 * np.sqrt(0.16 * N)
    assert not rows_in(held_out) & set().union(*map(rows_in, left))
    assert [part.first for part in left] == [block.first for block in blocks_of(text_file)]


def test_rows_beyond_what_memory_is_to_hold_are_left(text_file, caplog):
    caplog.set_level("INFO", "fastadagrad")
    aside = Aside(0.5, seed=1, values=900)
    blocks = blocks_of(text_file)
    before = sum(len(aside.never_in(block, aside.numbers_of(block)).labels) for block in blocks)
    for block in blocks:
        aside.add(block, aside.numbers_of(block))
    held_out = aside.table()
    assert held_out.features.data.size <= 900
    after = sum(len(aside.left_of(block).labels) for block in blocks)
    assert before == sum(len(aside.never_in(block, aside.numbers_of(block)).labels) for block in blocks)
    assert after == N - len(held_out.labels) > before
    assert f"{len(held_out.labels)} of 2400 examples are set aside for validation, as many as memory" in caplog.text


@pytest.mark.parametrize(("fraction", "what"), [(1e-9, "sets none aside"), (1 - 1e-12, "leaves none to train on")])
def test_a_fraction_of_nothing_or_of_all_is_refused(text_file, fraction, what):
    aside, block = Aside(fraction, seed=0), blocks_of(text_file)[0]
    aside.add(block, aside.numbers_of(block))
    with pytest.raises(ValueError, match=f"of {len(block.labels)} examples {what}: give the examples"):
        aside.table()
