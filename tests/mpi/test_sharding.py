"""Tables of which no process has all, for which threads stand in: the bits of one process that has all."""

import re

import numpy as np
import pytest
from by_processes import gradients_of
from in_step import run

import fastadagrad as fa
from fastadagrad.mpi import shards

ROWS, WIDTH, STEPS = 1500, 16, 4
START = np.random.default_rng(0).standard_normal((ROWS, WIDTH))
OPTIONS = {
    "plain": {},
    "momentum": {"momentum": 0.9, "nesterov": True},
    "global norm": {"max_global_norm": 0.5},
    "decay": {"decoupled_weight_decay": 0.01, "lazy": "exact"},
    "row": {"accumulator": "row"},
}


def table(comm, path=None):
    found = fa.shard((ROWS, WIDTH), np.float64, comm, path=path)
    found.rows[...] = START[found.start : found.stop]
    return found


def gradient(rank, t):
    return gradients_of(rank, t, np.float64, sparse=True)["table"]


def trained(size, hyper, comm=None):
    """All rows after some steps, as `read_rows` gives them."""
    params = {"table": START.copy() if comm is None else table(comm)}
    opt = fa.ADAGRAD(params=params, **hyper, **({} if comm is None else {"comm": comm, "reduction": "sum"}))
    for t in range(STEPS):
        parts = [gradient(rank, t) for rank in range(size)]
        if comm is None:
            own = fa.Rows(np.concatenate([p.indices for p in parts]), np.concatenate([p.values for p in parts]))
        else:
            own = parts[comm.rank]
        opt.step([own])
    return opt.read_rows("table", np.arange(ROWS)).tobytes(), opt


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("option", OPTIONS)
def test_the_bits_of_one_process(option, size):
    expected, _ = trained(size, OPTIONS[option])
    assert {found for found, _ in run(size, lambda comm: trained(size, OPTIONS[option], comm))} == {expected}


def test_parts_on_either_side_of_what_travels_alone(monkeypatch):
    """The part of one process has a row more than that of the other, and is larger than arrays that go together."""
    rows = 33
    monkeypatch.setattr(shards, "TOGETHER", rows // 2 * WIDTH * 8)
    hyper = {"momentum": 0.9, "lazy": "dense", "max_global_norm": 1.0}

    def stepped(comm=None):
        among = {} if comm is None else {"comm": comm, "reduction": "sum"}
        whole = np.zeros((rows, WIDTH)) if comm is None else fa.shard((rows, WIDTH), np.float64, comm)
        opt = fa.ADAGRAD(params={"b": np.zeros(3), "table": whole}, **hyper, **among)
        leads = comm is None or comm.rank == 0
        own = fa.Rows(np.array([0, rows - 1])[: 2 * leads], np.ones((2 * leads, WIDTH)))
        opt.step({"b": np.full(3, float(leads)), "table": own})
        return opt.read_rows("table", np.arange(rows)).tobytes() + opt.params["b"].tobytes()

    assert {*run(2, stepped)} == {stepped()}


def test_each_process_has_its_rows_and_their_state_alone():
    def sizes(comm):
        _, opt = trained(4, {}, comm)
        own = opt.params["table"].rows
        return len(own), own.nbytes, opt.state["table"]["accumulator"].nbytes

    found = run(4, sizes)
    assert sum(rows for rows, *_ in found) == ROWS
    assert max(size for _, *both in found for size in both) <= 0.35 * START.nbytes  # of few rows, parts are uneven


IDS = np.random.default_rng(1).integers(0, ROWS, 400)
Y = np.random.default_rng(2).standard_normal(400)


def loss(p, ids, y):
    rows = p["table"][ids]  # the same line for an array and for a shard
    error = rows.sum(axis=1) - y
    return float(error @ error) / len(y), {"table": fa.Rows(ids, np.repeat(2 * error[:, None] / len(y), WIDTH, 1))}


def minimized(comm):
    params = {"table": START.copy() if comm is None else table(comm)}
    opt = fa.ADAGRAD(loss, params, learning_rate=0.1, momentum=0.5, **({} if comm is None else {"comm": comm}))
    valid = [IDS[:90], Y[:90]]
    how = {"max_epochs": 3, "batch_size": 40, "rng": 0, "touches": lambda ids, y: {"table": ids}}
    opt.minimize([IDS, Y], valid, **how)
    losses = [[epoch.train["loss"], epoch.valid["loss"]] for epoch in opt.history]
    return losses, opt.read_rows("table", np.arange(ROWS))


@pytest.mark.parametrize("size", [2, 5])
def test_the_run_of_one_process(size):
    losses, rows = minimized(None)
    for own_losses, own_rows in run(size, minimized):
        np.testing.assert_allclose(own_losses, losses, rtol=1e-9)
        np.testing.assert_allclose(own_rows, rows, rtol=1e-9)


def test_a_file_goes_on_in_another_number_of_processes(tmp_path):
    def begin(comm):
        found, opt = trained(3, {"momentum": 0.5}, comm)
        opt.save(tmp_path / "file.npz")
        return found

    def end(comm):
        opt = fa.ADAGRAD(params={"table": table(comm)}, momentum=0.5, comm=comm)
        opt.load(tmp_path / "file.npz")
        return opt.read_rows("table", np.arange(ROWS)).tobytes()

    expected = {*run(3, begin)}
    assert {*run(2, end)} == expected
    whole = fa.ADAGRAD(params={"table": START.copy()}, momentum=0.5)
    whole.load(tmp_path / "file.npz")
    assert {whole.params["table"].tobytes()} == expected


def test_rows_in_files(tmp_path):
    def steps(comm):
        opt = fa.SGD(params={"t": fa.shard((9000, 2), comm=comm, path=tmp_path / "t")}, learning_rate=1.0, comm=comm)
        opt.step([fa.Rows(np.array([0, 8999]), np.ones((2, 2), np.float32))])
        opt.params["t"].rows.flush()
        return opt.read_rows("t", np.array([0, 1, 8999]))[:, 0].tolist()

    assert run(3, steps) == [[-1.0, 0.0, -1.0]] * 3
    assert run(3, steps) == [[-2.0, 0.0, -2.0]] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"t.{rank}-of-3" for rank in range(3)]
    with pytest.raises(
        ValueError, match=r"t\.\d-of-3 has .* bytes, and rows of shape .* give another path, or delete it"
    ):
        run(3, lambda comm: fa.shard((5000, 2), comm=comm, path=tmp_path / "t"))


