"""Linear models trained on streams: the bits of a fit in memory, in the same order, on any number of threads."""

import io
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import fastadagrad as fa
from fastadagrad.data import stream_tables, stream_text
from fastadagrad.data.loading import load
from fastadagrad.data.tables import Table
from fastadagrad.kernels.linear.losses import LOSSES
from fastadagrad.linear import LinearModel, streams
from fastadagrad.linear.evaluation import MEANS, OF_SUMS, Evaluation
from fastadagrad.linear.monitors import MONITORS
from fastadagrad.linear.progressive import LabelsSeen, Progressive, least
from fastadagrad.linear.running import rescale
from fastadagrad.linear.scaling import Scaling, measure, moments
from fastadagrad.linear.survey import moments_of
from fastadagrad.linear.targets import Targets
from fastadagrad.linear.training import Scorer, Trainer, as_examples
from fastadagrad.support import array_file

RNG = np.random.default_rng(7)
N, K = 2400, 6
AS_STREAMED = {"learning_rate": 0.1, "average": False}  # by default other in memory, where all examples are at hand
X = np.where(RNG.random((N, K)) < 0.6, RNG.normal(size=(N, K)) * [1, 10, 0.1, 1, 1, 3], 0).round(4)
SCORE = X @ [1.0, -0.1, 5.0, 0.0, 0.5, 0.2] + 0.3 * RNG.normal(size=N)
LABELS = {
    "logistic": (SCORE > 0).astype(int),
    "hinge": np.where(SCORE > 0, 1, -1),
    "softmax": np.digitize(SCORE, [-1, 1]),
    "squared": (3 * SCORE + 7).round(3),
    "poisson": np.floor(np.abs(SCORE)),
    "quantile": SCORE.round(3),
    "huber": SCORE.round(3),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of some kilobytes, so that small files have many."""
    monkeypatch.setattr(stream_tables, "BATCH", 8 * K * 256)
    monkeypatch.setattr(stream_text, "BLOCK", 4000)


def text_of(labels, weights=None):
    lines = []
    for row, label in zip(X, labels, strict=True):
        lines.append(f"{label} " + " ".join(f"{j + 1}:{x}" for j, x in enumerate(row) if x))
    return "\n".join(lines) + "\n"


@pytest.fixture
def text_file(tmp_path):
    def make(loss):
        path = tmp_path / f"{loss}.svm"
        path.write_text(text_of(LABELS[loss]))
        return path

    return make


@pytest.fixture
def parquet_file(tmp_path):
    def make(loss, **more):
        path = tmp_path / f"{loss}.parquet"
        columns = {f"x{j}": X[:, j] for j in range(K)}
        pa.parquet.write_table(pa.table({**columns, **more, "y": LABELS[loss]}), path, row_group_size=500)
        return path

    return make


def test_all_losses_are_tried():
    assert set(LABELS) == set(LOSSES)


def equal(one, other):
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_array_equal(one.intercept_, other.intercept_)


@pytest.mark.parametrize("loss", ["logistic", "hinge", "softmax"])
@pytest.mark.parametrize(
    "options",
    [{"scale": "maxabs"}, {"scale": "maxabs", "batch_size": 7}, {"scale": "none", "dtype": "float64"}],
    ids=str,
)
def test_a_sparse_stream_in_its_own_order_is_the_fit_in_memory(text_file, loss, options, monkeypatch):
    path, options = text_file(loss), {"loss": loss, "shuffle": False, "max_epochs": 3, **AS_STREAMED, **options}
    if "batch_size" not in options:  # a batch ends with its buffer
        monkeypatch.setattr(streams.fit_stream, "__kwdefaults__", {**streams.fit_stream.__kwdefaults__, "buffer": 999})
    whole = LinearModel(**options).fit(load(path, dtype=None))
    streamed = LinearModel(**options).fit(fa.Stream(path))
    equal(whole, streamed)
    for name in AS_STREAMED:
        del options[name]
    equal(LinearModel(**options).fit(fa.Stream(path)), streamed)
    assert [e["loss"] for e in streamed.history] == pytest.approx([e["loss"] for e in whole.history], rel=1e-12)


@pytest.mark.parametrize("loss", LABELS)
def test_a_dense_stream_in_its_own_order_is_nearly_the_fit_in_memory(parquet_file, loss):
    path, options = parquet_file(loss), {"loss": loss, "shuffle": False, "max_epochs": 2, "dtype": "float64"}
    options |= AS_STREAMED
    whole = LinearModel(**options).fit(load(path, target="y", dtype=None))
    streamed = LinearModel(**options).fit(fa.Stream(path, target="y"))
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(streamed.intercept_, whole.intercept_, rtol=1e-9, atol=1e-12)
    assert [e["loss"] for e in streamed.history] == pytest.approx([e["loss"] for e in whole.history], rel=1e-9)
    assert streamed.feature_names == whole.feature_names == tuple(f"x{j}" for j in range(K))


def lines_of(rows):
    """Text in svmlight's format of sparse rows, with labels that follow from their first column."""
    return "".join(
        f"{int(row[0] > 0.2)} " + " ".join(f"{j + 1}:{x!r}" for j, x in enumerate(row.tolist()) if x) + "\n"
        for row in rows
    )


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
    options = {"shuffle": False, "max_epochs": 2, "dtype": "float64", "intercept": intercept, **AS_STREAMED}
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
def test_how_sparse_rows_are_scaled_is_found_of_the_first_buffer(monkeypatch, kind):
    """A stream that is read once only stays with it."""
    monkeypatch.setattr(streams.fit_stream, "__kwdefaults__", {**streams.fit_stream.__kwdefaults__, "buffer": 1500})
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


@pytest.mark.parametrize("kind", ["text", "parquet"])
def test_bits_do_not_depend_on_threads_but_on_the_seed(text_file, parquet_file, kind, monkeypatch):
    monkeypatch.setattr(streams.fit_stream, "__kwdefaults__", {**streams.fit_stream.__kwdefaults__, "buffer": 2000})

    def fit(threads, seed=0):
        if kind == "text":
            stream = fa.Stream(text_file("logistic"), threads=threads)
        else:
            stream = fa.Stream(parquet_file("logistic"), target="y", threads=threads)
        return LinearModel(max_epochs=2, seed=seed).fit(stream)

    first = fit(0)
    for threads in (1, 2, 5):
        equal(fit(threads), first)
    assert not np.array_equal(fit(2, seed=1).coef_, first.coef_)


def test_a_sorted_file_is_mixed(tmp_path, monkeypatch):
    monkeypatch.setattr(streams.fit_stream, "__kwdefaults__", {**streams.fit_stream.__kwdefaults__, "buffer": 2000})
    order = np.argsort(LABELS["logistic"], kind="stable")
    lines = np.array(text_of(LABELS["logistic"]).splitlines())[order]
    path = tmp_path / "sorted.svm"
    path.write_text("\n".join(lines) + "\n")
    stream, table = fa.Stream(path), load(path, dtype=None)
    options = {"max_epochs": 3, "scale": "maxabs", **AS_STREAMED}
    mixed = LinearModel(**options).fit(stream).evaluate(table)["loss"]
    assert mixed < 1.05 * LinearModel(**options).fit(table).evaluate(table)["loss"]
    assert LinearModel(**options, shuffle=False).fit(stream).evaluate(table)["loss"] > 1.05 * mixed


def test_weights_in_text_are_heeded(tmp_path):
    weights = RNG.integers(0, 3, N)
    lines = text_of(LABELS["logistic"]).splitlines()
    path = tmp_path / "weighed.svm"
    labels, rest = zip(*(line.split(" ", 1) for line in lines), strict=True)
    path.write_text("".join(f"{float(a):+g}:{w} {b}\n" for a, w, b in zip(labels, weights, rest, strict=True)))
    options = {"shuffle": False, "max_epochs": 2, "dtype": "float64", **AS_STREAMED}
    whole, streamed = LinearModel(**options).fit(load(path, dtype=None)), LinearModel(**options).fit(fa.Stream(path))
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    (tmp_path / "plain.svm").write_text("\n".join(lines))
    plain = LinearModel(**options).fit(fa.Stream(tmp_path / "plain.svm"))
    assert not np.allclose(plain.coef_, whole.coef_, rtol=1e-3)


def test_columns_of_weights_are_heeded(parquet_file):
    weights = RNG.integers(0, 3, N)
    path, options = parquet_file("logistic", w=weights), {"shuffle": False, "max_epochs": 2, "dtype": "float64"}
    options |= AS_STREAMED
    streamed = LinearModel(**options).fit(fa.Stream(path, target="y", weight="w"))
    whole = LinearModel(**options).fit(X, LABELS["logistic"], sample_weight=weights)
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9)


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


