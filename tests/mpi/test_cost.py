"""What the model of costs predicts is what is sent, and what memory is taken."""

import numpy as np
import pytest
from counted import Counted
from in_step import run

import fastadagrad as fa
from fastadagrad.mpi import cost
from fastadagrad.mpi.cost import Job, cost_of
from fastadagrad.optimizer.building import METHODS
from fastadagrad.optimizer.second_order import SecondOrder

MACHINE = {"bandwidth": 1e9, "latency": 1e-6, "memory_bandwidth": 1e10}
ROWS, WIDTH, NAMED = 40_960, 16, 6_000  # of a table, and rows that each process names
OURS = [name for name, method in METHODS.items() if method.__module__.startswith("fastadagrad")]


def close(found, predicted):
    assert found == pytest.approx(predicted, rel=0.05)


@pytest.mark.parametrize("arrays", [2, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_bytes_of_dense_steps(size, dtype, arrays, monkeypatch):
    monkeypatch.setattr(cost, "SENT_AT_A_TIME", 1 << 18)
    shapes = [(2_048_000 // arrays,)] * arrays

    def step(comm):
        comm = Counted(comm)
        opt = fa.ADAGRAD(params=[np.zeros(shape, dtype) for shape in shapes], comm=comm)
        comm.reset()
        opt.step([np.ones(shape, dtype) for shape in shapes])
        return comm.bytes_sent, comm.messages, comm.notes

    predicted = cost_of(Job(size, **MACHINE, params=2_048_000, arrays=arrays, item_bytes=np.dtype(dtype).itemsize))
    found = run(size, step)
    for sent, _, notes in found:
        close(sent, predicted.bytes_sent)
        assert notes == cost.NOTES
    close(max(messages for _, messages, _ in found), predicted.messages)


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_bytes_of_steps_by_rows(size, reads):
    def step(comm):
        comm = Counted(comm)
        opt = fa.ADAGRAD(params=np.zeros((ROWS, WIDTH), np.float32), comm=comm)
        rows = np.random.default_rng(comm.rank).integers(0, ROWS, NAMED)
        gradient = fa.Rows(rows, np.ones((NAMED, WIDTH), np.float32))
        opt.step(gradient)
        comm.reset()
        if reads:
            opt.read_rows("param0", rows)
        opt.step(gradient)
        return comm.bytes_sent, comm.messages

    of_rows = {"rows": size * NAMED, "width": WIDTH, "read_rows": size * NAMED if reads else 0}
    predicted = cost_of(Job(size, **MACHINE, **of_rows))
    for sent, messages in run(size, step):
        close(sent, predicted.bytes_sent)
        assert messages == predicted.messages


def test_notes_have_about_as_many_bytes_as_is_said():
    def step(comm):
        comm = Counted(comm)
        opt = fa.ADAGRAD(params=np.zeros((100, 4), np.float32), comm=comm)
        none = fa.Rows(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
        opt.step(none)
        comm.reset()
        opt.step(none)
        return comm.bytes_sent - 8, comm.notes  # and one count

    for sent, notes in run(2, step):
        assert (notes, sent / notes) == (cost.NOTES, pytest.approx(cost.NOTE_BYTES, rel=0.25))


@pytest.mark.parametrize("method", OURS)
def test_state_of_every_method_at_four_ranks(method):
    size, elements = 4, 300_000
    fed = issubclass(METHODS[method], SecondOrder)
    hyper = {"momentum": 0.5} if method in ("sgd", "nag") else {}  # without it, they have no state

    def state(comm=None):
        among = {} if comm is None else {"comm": comm}
        w = np.zeros(elements, np.float32)
        opt = fa.build(method, params=w, **hyper, **among, **({"averaged": True} if fed else {}))
        opt.step(np.ones_like(w), *((np.ones_like(w),) if fed else ()))
        return sum(slot.nbytes for slots in opt.state.values() for slot in slots.values())

    whole = state()
    predicted = cost_of(Job(size, **MACHINE, params=elements, slot_bytes=whole // elements)).state_bytes
    assert whole >= 4 * elements
    for own in run(size, state):
        assert own <= 0.27 * whole
        close(own, predicted)


def test_each_process_has_its_rows_of_a_sharded_table():
    def of_process(comm):
        return fa.shard((ROWS, WIDTH), np.float32, comm).rows.nbytes

    by = {"rows": NAMED, "width": WIDTH, "table_rows": ROWS}
    whole, divided = (cost_of(Job(4, **MACHINE, **by, sharded=sharded)) for sharded in (False, True))
    assert run(4, of_process) == [divided.parameter_bytes] * 4
    assert whole.parameter_bytes == 4 * divided.parameter_bytes
    assert whole.memory_bytes - divided.memory_bytes == whole.parameter_bytes - divided.parameter_bytes


def test_one_process_sends_nothing():
    alone = cost_of(Job(1, **MACHINE, params=1000, rows=10, width=4))
    assert (alone.bytes_sent, alone.messages, alone.buffer_bytes) == (0, 0, 0)
    assert alone.seconds == alone.compute_seconds == (1000 * 6 * 4 + 10 * 4 * 8 * 4) / 1e10
    assert alone.memory_bytes == 2 * 4000 + 2 * 4 * 40 + 10 * 8 + 4000 + 160


def test_by_hand():
    """Two processes, by the formulas of the docstring."""
    found = cost_of(Job(2, 1e9, 1e-6, 1e10, params=1_000_000, rows=1000, width=10, table_rows=5000, read_rows=400))
    assert found.bytes_sent == 4_000_000 + 250 * 48 + 100 * 48 + 2 * 8 + 4 * 32
    assert found.messages == (1 + 1) + 3 + 3 + 2 * 4
    assert found.latency_seconds == pytest.approx(16e-6)
    assert found.transfer_seconds == pytest.approx(found.bytes_sent / 1e9)
    traffic = 500_000 * (6 * 4 + 8) + 500 * 10 * (40 + 8) + 4 * 200 * 10 * 4
    assert found.compute_seconds == pytest.approx(traffic / 1e10 + 4 * 5e-7)
    assert found.state_bytes == (1_000_000 + 50_000) * 4 / 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("ranks", 0), ("ranks", 1.5), ("params", -1), ("width", 0), ("bandwidth", 0), ("latency", -1.0)],
)
def test_nonsense_is_refused_by_name(field, value):
    with pytest.raises((TypeError, ValueError), match=f"{field} must be"):
        Job(**{"ranks": 2, **MACHINE, field: value})