def test_one_process_has_all():
    class One:
        rank, size = 0, 1
        all_of = exchange = exchanged = complete = None

    t = fa.shard((7, 3), np.float64, One())
    t.rows[...] = np.arange(21.0).reshape(7, 3)
    assert not t.is_divided
    assert (np.asarray(t) == t.rows).all()
    assert t[[-1, 0]].tolist() == [[18.0, 19.0, 20.0], [0.0, 1.0, 2.0]]
    opt = fa.SGD(params={"t": t}, learning_rate=1.0)
    opt.step([np.ones((7, 3))])
    assert t[0].tolist() == [-1.0, 0.0, 1.0]


def test_rows_that_are_not_here():
    def ask(comm):
        t = table(comm)
        assert (t[np.arange(t.start, t.stop)] == START[t.start : t.stop]).all()
        other = 0 if comm.rank else ROWS - 1
        for indices, error, said in (
            ([other], IndexError, f"row {other} is another process's: name the rows that the loss reads in touches="),
            ([ROWS], IndexError, "row 1500 is out of range: the array has 1500 rows"),
            (slice(3), TypeError, "rows of a shard are taken by their numbers, an array or a list, not by slice"),
            ([0.5], TypeError, "rows of a shard are taken by their numbers"),
            ((0, 1), TypeError, "rows of a shard are taken by their numbers"),
        ):
            with pytest.raises(error, match=re.escape(said)):
                t[indices]

    run(2, ask)