class Told(list):
    """The rows and the entries that a fit tells of."""

    def __init__(self):
        self.rows = []

    __call__ = list.append

    def row(self, row):
        self.rows.append(row)


@pytest.mark.parametrize("loss", LABELS)
def test_progressive_rows_come_where_examples_double(text_file, loss):
    told = Told()
    model = LinearModel(loss, max_epochs=2, dtype="float64").fit(fa.Stream(text_file(loss)), progress=told)
    first = [row for row in told.rows if row.epoch == 1]
    assert [row.examples for row in first] == [*(2**i for i in range(12)), N]
    for before, row in pairwise(first):
        new = row.examples - before.examples
        assert row.loss * row.examples == pytest.approx(before.loss * before.examples + row.since * new, rel=1e-9)
    assert model.history == list(told)
    assert first[-1].loss == model.history[0]["loss"]
    constant = best_constant(loss)
    tolerance = 0.02 if loss in ("quantile", "huber") else 1e-9  # these are of a sample
    assert first[-1].constant_loss == model.history[0]["constant_loss"] == pytest.approx(constant, rel=tolerance)


def best_constant(loss):
    """The loss of the best constant, from the labels as given."""
    y = LABELS[loss].astype(float)
    if loss in ("logistic", "softmax"):
        shares = np.unique(y, return_counts=True)[1] / N
        return -(shares * np.log(shares)).sum()
    if loss == "hinge":
        return 2 * min((y > 0).mean(), (y < 0).mean())
    if loss == "squared":
        return y.var() / 2
    if loss == "poisson":
        return y.mean() - y.mean() * np.log(y.mean())
    if loss == "quantile":
        return 0.5 * np.abs(y - np.median(y)).mean()
    errors = y[:, None] - np.linspace(y.min(), y.max(), 2001)
    return np.where(np.abs(errors) <= 1, errors**2 / 2, np.abs(errors) - 0.5).mean(axis=0).min()


