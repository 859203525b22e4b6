"""What reads parameters finds rows that lag behind current: reads, files, losses, monitors."""

import logging
import warnings

import numpy as np
import pytest
from adagrad_options import OPTIONS
from lagging import (
    CLOSED,
    F8,
    FIRST_ACCUMULATOR,
    ROWS,
    WIDTH,
    assert_close,
    assert_current,
    assert_stale,
    go_on,
    hyper_of,
    lagging,
    made,
    note_size,
    result,
    sizes,
    start,
    stream,
)

import fastadagrad as fa

# --- what reads the parameters finds them current ---------------------------------------------------------------------


TARGET = np.random.default_rng(3).standard_normal((ROWS, WIDTH))


@pytest.mark.parametrize("accumulator", FIRST_ACCUMULATOR)
@pytest.mark.parametrize("option", CLOSED)
def test_gradients_that_depend_on_rows_read(option, accumulator):
    lazy, full, size = made(hyper_of(option, accumulator)), made(hyper_of(option, accumulator)), sizes()
    for indices, noise in stream()[:1500]:
        read = lazy.read_rows("emb", indices)
        lazy.step({"emb": fa.Rows(indices, read - TARGET[indices] + 0.1 * noise)})
        g = np.zeros((ROWS, WIDTH))
        np.add.at(g, indices, full.params["emb"][indices] - TARGET[indices] + 0.1 * noise)
        full.step({"emb": g})
        note_size(full, size)
    assert_close(result(lazy), result(full, size))


def test_read_rows():
    opt = made(hyper_of("nesterov"))
    w = opt.params["emb"]
    opt.step({"emb": fa.Rows(np.arange(ROWS), np.ones((ROWS, WIDTH)))})
    for _ in range(5):
        opt.step({"emb": fa.Rows(np.array([0]), np.ones((1, WIDTH)))})
    stale = w[[7, 8]].copy()
    indices = np.array([7, 3, 7, 0], np.int32)
    read = opt.read_rows("emb", indices)
    assert read.shape == (4, WIDTH)
    assert read.dtype == w.dtype
    assert read.tobytes() == w[indices].tobytes()
    assert (read[0] != stale[0]).all()
    assert w[8].tobytes() == stale[1].tobytes()  # nobody asked
    assert opt.read_rows("emb", np.array([7])).tobytes() == read[:1].tobytes()  # nothing twice
    read[...] = 99
    assert (w != 99).all()
    assert opt.read_rows("emb", np.zeros(0, int)).shape == (0, WIDTH)
    opt.flush()
    flushed = w.copy()
    opt.flush()
    assert w.tobytes() == flushed.tobytes()
    assert opt.steps == 6


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("emb", np.array([ROWS])), IndexError),
        (("emb", np.array([0, -1])), IndexError),
        (("emb", np.array([2**32])), IndexError),
        (("emb", np.array([0.0])), TypeError),
        (("emb", np.array([True])), TypeError),
        (("emb", np.array([0], np.uint8)), TypeError),
        (("emb", np.array([[0]])), ValueError),
        (("b", np.array([0])), ValueError),
        (("nobody", np.array([0])), (KeyError, ValueError, TypeError)),
        (("emb", None), (TypeError, ValueError)),
    ],
)
def test_bad_reads_change_nothing(arguments, error):
    opt = fa.ADAGRAD(params={"emb": np.ones((ROWS, 2)), "b": np.ones(())}, momentum=0.9)
    for _ in range(3):
        opt.step({"emb": fa.Rows(np.arange(5), np.ones((5, 2))), "b": np.ones(())})
        opt.step({"emb": fa.Rows(np.array([0]), np.ones((1, 2))), "b": np.ones(())})
    before = opt.params["emb"].tobytes()
    with pytest.raises(error, match=repr(arguments[0])):
        opt.read_rows(*arguments)
    assert opt.params["emb"].tobytes() == before


