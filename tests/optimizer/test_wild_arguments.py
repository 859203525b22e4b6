"""Arguments of all kinds in every public call: no crash, no error outside of the contract, nothing half changed."""

import gc

import numpy as np
import pytest
from wild import Changing, tried

import fastadagrad as fa


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


@pytest.mark.parametrize("view", [lambda table: table, np.asarray, lambda table: np.asarray(table)[5:]])
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


def test_a_map_that_has_been_closed_is_not_read(table):
    opt = fa.ADAGRAD(params=np.zeros((1000, 2)))
    table._mmap.close()
    for use in (
        lambda: fa.ADAGRAD(params=table),
        lambda: fa.ADAGRAD(params=np.asarray(table)),
        lambda: opt.step(table),
        lambda: opt.step(fa.Rows(np.arange(1000), table)),
        lambda: opt.set_params(table),
        lambda: opt.set_params(np.asarray(table)),
    ):
        with pytest.raises(ValueError, match="its memory map has been closed"):
            use()
    assert opt.steps == 0
