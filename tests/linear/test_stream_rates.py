"""Learning rates of models that are trained on streams, which trials on some of the rows find."""

import numpy as np
import pytest
from streamed import LABELS, K, N, X, equal, from_stdin, text_of

import fastadagrad as fa
from fastadagrad.data.loading import load
from fastadagrad.linear import LinearModel, stream_preparation, stream_rates
from fastadagrad.linear.rate_trials import make_folds

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared"])
@pytest.mark.parametrize("options", [{}, {"method": "sgd", "learning_rate": "auto"}, {"average": False}], ids=str)
def test_a_rate_is_that_of_a_fit_in_memory_where_trials_have_all_rows(text_file, loss, options):
    path, options = text_file(loss), {"loss": loss, "max_epochs": 2, "scale": "maxabs", "dtype": "float64", **options}
    whole = LinearModel(**options).fit(load(path, dtype=None))
    streamed = LinearModel(**options).fit(fa.Stream(path))
    if loss == "squared":  # labels are scaled by moments that are added up in another order
        assert streamed.learning_rate_ == pytest.approx(whole.learning_rate_, rel=2.5)
    else:
        assert streamed.learning_rate_ == whole.learning_rate_
    equal(LinearModel(**{**options, "learning_rate": streamed.learning_rate_}).fit(fa.Stream(path)), streamed)


def test_trials_have_bounded_samples_and_bits_that_no_thread_changes(text_file, monkeypatch):
    sizes = []

    def watched(rows, *rest):
        sizes.append(len(rows.labels))
        return make_folds(rows, *rest)

    monkeypatch.setattr(stream_rates, "make_folds", watched)
    monkeypatch.setattr(stream_preparation, "MOST_EXAMPLES", 500)
    models = [LinearModel(max_epochs=2).fit(fa.Stream(text_file("logistic"), threads=n)) for n in (0, 3)]
    assert sizes == [500, 500]
    equal(*models)
    assert models[0].learning_rate_ == models[1].learning_rate_


def test_what_is_read_once_only_has_trials_on_its_first_rows(monkeypatch, buffer_of):
    buffer_of(1500)
    sizes = []

    def watched(rows, *rest):
        sizes.append(len(rows.labels))
        return make_folds(rows, *rest)

    monkeypatch.setattr(stream_rates, "make_folds", watched)
    from_stdin(monkeypatch, text_of(LABELS["logistic"]))
    model = LinearModel().fit(fa.Stream("-", n_features=K))
    assert 300 < sizes[0] < 700
    assert len(model.history) == 1
    assert model.evaluate(X, LABELS["logistic"])["loss"] < 0.3


def test_with_a_rate_there_are_no_trials(text_file, monkeypatch):
    monkeypatch.setattr(stream_rates, "search", lambda *rest, **more: pytest.fail("rates are tried"))
    stream = fa.Stream(text_file("logistic"))
    assert LinearModel(learning_rate=0.2, max_epochs=1).fit(stream).learning_rate_ == 0.2
    assert LinearModel(method="sgd", max_epochs=1).fit(stream).learning_rate_ == 0.1
    assert LinearModel().partial_fit(stream).learning_rate_ == 0.1
    with pytest.raises(ValueError, match="give partial_fit a number"):
        LinearModel(learning_rate="auto").partial_fit(stream)


def test_a_rate_that_was_found_stays_when_training_goes_on(text_file, tmp_path):
    stream = fa.Stream(text_file("logistic"))
    LinearModel(max_epochs=1).fit(stream).save(tmp_path / "m")
    model = LinearModel.load(tmp_path / "m", warm_start=True)
    rate = model.learning_rate_
    assert rate != 0.1
    assert model.fit(stream).learning_rate_ == rate
    assert model.partial_fit(stream).learning_rate_ == rate


def test_a_single_row_has_no_rate(tmp_path):
    (tmp_path / "row.svm").write_text("1.5 1:2\n")
    assert LinearModel("squared").fit(fa.Stream(tmp_path / "row.svm")).learning_rate_ == 0.1
    with pytest.raises(ValueError, match="takes two examples or more, got 1"):
        LinearModel("squared", learning_rate="auto").fit(fa.Stream(tmp_path / "row.svm"))


def test_weights_of_rows_count_in_trials(parquet_file):
    heavy = np.where(np.arange(N) < N // 2, 3, 0)
    path = parquet_file("logistic", w=heavy)
    options = {"max_epochs": 2}
    streamed = LinearModel(**options).fit(fa.Stream(path, target="y", weight="w"))
    whole = LinearModel(**options).fit(X, LABELS["logistic"], sample_weight=heavy)
    assert streamed.learning_rate_ == whole.learning_rate_