def test_the_least_value_of_a_convex_function():
    for at in (-20.0, 0.0, 0.3, 41.0):
        assert least(lambda x, at=at: abs(x - at) + 1.0) == pytest.approx(1.0, abs=1e-9)
    assert least(lambda x: np.exp(-x)) < 1e-20


def test_a_sample_of_labels_is_spread_over_all():
    seen = LabelsSeen(Targets("quantile", option=0.5))
    for part in np.array_split(np.arange(50_000.0), 91):
        seen.add(part, None)
    sample = np.array(seen._sample)
    assert 2000 <= len(sample) <= 4096
    assert np.ptp(np.diff(sample)) == 0
    assert seen.best_loss() == pytest.approx(12_500, rel=0.01)


def test_rescaling_leaves_scores_as_they_are():
    old = measure("standard", X[:100], True)
    new = measure("standard", X, True)
    settings = LinearModel()._settings
    chosen = Targets("squared")
    make = {"features": K, "targets": chosen, "batch_size": 1, "lazy": "exact", "intercept": True}
    examples = as_examples(old.apply(X, np.float64), SCORE)
    trainer = Trainer(examples, settings, **make)
    trainer.train(np.arange(N))
    before = Scorer(chosen).scores(examples, *trainer.parameters)
    squares = trainer.trained.weights.slots[0].copy()
    rescale(trainer, old, new)
    after = Scorer(chosen).scores(as_examples(new.apply(X, np.float64), SCORE), *trainer.parameters)
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(trainer.trained.weights.slots[0], squares * (old.size / new.size) ** 2, rtol=1e-9)
    rescale(trainer, Scaling(None, None), Scaling(None, None))


