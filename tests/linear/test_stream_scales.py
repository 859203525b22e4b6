"""How features of streams are scaled: as in memory, and by running scales where a stream is read once only."""

import numpy as np
import pytest
from streamed import PLAIN, RNG, SCORE, K, N, X, from_stdin, lines_of

import fastadagrad as fa
from fastadagrad.data.loading import load
from fastadagrad.linear import LinearModel
from fastadagrad.linear.running import rescale
from fastadagrad.linear.scaling import Scaling, measure, moments
from fastadagrad.linear.survey import moments_of
from fastadagrad.linear.targets import Targets
from fastadagrad.linear.training import Scorer, Trainer, as_examples

pytestmark = pytest.mark.usefixtures("small_blocks")


def rows_stored(share, unit):
    rng = np.random.default_rng(2)
    rows = np.where(rng.random((900, 24)) < share, rng.uniform(0.1, 3, (900, 24)) + 5, 0)
    rows[40:50] = 0
    rows[:, 23] = np.where(np.arange(900) > 800, rows[:, 23], 0)  # a column that comes late
    rows[:, 22] = 1.1  # a constant one
    if unit:
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


KINDS = {"full": (0.8, False), "half": (0.3, False), "texts": (0.1, True), "full of length 1": (0.8, True)}


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_sparse_streams_are_scaled_as_in_memory(tmp_path, kind, intercept):
    rows = rows_stored(*KINDS[kind])
    (tmp_path / "rows.svm").write_text(lines_of(rows))
    options = {"shuffle": False, "max_epochs": 2, "dtype": "float64", "intercept": intercept, **PLAIN}
    table, model = load(tmp_path / "rows.svm", dtype=None), LinearModel(**options)
    whole, streamed = (
        LinearModel(**options).fit(table, valid=table),
        model.fit(fa.Stream(tmp_path / "rows.svm"), valid=table),
    )
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(streamed.intercept_, whole.intercept_, rtol=1e-9, atol=1e-12)
    scale = model._state.scaling
    assert (scale.shift is not None) == kind.startswith("full")
    assert (scale.size is None) == (kind == "texts")
    goes_on = model.partial_fit(fa.Stream(tmp_path / "rows.svm"))
    assert goes_on.history[-1]["loss"] < goes_on.history[0]["loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_how_sparse_rows_are_scaled_is_found_of_the_first_buffer(monkeypatch, kind, buffer_of):
    """A stream that is read once only stays with it."""
    buffer_of(1500)
    rows = rows_stored(*KINDS[kind])
    from_stdin(monkeypatch, lines_of(np.concatenate([rows[:800], np.tile(rows[850:], (20, 1))])))
    model = LinearModel("logistic").fit(fa.Stream("-", n_features=24))
    assert (model._state.scaling.shift is not None) == kind.startswith("full")
    assert model.coef_.shape == (24,)
    assert np.isfinite(model.coef_).all()
    assert model.history[0]["loss"] < 0.69


def test_a_few_full_rows_are_no_dense_data(tmp_path):
    rows = np.zeros((400, 200))
    rows[:300] = RNG.normal(size=(300, 200))
    rows[300:, [0, 199]] = 1.5
    (tmp_path / "rows.svm").write_text(lines_of(rows))
    model = LinearModel().fit(fa.Stream(tmp_path / "rows.svm"))
    assert model._state.scaling.shift is None  # as a block of the last rows is nearly empty


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("weighed", [True, False])
def test_moments_of_blocks_together_are_those_of_the_whole(centre, weighed):
    data = np.column_stack([X, np.full(N, 0.1), X[:, 0] * 1e200, X[:, 1] + 1e6])
    weights = RNG.random(N) if weighed else None
    found = None
    for rows in np.array_split(np.arange(N), 7):
        part = moments_of(data[rows], centre, None if weights is None else weights[rows])
        found = part if found is None else found.with_(part)
    mean, size = moments(data, centre, weights)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.size, size, rtol=1e-9)
    if centre:
        assert found.size[K] == 0  # a constant column stays one


def test_other_scales_leave_weights_and_the_score_of_the_mean_as_they_are():
    old = measure("standard", X[:100], True)
    new = measure("standard", X, True)
    settings = LinearModel()._settings
    chosen = Targets("squared")
    make = {"features": K, "targets": chosen, "batch_size": 1, "lazy": "exact", "intercept": True}
    trainer = Trainer(as_examples(old.apply(X, np.float64), SCORE), settings, **make)
    trainer.train(np.arange(N))
    before, squares = trainer.parameters[0].copy(), trainer.trained.weights.slots[0].copy()
    mean = as_examples(old.apply(new.shift[None], np.float64), SCORE[:1])
    score = Scorer(chosen).scores(mean, *trainer.parameters)
    rescale(trainer, old, new)
    np.testing.assert_array_equal(trainer.parameters[0], before)
    mean = as_examples(new.apply(new.shift[None], np.float64), SCORE[:1])
    np.testing.assert_allclose(Scorer(chosen).scores(mean, *trainer.parameters), score, rtol=1e-9)
    np.testing.assert_allclose(trainer.trained.weights.slots[0], squares * (old.size / new.size) ** 2, rtol=1e-9)
    rescale(trainer, Scaling(None, None), Scaling(None, None))


@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_running_scales_are_as_good_as_those_of_a_pass_before(monkeypatch, tmp_path, buffer_of, rate):
    """Weights of rare columns, whose first values are smaller than later ones, do not grow with the scales."""
    buffer_of(4000)
    rng, columns = np.random.default_rng(0), 3000
    weights, lines = rng.standard_normal(columns), []
    for _ in range(6000):
        used = np.unique((columns ** rng.random(12)).astype(int))
        values = rng.random(used.size).round(3) + 0.001
        label = weights[used] @ values + rng.standard_normal() > 0
        lines.append(f"{label:d} " + " ".join(f"{j}:{value:.3f}" for j, value in zip(used, values, strict=True)) + "\n")
    (tmp_path / "train.svm").write_text("".join(lines[:5000]))
    (tmp_path / "test.svm").write_text("".join(lines[5000:]))
    options, test = {"learning_rate": rate, "max_epochs": 1, "scale": "maxabs"}, load(tmp_path / "test.svm", dtype=None)
    twice = LinearModel(**options).fit(fa.Stream(tmp_path / "train.svm", n_features=columns)).evaluate(test)["loss"]
    from_stdin(monkeypatch, "".join(lines[:5000]))
    once = LinearModel(**options).fit(fa.Stream("-", n_features=columns)).evaluate(test)["loss"]
    assert once < 1.03 * twice < 0.65
