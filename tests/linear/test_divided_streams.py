"""Fits to streams by several processes, for which threads stand in, are those of one process."""

import threading

import numpy as np
import pytest
from in_step import run

import fastadagrad as fa
from fastadagrad.linear import LinearModel
from fastadagrad.linear.divided import Together

HOW = {"dtype": np.float64, "batch_size": 16, "max_epochs": 3, "learning_rate": 0.3, "scale": "maxabs"}
FITS = {
    "by default": {"scale": "auto", "learning_rate": None},
    "l2, in closed form": {"l2": 1e-3, "average": False},
    "validation": {"validation": 0.2, "patience": 0},
}


@pytest.fixture
def file(text_file, small_blocks, buffer_of):
    buffer_of(3000)
    return text_file("logistic")


def fitted(comm, file, progress=False, checkpoint=None, resume=False, **how):
    model = LinearModel("logistic", **{**HOW, **how})
    folder = {} if checkpoint is None else {"checkpoint": checkpoint, "resume": resume}
    return model.fit(fa.Stream(file), comm=comm, progress=progress, **folder)


def numbers_of(model):
    return [model.coef_.tobytes(), model.intercept_.tobytes(), model.history, model.best_epoch, model.stopped_because]


@pytest.mark.parametrize("case", FITS)
def test_the_fit_of_one_process(file, case):
    one = fitted(None, file, **FITS[case])
    first, *others = run(3, lambda comm: fitted(comm, file, **FITS[case]))
    np.testing.assert_allclose(first.coef_, one.coef_, rtol=1e-12)
    assert (first.learning_rate_, first.best_epoch) == (one.learning_rate_, one.best_epoch)
    for other in others:
        assert numbers_of(other) == numbers_of(first)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_it_goes_on_in_any_number_of_processes(file, tmp_path, size):
    expected = fitted(None, file)
    run(2, lambda comm: fitted(comm, file, checkpoint=tmp_path / "run", max_epochs=2))
    found = run(size, lambda comm: fitted(comm, file, checkpoint=tmp_path / "run", resume=True))
    assert len({model.coef_.tobytes() for model in found}) == 1
    np.testing.assert_allclose(found[0].coef_, expected.coef_, rtol=1e-12)


def test_rows_of_losses_are_told_in_each_process_that_asks(file):
    told = []

    class Told:
        def row(self, row):
            told.append(row.examples)

        def __call__(self, entry):
            """Take an epoch's entry of the history."""

    run(2, lambda comm: fitted(comm, file, progress=Told() if comm.rank else False))
    assert told[:4] == [16, 32, 64, 128]


@pytest.mark.parametrize("lines", [1, 900])
def test_another_file_in_one_process(file, tmp_path, lines):
    """Where the first pass has scales in common, the rows that come later differ."""
    other = tmp_path / "other.svm"
    text = file.read_text().splitlines(keepends=True)
    other.write_text("".join(text + text[:lines]))

    def fit(comm):
        with pytest.raises(ValueError, match="all processes must be given the same: "):
            fitted(comm, other if comm.rank else file)

    run(2, fit)


def test_what_one_process_cannot_read_ends_all(file, tmp_path):
    other = tmp_path / "other.svm"
    other.write_text(file.read_text() + "1 1:NaN\n")

    def fit(comm):
        with pytest.raises(ValueError, match=r"in process 1: .*line" if comm.rank == 0 else "line"):
            fitted(comm, other if comm.rank else file)

    run(2, fit)


class _Signals:
    """Signals that have come to one process within a buffer, in the place of those of the system."""

    def __init__(self):
        self.waiting = False

    def __bool__(self):
        return self.waiting

    def deliver(self):
        if self.waiting:
            self.waiting = False
            raise KeyboardInterrupt


@pytest.mark.parametrize("saved", [True, False])
def test_ctrl_c_waits_for_a_place_to_go_on_from_where_there_are_checkpoints(file, tmp_path, monkeypatch, saved):
    expected = fitted(None, file)
    folder = tmp_path / "run" if saved else None
    parts, lock = {}, threading.Lock()
    by_rank = Together.by_rank

    def counted(self, function):
        with lock:
            parts[self] = parts.get(self, 0) + 1
        if not isinstance(self._signals, _Signals):
            self._signals = _Signals()
        if not self.leads and parts[self] == 20:
            self._signals.waiting = True
        return by_rank(self, function)

    with monkeypatch.context() as patched:
        patched.setattr(Together, "by_rank", counted)
        models = run(2, lambda comm: fitted(comm, file, checkpoint=folder))
    assert [model.stopped_because for model in models] == ["interrupted"] * 2
    assert len({model.coef_.tobytes() for model in models}) == 1
    steps = {*parts.values()}
    assert len(steps) == 1
    assert (steps == {20}) != saved, "it is answered at once where nothing is to be saved"
    if saved:
        [found, _] = run(2, lambda comm: fitted(comm, file, checkpoint=folder, resume=True))
        np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-12)