def from_stdin(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("buffer", [500, 1 << 22])
def test_what_can_be_read_once_only_is_trained_on_as_it_comes(monkeypatch, text_file, loss, buffer):
    monkeypatch.setattr(streams.fit_stream, "__kwdefaults__", {**streams.fit_stream.__kwdefaults__, "buffer": buffer})
    from_stdin(monkeypatch, text_of(LABELS[loss]))
    model = LinearModel(loss, hash_bits=8, max_epochs=1, shuffle=False).fit(fa.Stream("-", hash_bits=8))
    twice = LinearModel(loss, hash_bits=8, max_epochs=1, shuffle=False).fit(fa.Stream(text_file(loss), hash_bits=8))
    assert len(model.history) == 1
    if buffer > N * K:  # all was there when the scales were measured
        equal(model, twice)
    else:
        assert model.history[0]["loss"] < 1.1 * twice.history[0]["loss"]


def test_running_scales_of_dense_features(monkeypatch, tmp_path):
    monkeypatch.setattr(streams.fit_stream, "__kwdefaults__", {**streams.fit_stream.__kwdefaults__, "buffer": 1500})
    rows = "\n".join(",".join(map(str, [*row, label])) for row, label in zip(X, LABELS["logistic"], strict=True))
    from_stdin(monkeypatch, f"{','.join(f'x{j}' for j in range(K))},y\n{rows}\n")
    model = LinearModel().fit(fa.Stream("-", target="y"))
    found = model.evaluate(Table(X, LABELS["logistic"], feature_names=tuple(f"x{j}" for j in range(K))))
    assert (
        found["loss"]
        < 1.15
        * LinearModel(max_epochs=1, **AS_STREAMED).fit(X, LABELS["logistic"]).evaluate(X, LABELS["logistic"])["loss"]
    )


def test_a_class_that_comes_late_is_to_be_named(monkeypatch):
    monkeypatch.setattr(streams.fit_stream, "__kwdefaults__", {**streams.fit_stream.__kwdefaults__, "buffer": 500})
    text = text_of(LABELS["logistic"]) + "2 1:1\n"
    from_stdin(monkeypatch, text)
    with pytest.raises(ValueError, match=r"has the label 2\.0, and the classes are 0\.0, 1\.0: .*--classes"):
        LinearModel().fit(fa.Stream("-"))
    from_stdin(monkeypatch, text)
    model = LinearModel().fit(fa.Stream("-", classes=["0", "1", "2"]))
    assert model.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("loss", ["logistic", "squared", "softmax"])
@pytest.mark.parametrize("options", [{}, {"method": "adam", "lazy": "touched"}, {"scale": "none"}], ids=str)
def test_training_goes_on_from_a_file(text_file, tmp_path, loss, options):
    options = {"loss": loss, "shuffle": False, "warm_start": True, **options}
    stream = fa.Stream(text_file(loss))
    whole = LinearModel(max_epochs=3, **options).fit(stream)
    LinearModel(max_epochs=1, **options).fit(stream).save(tmp_path / "m")
    loaded = LinearModel.load(tmp_path / "m", max_epochs=2)
    assert loaded.goes_on
    equal(loaded.fit(stream), whole)
    again = LinearModel.load(tmp_path / "m").partial_fit(stream)
    again.save(tmp_path / "n")
    equal(LinearModel.load(tmp_path / "n").partial_fit(stream), whole)


@pytest.mark.parametrize("average", [True, 2])
def test_averages_go_on_from_a_file(tmp_path, average):
    options = {"average": average, "warm_start": True, "max_epochs": 2, "scale": "standard"}
    model = LinearModel(**options).fit(X, LABELS["logistic"])
    model.save(tmp_path / "m")
    loaded = LinearModel.load(tmp_path / "m")
    equal(loaded.fit(X, LABELS["logistic"]), model.fit(X, LABELS["logistic"]))


@pytest.mark.parametrize("what", ["rows", "slots", "steps", "shape", "means"])
def test_damaged_states_are_refused(tmp_path, text_file, what):
    LinearModel().fit(fa.Stream(text_file("logistic"))).save(tmp_path / "m")
    header, arrays = array_file.read(tmp_path / "m", "linear model")
    if what == "rows":
        arrays["state/rows"] = arrays["state/rows"] + 100
    elif what == "shape":
        arrays["state/intercept"] = np.zeros(3, np.float32)
    elif what == "steps":
        header["state"]["steps"] = "many"
    else:
        header["state"][what] = ["accumulator", "another"] if what == "slots" else [3]
    array_file.write(tmp_path / "m", "linear model", header, arrays)
    with pytest.raises(ValueError, match="is a damaged fastadagrad linear model file"):
        LinearModel.load(tmp_path / "m")


def test_blocks_by_hand_are_an_epoch(text_file):
    stream, options = fa.Stream(text_file("logistic")), {"loss": "logistic", "scale": "none", "shuffle": False}
    by_hand = LinearModel(**options)
    for table in fa.Stream(text_file("logistic"), n_features=K):
        wide = Table(table.features._replace(shape=(len(table.labels), K)), table.labels)
        by_hand.partial_fit(wide, classes=[0, 1])
    equal(by_hand, LinearModel(**options).partial_fit(stream))


def test_validation_keeps_the_best_epoch(text_file):
    stream, valid = fa.Stream(text_file("logistic")), load(text_file("logistic"), dtype=None)
    model = LinearModel(max_epochs=4).fit(stream, valid=valid)
    losses = [entry["valid_loss"] for entry in model.history]
    assert model.best_epoch == 1 + int(np.argmin(losses))
    assert model.evaluate(valid)["loss"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ({"learning_rate": "auto"}, {}, "learning_rate='auto' tries rates on all of the examples"),
        ({"average": True}, {}, "average is not made of a stream"),
        ({"validation": 0.1}, {}, "validation=0.1 cannot be set aside of a stream"),
        ({"hash_bits": 8}, {}, "has hash_bits=None, but the model has hash_bits=8"),
        ({"scale": "standard"}, {}, "would make a sparse X dense"),
        ({"loss": "hinge"}, {"y": [1]}, "y must be left out with a Stream"),
    ],
)
def test_what_has_no_meaning_for_a_stream_is_refused(text_file, model, more, message):
    with pytest.raises((ValueError, TypeError), match=message):
        LinearModel(**model).fit(fa.Stream(text_file("logistic")), **more)


