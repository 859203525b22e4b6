"""Arguments of all kinds in every public call: no crash, no error outside of the contract, nothing half changed."""

import gc
import mmap

import numpy as np
import pytest
import scipy.sparse
from wild import Changing, tried

import fastadagrad as fa
from fastadagrad.linear import LinearModel


@pytest.mark.parametrize(
    ("calls", "seed"), [(750, 0), pytest.param(8000, 100, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_every_call_keeps_to_the_contract(calls, seed):
    assert tried(calls, seed) == {}


@pytest.mark.parametrize("name", ["learning_rate", "momentum", "patience", "threads", "nesterov"])
@pytest.mark.parametrize("group", [False, True])
def test_a_number_is_asked_for_once(name, group):
    """It is the number that it was when it was given, also when other hyperparameters are changed later."""
    good, bad = (1, 7) if name in ("patience", "threads") else (0.5, 0.25)
    number = True if name == "nesterov" else Changing(good, bad)
    if group and name in ("patience", "threads"):
        pytest.skip("groups have none of their own")
    given = {"groups": {"param0": {name: number}}} if group else {name: number}
    opt = fa.ADAGRAD(params=np.ones(2), **given)
    opt.hyper.l2 = 0.0
    opt.hyper.rms_regularizer = 0.5
    found = opt.hyper.groups["param0"] if group else opt.hyper
    assert found[name] == (True if name == "nesterov" else good)


def test_groups_are_asked_for_once():
    groups = {"a": {"learning_rate": 0.5}}
    opt = fa.ADAGRAD(params={"a": np.ones(2)}, groups=groups)
    groups["a"]["learning_rate"] = "fast"
    groups["b"] = 3
    opt.hyper.l2 = 0.0
    assert opt.hyper.groups == {"a": {"learning_rate": 0.5}}


def test_an_error_of_a_function_is_told_as_it_is():
    class Own(Exception):
        pass

    def raising(*anything):
        raise Own

    with pytest.raises(Own):
        fa.ADAGRAD(params=np.ones(2), learning_rate=raising).step(np.ones(2))
    with pytest.raises(Own):
        fa.ADAGRAD(raising, np.ones(2)).evaluate(None)
    with pytest.raises(KeyError):
        fa.ADAGRAD(lambda w: {}["a"], np.ones(2)).minimize(max_updates=1)


@pytest.fixture
def table(tmp_path):
    return np.memmap(tmp_path / "table", shape=(1000, 2), dtype=np.float64, mode="w+")


class Columns(np.ndarray):
    """What a user may derive from NumPy's arrays."""


VIEWS = {
    "itself": lambda table: table,
    "a view": np.asarray,
    "a view of a view": lambda table: np.asarray(table)[:],
    "a view of an array of a type of the user's": lambda table: np.asarray(np.asarray(table).view(Columns)),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_map_cannot_be_closed_while_a_parameter_is_in_it(view, table):
    opt = fa.ADAGRAD(params=view(table), learning_rate=0.5)
    for change in (table._mmap.close, lambda: table._mmap.resize(10)):
        with pytest.raises(BufferError):
            change()
    opt.step(np.ones(view(table).shape))
    assert np.allclose(view(table), -0.5)
    del opt
    gc.collect()
    table._mmap.close()


@pytest.mark.parametrize("view", VIEWS)
def test_a_map_that_has_been_closed_is_not_read(view, table):
    opt, data = fa.ADAGRAD(params=np.zeros((1000, 2))), fa.SGD(lambda w, x: (0.0, w), np.zeros(2))
    given = VIEWS[view](table)
    rows = given.reshape(-1)[:1000].view(np.int64)
    matrix, coo = scipy.sparse.csr_array(np.ones((1000, 2))), scipy.sparse.coo_array(np.ones((1000, 2)))
    matrix.data, coo.data = given.reshape(-1), given.reshape(-1)
    batches = fa.Dataset([given])
    own = mmap.mmap(-1, 16_000)
    in_map = np.ndarray((1000, 2), np.float64, own)
    table._mmap.close()
    own.close()
    for use in (
        lambda: fa.ADAGRAD(params=given),
        lambda: opt.step(given),
        lambda: opt.step(fa.Rows(np.arange(1000), given)),
        lambda: opt.step(fa.Rows(rows, np.ones((1000, 2)))),
        lambda: opt.step(matrix),
        lambda: opt.step(coo),
        lambda: opt.read_rows("param0", rows),
        lambda: opt.set_params(given),
        lambda: data.evaluate([given]),
        lambda: opt.step(in_map),
        lambda: data.evaluate([matrix]),
        lambda: data.evaluate([coo]),
        lambda: data.minimize([given], max_epochs=1),
        lambda: next(data.iterate(batches)),
        lambda: LinearModel().fit(given, np.arange(1000) % 2),
        lambda: LinearModel().fit(matrix, np.arange(1000) % 2),
        lambda: fa.ADAGRAD(params=np.zeros(3), learning_rate=given),
        lambda: fa.ADAGRAD(params=np.zeros(3), updates=given),
        lambda: fa.SGD(lambda w: 0.0, np.zeros(3), inputs=given),
        lambda: fa.ESGD(params=np.zeros(3), hv_rng=[given]),
        lambda: fa.compiled_update("sgd", dtype=given),
    ):
        with pytest.raises(ValueError, match="its memory map has been closed"):
            use()
    assert (opt.steps, data.steps) == (0, 0)
