"""Steps by several processes, for which threads stand in: the bits of one process with the sum of their gradients."""

import numpy as np
import pytest
from by_processes import CASES, OPTIONS, for_rows, takes_rows, trained
from in_step import run

import fastadagrad as fa
from fastadagrad.mpi import cost, shards


def same_bits(size, sparse, method, hyper, dtype):
    alone, state = trained(size, sparse, method, hyper, dtype)
    together = run(size, lambda comm: trained(size, sparse, method, hyper, dtype, comm))
    for params, _ in together:
        assert {n: a.tobytes() for n, a in params.items()} == {n: a.tobytes() for n, a in alone.items()}
    return state, [own for _, own in together]


@pytest.mark.parametrize("case", ["adagrad", "adam", "esgd", "tensor", "frozen", "global norm"])
def test_each_parameter_with_messages_of_its_own(case, monkeypatch):
    monkeypatch.setattr(shards, "TOGETHER", 0)
    same_bits(3, False, *CASES[case], np.float32)


@pytest.mark.parametrize("case", CASES)
def test_dense(case):
    state, parts = same_bits(3, False, *CASES[case], np.float32)
    assert sum(parts) == state or case == "tensor"  # of whose single numbers each process has one


@pytest.mark.parametrize("case", [case for case in CASES if takes_rows(case)])
def test_rows(case):
    same_bits(3, True, *for_rows(case), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ["adagrad", "adam", "dog", "dadapt_adagrad", "ftrl", *OPTIONS])
def test_any_number_of_processes(case, dtype, size):
    same_bits(size, False, *CASES[case], dtype)
    if takes_rows(case):
        same_bits(size, True, *for_rows(case), dtype)


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("case", ["adagrad", "esgd", "global norm"])
def test_gradients_that_are_sent_in_pieces(case, size, monkeypatch):
    monkeypatch.setattr(cost, "SENT_AT_A_TIME", 1 << 14)
    same_bits(size, False, *CASES[case], np.float32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weighted_means_of_pieces(dtype, monkeypatch):
    def trained_unevenly(comm):
        w = np.linspace(-1, 1, 20_000).astype(dtype)
        opt = fa.ADAGRAD(lambda w, x: (0.0, (w * x.mean()).astype(dtype)), w, learning_rate=0.1, comm=comm)
        opt.minimize([np.arange(40.0)], max_epochs=1, batch_size=10, rng=0)  # of which two processes have 3 samples
        return w.tobytes()

    whole = run(3, trained_unevenly)
    monkeypatch.setattr(cost, "SENT_AT_A_TIME", 1 << 14)
    assert run(3, trained_unevenly) == whole


def test_means_are_sums_divided_by_the_number_of_processes():
    def mean(comm):
        w, table = np.zeros(5000), np.zeros((10, 3))
        opt = fa.SGD(params=[w, table], learning_rate=1.0, comm=comm)
        opt.step([np.full(5000, float(comm.rank)), fa.Rows(np.array([comm.rank, 9]), np.ones((2, 3)))])
        opt.flush()
        return w, table

    for w, table in run(4, mean):
        assert (w == -1.5).all()
        assert table[:, 0].tolist() == [-0.25] * 4 + [0.0] * 5 + [-1.0]


def test_a_part_of_the_state_is_that_of_a_part_of_the_parameters():
    def state(comm):
        opt = fa.ADAGRAD(params=np.zeros(1_000_000, np.float32), comm=comm)
        opt.step(np.ones(1_000_000, np.float32))
        return opt.state["param0"]["accumulator"].nbytes

    assert max(run(4, state)) <= 0.27 * 4_000_000


def test_an_update_of_one_parameter():
    def updated(comm):
        params = {"a": np.zeros(9000), "b": np.ones(2)}
        opt = fa.SGD(params=params, learning_rate=1.0, **({} if comm is None else {"comm": comm}))
        updates = dict(opt.get_updates())
        updates["a"](np.arange(9000.0))
        return params["a"].tolist()

    assert {tuple(found) for found in run(3, updated)} == {tuple(updated(None))}


@pytest.mark.parametrize(("reduction", "expected"), [("sum", 0.0), ("sum64", 1.0), ("mean64", np.float32(1 / 3))])
@pytest.mark.parametrize("sparse", [False, True])
def test_sums_in_float64(reduction, expected, sparse):
    def step(comm):
        table = np.zeros((5000, 2), np.float32)
        opt = fa.SGD(params=table, learning_rate=1.0, comm=comm, reduction=reduction)
        value = (1e8, 1.0, -1e8)[comm.rank]
        whole = np.full((5000, 2), value, np.float32)
        opt.step(fa.Rows(np.arange(5000), whole) if sparse else whole)
        opt.flush()
        return table

    for table in run(3, step):
        assert (table == -np.float32(expected)).all()


@pytest.mark.parametrize("reduction", ["mean64", "sum64"])
def test_no_rows_in_float64(reduction):
    def step(comm):
        table = np.zeros((50, 2), np.float32)
        opt = fa.SGD(params=table, learning_rate=1.0, comm=comm, reduction=reduction)
        opt.step(fa.Rows(np.zeros(0, np.int64), np.zeros((0, 2), np.float32)))
        return opt.steps

    assert run(2, step) == [1, 1]