@pytest.mark.parametrize("change", ["reshaped", "resized", "made read-only"])
@pytest.mark.parametrize("read", ["flush", "read_rows", "state", "hyper"])
def test_changed_arrays_are_refused_before_they_are_written(change, read):
    lazy, _ = lagging("decay")
    w = lazy.params["emb"]
    before = w.tobytes()
    if change == "reshaped":
        with warnings.catch_warnings(action="ignore"):
            w.shape = (2 * ROWS, WIDTH // 2)
    elif change == "resized":
        w.resize((50 * ROWS, WIDTH), refcheck=False)
    else:
        w.flags.writeable = False
    calls = {
        "flush": lambda: lazy.flush(),
        "read_rows": lambda: lazy.read_rows("emb", np.arange(len(w))),
        "state": lambda: lazy.state,
        "hyper": lambda: lazy.hyper.update(learning_rate=0.5),
    }
    with pytest.raises(ValueError, match="'emb'"):
        calls[read]()
    assert w.tobytes()[: len(before)] == before


@pytest.mark.parametrize("option", ["plain", "row"])
def test_where_nothing_lags_flush_changes_no_bit(option):
    hyper = {"learning_rate": 0.05, **OPTIONS[option]}
    opt = made(hyper)
    for indices, values in stream()[:50]:
        opt.step({"emb": fa.Rows(indices, values.astype(F8))})
    before = opt.params["emb"].tobytes()
    opt.flush()
    assert opt.state
    assert opt.read_rows("emb", np.array([1, 0])).tobytes() == opt.params["emb"][[1, 0]].tobytes()
    assert opt.params["emb"].tobytes() == before


@pytest.mark.parametrize("option", ["momentum", "l1", "elastic net and decay", "decay, scheduled"])
@pytest.mark.parametrize(
    "read",
    {
        "flush": lambda opt, path: opt.flush(),
        "state": lambda opt, path: opt.state,
        "save": lambda opt, path: opt.save(path),
        "read_rows": lambda opt, path: opt.read_rows("emb", np.arange(ROWS)),
        "hyper": lambda opt, path: opt.hyper.update(momentum=0.5, l1=0.0, l2=0.0),
        "lazy": lambda opt, path: setattr(opt.hyper, "lazy", "touched"),
        "a dense step": lambda opt, path: opt.step({"emb": np.zeros((ROWS, WIDTH))}),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_brings_everything_up_to_date(read, option, tmp_path):
    lazy, full = lagging(option)
    assert_stale(lazy, full)
    read[1](lazy, tmp_path / "file")
    if read[0] == "a dense step":
        full.step({"emb": np.zeros((ROWS, WIDTH))})
    assert_current(lazy, full)
    if "velocity" in full.state["emb"]:
        np.testing.assert_allclose(lazy.state["emb"]["velocity"], full.state["emb"]["velocity"], 1e-13, 1e-300)


def squares(params, *batch):
    w = params["emb"]
    return float((w * w).sum()), {"emb": 2 * w}


def test_evaluate_and_monitors():
    w, expected = (start().astype(F8) for _ in range(2))
    lazy, full = (
        fa.ADAGRAD(squares, {"emb": x}, monitors={"sum": lambda p: p["emb"].sum()}, **hyper_of("nesterov"))
        for x in (w, expected)
    )
    go_on(lazy, full, 0, 40)
    assert_stale(lazy, full)
    found, exact = lazy.evaluate(None), full.evaluate(None)
    assert found == pytest.approx(exact, rel=1e-12)
    assert_current(lazy, full)


def test_set_params():
    """The lag goes by the old values: it neither moves the new ones nor gets lost from the velocity."""
    lazy, full = lagging("momentum")
    for opt in (lazy, full):
        opt.set_params({"emb": np.ones((ROWS, WIDTH))})
    assert (lazy.params["emb"] == 1).all()
    lazy.flush()
    assert (lazy.params["emb"] == 1).all()
    go_on(lazy, full, 40, 80)
    lazy.flush()
    assert_current(lazy, full)


@pytest.mark.parametrize("bad", [np.ones((ROWS, 2)), np.ones((ROWS, WIDTH), complex)])
def test_refused_targets_change_nothing_that_a_flush_would_not(bad):
    lazy, full = lagging("momentum")
    with pytest.raises((TypeError, ValueError), match="'emb'"):
        lazy.set_params({"emb": bad})
    lazy.flush()
    assert_current(lazy, full)


def test_reset_leaves_the_parameters_as_they_were_to_be():
    lazy, full = lagging("momentum")
    for opt in (lazy, full):
        opt.reset()
    lazy.flush()
    assert_current(lazy, full)
    go_on(lazy, full, 40, 80)
    lazy.flush()
    assert_current(lazy, full)


# --- inside an iteration ----------------------------------------------------------------------------------------------


def pull(seen=None, sparse=True):
    """Rows named by the batch are drawn to their targets; `seen` gets the whole table as the loss has found it."""

    def loss(params, indices):
        w = params["emb"]
        if seen is not None:
            seen.append((indices, w.copy()))
        values = w[indices] - TARGET[indices]
        g = np.zeros_like(w)
        np.add.at(g, indices, values)
        return 0.5 * (values**2).sum() / len(indices), {"emb": fa.Rows(indices, values) if sparse else g}

    return loss


BATCHES = [(np.random.default_rng(i).integers(ROWS, size=5),) for i in range(60)]
ALL = [(np.arange(ROWS),)]


@pytest.mark.parametrize("touches", [None, lambda indices: {"emb": indices}], ids=["all", "touches"])
@pytest.mark.parametrize("option", ["nesterov", "elastic net", "momentum and decay", "l1, scheduled", "decay"])
@pytest.mark.parametrize("call", ["iterate", "minimize"])
def test_a_loss_sees_current_rows(option, touches, call, caplog):
    seen, expected = [], []
    runs = []
    with caplog.at_level(logging.INFO, "fastadagrad"):
        for record, keywords in ((seen, {"touches": touches} if touches else {}), (expected, {"lazy": "dense"})):
            opt = fa.ADAGRAD(
                pull(record), {"emb": start().astype(F8)}, validate_every=2, patience=99, **hyper_of(option)
            )
            run = opt.iterate if call == "iterate" else opt.minimize
            pairs = list(run(BATCHES, ALL, max_epochs=5, **keywords))
            runs.append((opt, pairs))
    told = [record for record in caplog.records if "touches" in record.getMessage()]
    assert len(told) == (0 if touches else 1)
    (lazy, pairs), (full, other_pairs) = runs
    assert lazy.history[-1].valid == pytest.approx(full.history[-1].valid, rel=1e-11)
    if call == "iterate":
        for mine, other in zip(pairs, other_pairs, strict=True):
            assert mine[0] == pytest.approx(other[0], rel=1e-11)
            assert mine[1] == pytest.approx(other[1], rel=1e-11)
    assert_current(lazy, full, 1e-11)
    assert lazy.best.loss == pytest.approx(full.best.loss, rel=1e-11)
    stale = 0
    for (indices, w), (_, exact) in zip(seen, expected, strict=True):
        np.testing.assert_allclose(w[indices], exact[indices], 1e-11, 1e-12)
        stale += np.abs(w - exact).max() > 1e-5
    assert (stale > 50) if touches else (stale == 0)


def test_the_best_is_a_current_one():
    """It gets worse from some epoch on: what is restored is what the dense run restores."""
    found = []
    for lazy in ("exact", "dense"):
        rate_of = lambda t: 0.3 if t < 120 else 3.0  # noqa: E731
        opt = fa.ADAGRAD(pull(), {"emb": np.zeros((ROWS, WIDTH))}, momentum=0.9, learning_rate=rate_of, lazy=lazy)
        opt.minimize(BATCHES, ALL, max_epochs=6, validate_every=1, touches=lambda indices: {"emb": indices})
        found.append((opt.best.epoch, opt.best.loss, opt.params["emb"].copy()))
        assert opt.evaluate(ALL)["loss"] == pytest.approx(opt.best.loss, rel=1e-12)
        opt.step({"emb": fa.Rows(np.array([0]), np.ones((1, WIDTH)))})
        opt.set_params("best")
        assert opt.evaluate(ALL)["loss"] == pytest.approx(opt.best.loss, rel=1e-12)
    assert 0 < found[0][0] < 6
    assert found[0][:2] == pytest.approx(found[1][:2], rel=1e-11)
    np.testing.assert_allclose(found[0][2], found[1][2], 1e-11, 1e-12)


def test_monitors_and_updates_see_current_values():
    found = []
    for keywords in ({}, {"lazy": "dense"}):
        seen = np.zeros(())
        opt = fa.ADAGRAD(
            pull(),
            {"emb": start().astype(F8)},
            monitors={"all": lambda p, i: np.abs(p["emb"]).sum()},
            updates=[(seen, lambda p, i, seen=seen: seen + np.abs(p["emb"][i]).sum())],
            **hyper_of("nesterov"),
            **keywords,
        )
        found.append((list(opt.iterate(BATCHES, ALL, max_epochs=2, validate_every=1)), float(seen)))
    for mine, other in zip(found[0][0], found[1][0], strict=True):
        assert mine[0] == pytest.approx(other[0], rel=1e-11)
        assert mine[1] == pytest.approx(other[1], rel=1e-11)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-11)


def test_touches_gets_what_the_loss_gets():
    asked = []

    def touches(indices):
        asked.append(indices)
        return {"emb": indices}

    opt = fa.ADAGRAD(pull(), {"emb": start().astype(F8)}, inputs=["i"], **hyper_of("nesterov"))
    opt.minimize([{"i": batch[0], "j": 0} for batch in BATCHES], [{"i": ALL[0][0]}], max_epochs=2, touches=touches)
    assert len(asked) >= 2 * len(BATCHES)
    np.testing.assert_array_equal(asked[0], BATCHES[0][0])


@pytest.mark.parametrize(
    ("touches", "error", "message"),
    [
        ("emb", TypeError, "touches"),
        (["emb"], TypeError, "touches"),
        (lambda indices: {"nobody": indices}, (KeyError, TypeError, ValueError), "nobody"),
        (lambda indices: indices, TypeError, "touches"),
        (lambda indices: {"emb": indices + ROWS}, IndexError, "emb"),
        (lambda indices: {"emb": indices - ROWS}, IndexError, "emb"),
        (lambda indices: {"emb": indices * 1.0}, TypeError, "emb"),
        (lambda indices: {"emb": indices[:, None]}, ValueError, "emb"),
    ],
)
def test_a_bad_touches(touches, error, message):
    opt = fa.ADAGRAD(pull(), {"emb": start().astype(F8)}, **hyper_of("nesterov"))
    with pytest.raises(error, match=message):
        opt.minimize(BATCHES, ALL, max_epochs=1, touches=touches)
    assert opt.steps == 0
    assert opt.params["emb"].tobytes() == start().astype(F8).tobytes()


def test_leaving_and_going_on(tmp_path):
    """Hyperparameters for a run only, a break in its midst, a file, and steps from outside."""
    lazy, full = (fa.ADAGRAD(pull(), {"emb": start().astype(F8)}, learning_rate=0.05) for _ in range(2))
    for opt, keywords in ((lazy, {"touches": lambda i: {"emb": i}}), (full, {"lazy": "dense"})):
        for i, _ in enumerate(opt.iterate(BATCHES, ALL, max_epochs=9, momentum=0.9, validate_every=1, **keywords)):
            if i == 2:
                opt.save(tmp_path / "file")
                break
        with pytest.warns(UserWarning, match="momentum was 0.9 and is 0.0"):  # it was the run's alone
            opt.load(tmp_path / "file", resume=False)
    go_on(lazy, full, 0, 50)
    for opt, keywords in ((lazy, {"touches": lambda i: {"emb": i}}), (full, {"lazy": "dense"})):
        opt.minimize(BATCHES, ALL, max_epochs=2, l1=0.05, **keywords)
    assert_current(lazy, full, 1e-11)
