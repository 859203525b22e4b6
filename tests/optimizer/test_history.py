"""The history: pairs as iterate has yielded them, and flat tables of what each epoch has left."""

import copy
import io
import math
import pickle
import sys

import numpy as np
import pytest
from runs import TRAIN, VALID, bowl, scripted

import fastadagrad as fa
from fastadagrad.optimizer.history import Epoch, History, Ledger, Validation, note
from fastadagrad.support import array_file

NAN = "nan"


def told(history, *names):
    """Columns row by row, NaN made comparable."""
    rows = zip(*(history.to_dict()[name] for name in names), strict=True)
    return [tuple(NAN if isinstance(x, float) and math.isnan(x) else x for x in row) for row in rows]


def test_values_after_each_epoch_beside_the_pairs_that_were_yielded():
    opt, _ = scripted([5.499, 1.963, 0.952, 0.513, 0.292, 0.172])
    pairs = [valid["loss"] for _, valid in opt.iterate(TRAIN, VALID, max_epochs=5, validate_every=1)]
    # As downhill yields them; the last is validated again at the end.
    assert pairs == [5.499, 1.963, 0.952, 0.513, 0.172] == [epoch.valid["loss"] for epoch in opt.history]
    assert told(opt.history, "epoch", "steps", "validated", "train_loss", "valid_loss") == [
        (0, 0, True, NAN, 5.499),
        (1, 1, True, 0.5, 1.963),
        (2, 2, True, 0.5, 0.952),
        (3, 3, True, 0.5, 0.513),
        (4, 4, True, 0.5, 0.292),
        (5, 5, True, 0.5, 0.172),
    ]


def test_an_epoch_without_validation_has_none():
    opt, _ = scripted([9, 8, 7, 6])
    opt.minimize(TRAIN, VALID, max_epochs=5, validate_every=2)
    assert told(opt.history, "epoch", "validated", "valid_loss") == [
        (0, True, 9), (1, False, NAN), (2, True, 8), (3, False, NAN), (4, True, 7), (5, True, 6)
    ]  # fmt: skip


def test_a_loop_that_is_left_is_validated_once_more():
    opt, _ = scripted([9, 8])
    for number, _ in enumerate(opt.iterate(TRAIN, VALID), 1):
        if number == 3:
            break
    assert told(opt.history, "epoch", "valid_loss") == [(0, 9), (1, NAN), (2, NAN), (3, 8)]


def test_runs_are_told_apart_and_each_has_its_start():
    opt, _ = scripted([9, 8, 7, 6, 5])
    opt.minimize(TRAIN, VALID, max_epochs=1)
    opt.minimize(TRAIN, VALID, max_epochs=2, validate_every=1)
    assert told(opt.history, "run", "epoch", "steps", "valid_loss") == [
        (1, 0, 0, 9), (1, 1, 1, 8), (2, 0, 1, 7), (2, 1, 2, 6), (2, 2, 3, 5)
    ]  # fmt: skip


def test_a_run_without_an_epoch_leaves_its_start_only():
    opt, _ = scripted([9, 8])
    opt.minimize(TRAIN, VALID, max_updates=0)
    assert told(opt.history, "run", "epoch", "valid_loss") == [(1, 0, 9)]
    assert opt.history == []


def test_patience_ends_with_the_last_validation_after_the_last_epoch():
    opt, _ = scripted([5, 4, 6, 6])
    opt.minimize(TRAIN, VALID, patience=1, validate_every=1)
    assert opt.stopped_because == "patience"
    assert told(opt.history, "epoch", "valid_loss") == [(0, 5), (1, 4), (2, 6), (3, 6)]


def test_a_loss_that_becomes_infinite_is_in_the_table():
    opt, _ = scripted([5, math.inf])
    opt.minimize(TRAIN, VALID, validate_every=1)
    assert opt.stopped_because == "non-finite loss"
    assert told(opt.history, "epoch", "valid_loss") == [(0, 5), (1, math.inf)]


def test_what_stops_in_its_first_epoch_has_a_start_and_no_more():
    losses = iter([1.0, 2.0, math.nan])  # validation, and two batches
    opt = fa.SGD(lambda w, x: (next(losses), np.ones(1)), np.zeros(1))
    opt.minimize([(np.zeros(1),), (np.zeros(1),)], VALID)
    assert opt.stopped_because == "non-finite loss"
    assert told(opt.history, "epoch", "steps", "valid_loss") == [(0, 0, 1.0)]


def test_monitors_have_columns_of_their_own():
    opt = fa.SGD(bowl, np.zeros(1), learning_rate=0.25, monitors={"epoch": lambda w: w[0], "loss_": lambda w: 2.0})
    opt.minimize(max_epochs=1)
    names = ["train_loss", "train_epoch", "train_loss_", "valid_loss", "valid_epoch", "valid_loss_"]
    assert list(opt.history.to_dict()) == ["run", "epoch", "steps", "validated", *names]
    assert told(opt.history, "epoch", "train_epoch", "valid_epoch") == [(0, NAN, 0.0), (1, 0.0, 1.5)]
    assert opt.history.records()[1] == {name: column[1] for name, column in opt.history.to_dict().items()}