REFUSED = {
    "a dense gradient": (
        lambda opt: opt.step([np.ones((ROWS, WIDTH))]),
        TypeError,
        "must be fastadagrad.Rows or a matrix",
    ),
    "export": (lambda opt: opt.export("file"), ValueError, "export writes whole parameters"),
    "an accumulator of all": (
        lambda opt: setattr(opt.hyper, "accumulator", "tensor"),
        ValueError,
        "an accumulator that all elements share cannot be: use accumulator='row'",
    ),
    "autograd": (lambda opt: opt.minimize(max_epochs=1), ValueError, "autograd derives gradients of whole arrays only"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, said = REFUSED[case]

    def ask(comm):
        opt = fa.ADAGRAD(lambda p: float(len(p["table"])), {"table": table(comm)}, gradient="autograd", comm=comm)
        with pytest.raises(error, match=re.escape(said)):
            call(opt)

    run(2, ask)


def test_no_communicator():
    with pytest.raises(TypeError, match="comm is missing"):
        fa.shard((5, 3))

    def alone(comm):
        t = table(comm)
        with pytest.raises(ValueError, match=r"'table' is divided among processes, and this optimizer has one process"):
            fa.SGD(params={"table": t})

    run(2, alone)


@pytest.mark.parametrize(
    ("shape", "dtype", "error", "said"),
    [
        ((5,), np.float32, ValueError, "shape must be of rows and columns"),
        ((5, -1), np.float32, ValueError, "shape must be a whole number of at least 0"),
        (5, np.float32, TypeError, "shape must be a tuple of whole numbers, not 5"),
        ("abc", np.float32, TypeError, "shape must be a tuple of whole numbers"),
        ((5, 3), "seven", TypeError, "dtype must be one of floats, not 'seven'"),
        ((5, 3), np.int32, ValueError, "dtype must be float32, float64, float16, bfloat16"),
        ((5, 3), ">f4", ValueError, "in this machine's byte order"),
    ],
)
def test_shapes_and_dtypes(shape, dtype, error, said):
    with pytest.raises(error, match=re.escape(said)):
        run(2, lambda comm: fa.shard(shape, dtype, comm))


def test_what_differs():
    with pytest.raises(ValueError, match="all processes must be given the same shape and dtype"):
        run(2, lambda comm: fa.shard((5, 3 + comm.rank), comm=comm))


def test_a_table_of_which_one_process_has_all_rows():
    def stepped(comm):
        t = fa.shard((100, 4), np.float32, comm)
        opt = fa.SGD(params={"t": t}, learning_rate=1.0, comm=comm)
        opt.step([fa.Rows(np.array([comm.rank]), np.ones((1, 4), np.float32))])
        return len(t.rows), opt.read_rows("t", np.arange(3))[:, 0].tolist()

    found = run(2, stepped)
    assert sorted(rows for rows, _ in found) == [0, 100]
    assert [values for _, values in found] == [[-0.5, -0.5, 0.0]] * 2


def test_rows_that_have_been_stepped_since_are_not_given():
    def ask(comm):
        opt = fa.SGD(params={"t": table(comm)}, learning_rate=1.0, comm=comm)
        other = np.array([0 if comm.rank else ROWS - 1])
        opt.read_rows("t", other)
        t = opt.params["t"]
        assert (t[other] == START[other]).all()
        opt.step([fa.Rows(other, np.ones((1, WIDTH)))])
        with pytest.raises(IndexError, match="is another process's"):
            t[other]

    run(2, ask)


def test_it_is_no_array_and_no_sequence():
    def ask(comm):
        t = table(comm)
        for use in (np.asarray, np.sum, list, iter):
            with pytest.raises(TypeError):
                use(t)
        assert t[[]].shape == (0, WIDTH)
        assert t[np.array([t.start], np.int16)].shape == (1, WIDTH)
        assert len(t) == ROWS

    run(2, ask)


def test_parameters_are_set_by_shards():
    def setting(comm):
        opt = fa.SGD(params={"t": table(comm)}, learning_rate=1.0, comm=comm)
        twice = opt.params["t"].copy()
        twice.rows *= 2
        opt.set_params({"t": twice})
        return opt.read_rows("t", np.arange(ROWS))

    assert all((found == 2 * START).all() for found in run(2, setting))


def test_evaluation_after_a_run():
    def evaluated(comm):
        params = {"table": START.copy() if comm is None else table(comm)}
        opt = fa.ADAGRAD(loss, params, learning_rate=0.1, **({} if comm is None else {"comm": comm}))
        opt.minimize([IDS, Y], max_epochs=1, rng=0, touches=lambda ids, y: {"table": ids})
        search = fa.find_learning_rate(
            opt,
            [IDS, Y],
            lowest=1e-3,
            highest=1e-2,
            per_decade=2,
            steps=2,
            rng=0,
            touches=lambda ids, y: {"table": ids},
        )
        return opt.evaluate([IDS[:70], Y[:70]])["loss"], search.losses

    loss_of_one, losses = evaluated(None)
    for found, of_search in run(2, evaluated):
        assert found == pytest.approx(loss_of_one, rel=1e-9)
        np.testing.assert_allclose(of_search, losses, rtol=1e-9)


def test_a_shard_of_other_processes_is_refused():
    def make(comm):
        t = table(comm)
        t.bounds.insert(1, 0)
        with pytest.raises(ValueError, match="'t' is divided among 3 processes, of which this is number"):
            fa.SGD(params={"t": t}, comm=comm)

    run(2, make)


def test_files_of_another_number_of_processes_are_refused(tmp_path):
    run(3, lambda comm: fa.shard((9000, 2), comm=comm, path=tmp_path / "t"))
    with pytest.raises(ValueError, match=r"t\.[0-2]-of-3 is of 3 processes, and here are 2"):
        run(2, lambda comm: fa.shard((9000, 2), comm=comm, path=tmp_path / "t"))


@pytest.mark.parametrize("path", [b"t", "", 7, "a\0b"])
def test_paths(path):
    with pytest.raises((TypeError, ValueError), match="path"):
        run(2, lambda comm: fa.shard((9000, 2), comm=comm, path=path))
