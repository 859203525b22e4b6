"""Linear models trained on streams: the bits of a fit in memory, in the same order, on any number of threads."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from streamed import LABELS, PLAIN, RNG, K, N, X, equal, text_of

import fastadagrad as fa
from fastadagrad.data import memory_at_hand
from fastadagrad.data.loading import load
from fastadagrad.kernels.linear.losses import LOSSES
from fastadagrad.linear import LinearModel

pytestmark = pytest.mark.usefixtures("small_blocks")


def test_all_losses_are_tried():
    assert set(LABELS) == set(LOSSES)


@pytest.mark.parametrize("loss", ["logistic", "hinge", "softmax"])
@pytest.mark.parametrize(
    "options",
    [{"scale": "maxabs"}, {"scale": "maxabs", "batch_size": 7}, {"scale": "none", "dtype": "float64"}],
    ids=str,
)
def test_a_sparse_stream_in_its_own_order_is_the_fit_in_memory(text_file, loss, options, buffer_of):
    path, options = text_file(loss), {"loss": loss, "shuffle": False, "max_epochs": 3, **PLAIN, **options}
    if "batch_size" not in options:  # a batch ends with its buffer
        buffer_of(999)
    whole = LinearModel(**options).fit(load(path, dtype=None))
    streamed = LinearModel(**options).fit(fa.Stream(path))
    equal(whole, streamed)
    assert [e["loss"] for e in streamed.history] == pytest.approx([e["loss"] for e in whole.history], rel=1e-12)


@pytest.mark.parametrize("loss", LABELS)
def test_a_dense_stream_in_its_own_order_is_nearly_the_fit_in_memory(parquet_file, loss):
    path, options = parquet_file(loss), {"loss": loss, "shuffle": False, "max_epochs": 2, "dtype": "float64"}
    options |= PLAIN
    whole = LinearModel(**options).fit(load(path, target="y", dtype=None))
    streamed = LinearModel(**options).fit(fa.Stream(path, target="y"))
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(streamed.intercept_, whole.intercept_, rtol=1e-9, atol=1e-12)
    assert [e["loss"] for e in streamed.history] == pytest.approx([e["loss"] for e in whole.history], rel=1e-9)
    assert streamed.feature_names == whole.feature_names == tuple(f"x{j}" for j in range(K))


@pytest.mark.parametrize("kind", ["text", "parquet"])
def test_bits_do_not_depend_on_threads_but_on_the_seed(text_file, parquet_file, kind, buffer_of):
    buffer_of(2000)

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


def test_a_sorted_file_is_mixed(tmp_path, buffer_of):
    buffer_of(2000)
    order = np.argsort(LABELS["logistic"], kind="stable")
    lines = np.array(text_of(LABELS["logistic"]).splitlines())[order]
    path = tmp_path / "sorted.svm"
    path.write_text("\n".join(lines) + "\n")
    stream, table = fa.Stream(path), load(path, dtype=None)
    options = {"max_epochs": 3, "scale": "maxabs", **PLAIN}
    mixed = LinearModel(**options).fit(stream).evaluate(table)["loss"]
    assert mixed < 1.05 * LinearModel(**options).fit(table).evaluate(table)["loss"]
    assert LinearModel(**options, shuffle=False).fit(stream).evaluate(table)["loss"] > 1.05 * mixed


def test_weights_in_text_are_heeded(tmp_path):
    weights = RNG.integers(0, 3, N)
    lines = text_of(LABELS["logistic"]).splitlines()
    path = tmp_path / "weighed.svm"
    labels, rest = zip(*(line.split(" ", 1) for line in lines), strict=True)
    path.write_text("".join(f"{float(a):+g}:{w} {b}\n" for a, w, b in zip(labels, weights, rest, strict=True)))
    options = {"shuffle": False, "max_epochs": 2, "dtype": "float64", **PLAIN}
    whole, streamed = LinearModel(**options).fit(load(path, dtype=None)), LinearModel(**options).fit(fa.Stream(path))
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    (tmp_path / "plain.svm").write_text("\n".join(lines))
    plain = LinearModel(**options).fit(fa.Stream(tmp_path / "plain.svm"))
    assert not np.allclose(plain.coef_, whole.coef_, rtol=1e-3)


def test_columns_of_weights_are_heeded(parquet_file):
    weights = RNG.integers(0, 3, N)
    path, options = parquet_file("logistic", w=weights), {"shuffle": False, "max_epochs": 2, "dtype": "float64"}
    options |= PLAIN
    streamed = LinearModel(**options).fit(fa.Stream(path, target="y", weight="w"))
    whole = LinearModel(**options).fit(X, LABELS["logistic"], sample_weight=weights)
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9)


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ({"hash_bits": 8}, {}, "has hash_bits=None, but the model has hash_bits=8"),
        ({}, {"labelled": False}, "was opened with labelled=False, and training takes labels"),
        ({"scale": "standard"}, {}, "would make a sparse X dense"),
        ({"loss": "hinge"}, {"y": [1]}, "y must be left out with a Stream"),
    ],
)
def test_what_has_no_meaning_for_a_stream_is_refused(text_file, model, more, message):
    stream = fa.Stream(text_file("logistic"), labelled="labelled" not in more)
    with pytest.raises((ValueError, TypeError), match=message):
        LinearModel(**model).fit(stream, **({} if "labelled" in more else more))


def test_a_stream_without_a_column_of_labels_is_refused(parquet_file, tmp_path):
    stream = fa.Stream(parquet_file("logistic"), target="y")
    model = LinearModel(learning_rate=0.1, max_epochs=1, warm_start=True).fit(stream)
    pyarrow.parquet.write_table(pyarrow.table({f"x{j}": X[:, j] for j in range(K)}), tmp_path / "unlabelled.parquet")
    unlabelled = fa.Stream(tmp_path / "unlabelled.parquet", columns=model.columns_)
    assert [len(model.predict(block)) for block in unlabelled]
    with pytest.raises(ValueError, match="has no column of labels to train on: name the one that has"):
        model.fit(fa.Stream(tmp_path / "unlabelled.parquet", columns=model.columns_))


def test_strings_make_the_model_hash(parquet_file):
    path = parquet_file("logistic", colour=np.array(["red", "blue"])[LABELS["logistic"]])
    stream = fa.Stream(path, target="y")
    model = LinearModel().fit(stream)
    assert model.hash_bits == 18
    found = [model.predict(table) for table in fa.Stream(path, target="y")]
    assert (np.concatenate(found) == LABELS["logistic"]).mean() > 0.99


def test_more_hashed_columns_than_memory_has_room_for_are_refused(text_file, monkeypatch):
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: 10**8)
    with pytest.raises(ValueError, match=r"X has 2,147,483,648 columns: training takes 20 bytes for each, 42\.9 GB in"):
        LinearModel(hash_bits=31).fit(fa.Stream(text_file("logistic"), hash_bits=31))
    model = LinearModel(hash_bits=10, max_epochs=1).fit(fa.Stream(text_file("logistic"), hash_bits=10))
    assert model.n_features == 1024