def test_nothing_yet():
    history = fa.SGD(params=np.zeros(1)).history
    assert (history, history.records()) == ([], [])
    assert history.to_dict() == {"run": [], "epoch": [], "steps": [], "validated": []}


def test_it_is_a_list_of_epochs():
    opt, _ = scripted([9, 8])
    opt.minimize(TRAIN, VALID, max_epochs=2)
    assert isinstance(opt.history, list)
    assert opt.history[-1] == Epoch(2, 2, {"loss": 0.5}, {"loss": 8})
    epoch, steps, train, valid = opt.history[0]
    assert (epoch, steps, train, valid) == (1, 1, {"loss": 0.5}, {"loss": 9})


@pytest.mark.parametrize(
    "way",
    [copy.deepcopy, copy.copy, lambda history: pickle.loads(pickle.dumps(history))],
    ids=["deep", "copy", "pickle"],
)
def test_copies_are_whole(way):
    opt, _ = scripted([9, 8])
    opt.minimize(TRAIN, VALID, max_epochs=2)
    found = way(opt.history)
    assert type(found) is History
    assert found == opt.history
    assert found.validations == opt.history.validations
    assert found.validations is not opt.history.validations


def test_a_file_keeps_it_and_a_run_that_is_taken_up_goes_on_with_it():
    whole, _ = scripted([9, 8, 7, 6])
    file = io.BytesIO()
    for number, _ in enumerate(whole.iterate(TRAIN, VALID, max_epochs=3, validate_every=1), 1):
        if number == 1:
            whole.save(file)
    file.seek(0)
    fresh, _ = scripted([8, 7, 6])
    fresh.load(file)
    assert told(fresh.history, "epoch", "valid_loss") == [(0, 9), (1, NAN)]
    fresh.minimize(TRAIN, VALID, max_epochs=3, validate_every=1)
    assert told(fresh.history, "epoch", "valid_loss") == told(whole.history, "epoch", "valid_loss")
    assert fresh.history == whole.history


def test_a_file_without_validations_is_read():
    opt, _ = scripted([9, 8])
    opt.minimize(TRAIN, VALID, max_epochs=2)
    file, older = io.BytesIO(), io.BytesIO()
    opt.save(file)
    file.seek(0)
    header, arrays = array_file.read(file, "optimizer")
    del header["ledger"]["validations"]
    array_file.write(older, "optimizer", header, arrays)
    older.seek(0)
    fresh, _ = scripted([])
    fresh.load(older)
    assert fresh.history == opt.history
    assert fresh.history.validations == []
    assert told(fresh.history, "run", "epoch", "validated", "train_loss") == [(1, 1, False, 0.5), (1, 2, False, 0.5)]


def test_runs_of_an_older_file_are_told_apart_by_their_numbers():
    history = History(Epoch(number, 0, {"loss": 1.0}, {}) for number in (1, 2, 1, 2))
    assert history.to_dict()["run"] == [1, 1, 2, 2]
    note(history, Validation(4, 0, 0, {"loss": 1.0}))
    history.append(Epoch(1, 0, {"loss": 1.0}, {}))
    assert history.to_dict()["run"] == [1, 1, 2, 2, 3, 3]


def test_a_pickle_of_before_has_a_list():
    ledger = Ledger.__new__(Ledger)
    ledger.__setstate__({**vars(Ledger()), "history": [Epoch(1, 1, {}, {})]})
    assert type(ledger.history) is History
    assert ledger.history == [Epoch(1, 1, {}, {})]


def test_reset_forgets_it():
    opt, _ = scripted([9, 8])
    opt.minimize(TRAIN, VALID, max_epochs=1)
    opt.reset()
    assert (opt.history, opt.history.validations) == ([], [])


def test_a_frame():
    pandas = pytest.importorskip("pandas", reason="needs the extra 'pandas'")
    opt, _ = scripted([9, 8])
    opt.minimize(TRAIN, VALID, max_epochs=1)
    frame = opt.history.to_frame()
    pandas.testing.assert_frame_equal(frame, pandas.DataFrame(opt.history.to_dict()))
    assert frame.dtypes.astype(str).to_dict() == {
        "run": "int64", "epoch": "int64", "steps": "int64", "validated": "bool", "train_loss": "float64",
        "valid_loss": frame.valid_loss.dtype.name,
    }  # fmt: skip


def test_a_frame_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(RuntimeError, match=r'history.to_frame\(\) needs pandas: pip install "fastadagrad\[pandas\]"'):
        History().to_frame()


def test_html_is_escaped():
    opt = fa.SGD(bowl, np.zeros(1), learning_rate=0.25, monitors={"<b>&": lambda w: 1.0})
    opt.minimize(max_epochs=1)
    found = opt.history._repr_html_()
    assert "train_&lt;b&gt;&amp;" in found
    assert "<b>" not in found
