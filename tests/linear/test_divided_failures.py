"""What one of several processes that fit a model refuses, raises or cannot write; and checkpoints of all together."""

import threading

import numpy as np
import pytest
from in_step import run
from linear_examples import sparse

import fastadagrad as fa
from fastadagrad.linear import LinearModel, fit_checkpoints

X, Y = sparse()
HOW = {"batch_size": 25, "max_epochs": 4, "scale": "maxabs", "learning_rate": 0.3}


def fitted(comm, X=X, y=Y, how=HOW, **more):
    return LinearModel(**how).fit(X, y, comm=comm, **more)


def error_of(function):
    """The kind and the message of what a function raises."""
    try:
        function()
    except BaseException as error:
        return type(error), str(error)
    return None


@pytest.mark.parametrize("process", [0, 2])
@pytest.mark.parametrize("what", ["NaN in X", "labels", "an epoch's entry"])
def test_what_one_process_raises_ends_all(process, what):
    def fit(comm):
        alone = comm.rank == process
        X_own, y, calls = X.copy(), Y, []
        if alone and what == "NaN in X":
            X_own.data[7] = np.nan
        if alone and what == "labels":
            y = Y[:-1]

        def told(entry):
            calls.append(entry)
            if alone and what == "an epoch's entry" and len(calls) == 2:
                raise OSError("no such place")

        return error_of(lambda: fitted(comm, X_own, y, progress=told))

    found = run(3, fit)
    kind, own = found[process]
    assert kind in (ValueError, OSError)
    others = [each for rank, each in enumerate(found) if rank != process]
    assert others == [(kind, f"in process {process}: {own}")] * 2


@pytest.mark.parametrize("process", [0, 1])
def test_an_interruption_of_one_process_ends_all_after_the_same_epoch(process):
    def fit(comm):
        def told(entry):
            if comm.rank == process and entry["epoch"] == 2:
                raise KeyboardInterrupt

        return fitted(comm, progress=told)

    models = run(3, fit)
    [expected, *_] = run(3, lambda comm: LinearModel(**{**HOW, "max_epochs": 2}).fit(X, Y, comm=comm))
    for model in models:
        assert model.stopped_because == "interrupted"
        assert model.coef_.tobytes() == expected.coef_.tobytes()


def test_rates_are_found_by_process_0(monkeypatch):
    from fastadagrad.linear import rate_trials

    searched, lock, search = [], threading.Lock(), rate_trials.search

    def counted(*given, **how):
        with lock:
            searched.append(True)
        return search(*given, **how)

    monkeypatch.setattr(rate_trials, "search", counted)
    models = run(3, lambda comm: fitted(comm, how={**HOW, "learning_rate": "auto"}))
    assert len(searched) == 1
    assert len({model.learning_rate_ for model in models}) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda comm: {"X": X[comm.rank :: 2], "y": Y[comm.rank :: 2]}, "must be given the same: examples is"),
        (lambda comm: {"how": {**HOW, "seed": comm.rank}}, "must be given the same: the parameters of the model is"),
        (lambda comm: {"valid": (X[comm.rank :: 2], Y[comm.rank :: 2])}, "must be given the same: valid is"),
        (lambda comm: {"how": {**HOW, "batch_size": 1}}, "batch_size is 1, and 2 processes .* give a larger one"),
        (
            lambda comm: {"X": fa.Stream("-", format="svmlight"), "y": None},
            "X can be read once only, and each process .* give a file",
        ),
    ],
)
def test_refusals(given, said):
    def fit(comm):
        with pytest.raises(ValueError, match=said):
            fitted(comm, **given(comm))

    run(2, fit)


def test_another_state_to_go_on_from():
    def fit(comm):
        model = LinearModel(**HOW, warm_start=True).fit(X[: 100 + comm.rank], Y[: 100 + comm.rank])
        with pytest.raises(ValueError, match="must be given the same: the state to go on from is"):
            model.fit(X, Y, comm=comm)

    run(2, fit)


def test_what_is_no_communicator():
    with pytest.raises(TypeError, match="comm must be an intracommunicator of mpi4py"):
        fitted("world")
    with pytest.raises(TypeError, match="fit takes it"):
        LinearModel(comm=None)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_fit_goes_on_from_a_checkpoint_in_any_number_of_processes(tmp_path, size):
    whole = run(2, lambda comm: fitted(comm))[0]
    folder = tmp_path / "run"

    def fit(comm, epochs, resume=False):
        return fitted(comm, how={**HOW, "max_epochs": epochs}, checkpoint=folder, resume=resume)

    run(2, lambda comm: fit(comm, 2))
    assert [path.name for path in sorted(folder.iterdir())] == ["checkpoint-00000001.npz", "checkpoint-00000002.npz"]
    found = run(size, lambda comm: fit(comm, 4, resume=True))
    assert len({model.coef_.tobytes() for model in found}) == 1
    assert len(found[0].history) == 4
    if size == 2:
        assert found[0].coef_.tobytes() == whole.coef_.tobytes()
    np.testing.assert_allclose(found[0].coef_, whole.coef_, rtol=1e-4, atol=1e-5)


def test_what_process_0_cannot_write_is_told_in_all(tmp_path, monkeypatch):
    def full(*given, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fit_checkpoints.array_file, "write", full)
    models = [LinearModel(**HOW) for _ in range(3)]
    found = run(3, lambda comm: error_of(lambda: models[comm.rank].fit(X, Y, comm=comm, checkpoint=tmp_path / "run")))
    assert all(issubclass(kind, OSError) and "No space left on device" in said for kind, said in found)
    assert len({model.coef_.tobytes() for model in models}) == 1  # the training is done


def test_a_damaged_checkpoint_is_passed_over_by_all(tmp_path):
    def fit(comm, resume=False, epochs=3):
        return fitted(comm, how={**HOW, "max_epochs": epochs}, checkpoint=tmp_path / "run", resume=resume)

    expected = run(2, fit)
    newest = sorted((tmp_path / "run").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    found = run(2, lambda comm: fit(comm, resume=True))
    assert [model.coef_.tobytes() for model in found] == [model.coef_.tobytes() for model in expected]


def test_a_folder_that_has_checkpoints_is_refused_by_all(tmp_path):
    run(2, lambda comm: fitted(comm, checkpoint=tmp_path / "run"))
    found = run(2, lambda comm: error_of(lambda: fitted(comm, checkpoint=tmp_path / "run")))
    assert all(kind is ValueError and "has checkpoints of an earlier run" in said for kind, said in found)