def test_strings_make_the_model_hash(parquet_file):
    path = parquet_file("logistic", colour=np.array(["red", "blue"])[LABELS["logistic"]])
    stream = fa.Stream(path, target="y")
    model = LinearModel().fit(stream)
    assert model.hash_bits == 18
    found = [model.predict(table) for table in fa.Stream(path, target="y")]
    assert (np.concatenate(found) == LABELS["logistic"]).mean() > 0.99


def test_every_monitor_can_be_added_up():
    assert {*MEANS, *OF_SUMS} == {*MONITORS, "loss"}


@pytest.mark.parametrize("loss", LABELS)
def test_an_evaluation_of_blocks_is_that_of_the_whole(loss):
    model = LinearModel(loss, max_epochs=2).fit(X, LABELS[loss])
    scores, labels = model.decision_function(X), LABELS[loss].copy()
    if model.classes_ is not None:
        labels[[5, 700]] = 9
    evaluation = Evaluation(model)
    for rows in np.array_split(np.arange(N), 5):
        evaluation.add(scores[rows], labels[rows])
    assert evaluation.result() == pytest.approx(model.evaluation_of(scores, labels), rel=1e-9)


def test_stretches_end_where_rows_are_due():
    told = Told()
    progressive = Progressive(Targets("squared"), told.row)
    for n in (1, 2, 10, 3):
        for part in progressive.stretches(n):
            progressive.add(0.0, np.zeros(part.stop - part.start), None)
    progressive.finish()
    assert [row.examples for row in told.rows] == [1, 2, 4, 8, 16]
