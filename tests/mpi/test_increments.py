"""Checkpoints of tables, which hold the rows that have changed since the one before."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from in_step import run

import fastadagrad as fa
from fastadagrad.mpi import increments
from fastadagrad.mpi.increments import digests_of
from fastadagrad.support import parted_file

ROWS, WIDTH, EPOCHS = 40_960, 16, 6
IDS = np.random.default_rng(0).integers(0, ROWS, (EPOCHS, 50))
SHAPES = {"table": (ROWS, WIDTH), "w": (5000,)}


class Data:
    """A batch an epoch, of few rows, others each time."""

    def __init__(self):
        self.epoch = 0

    def __call__(self):
        self.epoch += 1
        return (IDS[(self.epoch - 1) % EPOCHS],)


def loss(p, ids):
    return 1.0, {"table": fa.Rows(ids, np.ones((len(ids), WIDTH))), "w": np.ones(5000)}


def optimizer(comm):
    params = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    return fa.ADAGRAD(loss, params, learning_rate=0.1, **({} if comm is None else {"comm": comm}))


def trained(comm, folder, **how):
    opt = optimizer(comm)
    data = Data()
    given = {"train_batches": 1, "valid_batches": 1, "max_epochs": EPOCHS, "validate_every": 100, **how}
    opt.minimize(data, data, touches=lambda ids: {"table": ids}, checkpoint=folder, **given)
    return contents(opt)


def contents(opt):
    opt.flush()
    return {name: array.tobytes() for name, array in opt.params.items()}


def sizes_of_parts(folder):
    """Bytes of the parts of process 0, in the order in which they were written."""
    return [path.stat().st_size for path in sorted(folder.glob("checkpoint-*.0"))]


def test_later_files_are_small_and_complete(tmp_path):
    expected = run(3, lambda comm: trained(comm, tmp_path, keep=None))
    first, *later = sizes_of_parts(tmp_path)
    assert len(later) >= 4
    assert max(later) < first / 8
    opt = optimizer(None)
    opt.load(tmp_path / "end-00000006.npz")
    assert contents(opt) == expected[0]
    for size in (2, 4):

        def load(comm):
            other = optimizer(comm)
            other.load(tmp_path)
            return contents(other)

        assert run(size, load) == [expected[0]] * size


def test_parts_of_deleted_files_stay_as_long_as_they_are_needed(tmp_path):
    run(2, lambda comm: trained(comm, tmp_path, keep=1))
    wholes = sorted(path.name for path in tmp_path.glob("*.npz"))
    assert wholes == ["checkpoint-00000005.npz", "end-00000006.npz"]
    named = {part for name in wholes for part in parted_file.named_in(str(tmp_path / name))}
    assert {path.name for path in tmp_path.iterdir()} == {*wholes, *named}
    assert any(name.startswith("checkpoint-00000001.npz.") for name in named)
    optimizer(None).load(tmp_path)


def test_there_are_at_most_so_many_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(increments, "MOST_PARTS", 2)
    run(2, lambda comm: trained(comm, tmp_path, keep=None))
    counts = [len(parted_file.named_in(str(path))) // 2 for path in sorted(tmp_path.glob("checkpoint-*.npz"))]
    assert counts == [1, 2, 1, 2, 1]


def ends_with_what_it_had(folder, in_between):
    """Train in two processes, which call `in_between(comm, opt)` in the body of the loop; the last file has it all."""

    def work(comm):
        opt, data = optimizer(comm), Data()
        how = {"train_batches": 1, "valid_batches": 1, "max_epochs": 4, "validate_every": 100, "checkpoint": folder}
        for _ in opt.iterate(data, data, touches=lambda ids: {"table": ids}, **how):
            in_between(comm, opt)
        return contents(opt)

    expected = run(2, work)
    opt = optimizer(None)
    opt.load(folder)
    assert contents(opt) == expected[0]


def test_where_a_part_is_gone_all_is_written(tmp_path):
    def in_between(comm, opt):
        comm.all_of(None)
        if comm.rank == 0 and opt.steps == 3:
            for path in tmp_path.glob("checkpoint-00000001.npz.*"):
                path.unlink()
        comm.all_of(None)

    ends_with_what_it_had(tmp_path, in_between)


def test_a_change_by_hand_is_among_them(tmp_path):
    def in_between(comm, opt):
        if opt.steps == 3:
            opt.params["table"][ROWS - 1] = 7.0

    ends_with_what_it_had(tmp_path, in_between)


def test_files_of_ones_own_are_whole(tmp_path):
    def work(comm):
        opt = optimizer(comm)
        for name in "ab":
            opt.step({"table": fa.Rows(np.array([3]), np.ones((1, WIDTH))), "w": np.ones(5000)})
            opt.save(tmp_path / f"{name}.npz")

    run(2, work)
    for path in tmp_path.glob("a.npz*"):
        path.unlink()
    opt = optimizer(None)
    opt.load(tmp_path / "b.npz")
    assert opt.steps == 2
    assert all(re.match(r"b\.npz", path.name) for path in tmp_path.iterdir())


ITEMS = st.sampled_from([np.float64, np.float32, np.float16, np.uint8])


@given(st.data(), ITEMS, st.integers(1, 20))
def test_digests_tell_rows_apart(data, dtype, width):
    pair = data.draw(arrays_of.arrays(dtype, (2, width)))
    first, second = digests_of(pair)
    assert (first == second) == (pair[0].tobytes() == pair[1].tobytes())


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (40_000, 3), (7,), (3, 2, 2)])
def test_digests_of_any_shape(shape):
    rows = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = digests_of(rows)
    assert found.shape == shape[:1]
    assert len({*found.tolist()}) == (len(found) if rows.size else min(len(found), 1))
    assert (found == np.concatenate([digests_of(rows[:3]), digests_of(rows[3:])])).all()
