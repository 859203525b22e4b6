"""Streams that can be read once only."""

import pytest
from streamed import LABELS, PLAIN, K, N, X, equal, from_stdin, text_of

import fastadagrad as fa
from fastadagrad.data.tables import Table
from fastadagrad.linear import LinearModel

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("buffer", [500, 1 << 22])
def test_what_can_be_read_once_only_is_trained_on_as_it_comes(monkeypatch, text_file, loss, buffer, buffer_of):
    buffer_of(buffer)
    from_stdin(monkeypatch, text_of(LABELS[loss]))
    model = LinearModel(loss, hash_bits=8, max_epochs=1, shuffle=False).fit(fa.Stream("-", hash_bits=8))
    twice = LinearModel(loss, hash_bits=8, max_epochs=1, shuffle=False).fit(fa.Stream(text_file(loss), hash_bits=8))
    assert len(model.history) == 1
    if buffer > N * K:  # all was there when the scales were measured
        equal(model, twice)
    else:
        assert model.history[0]["loss"] < 1.1 * twice.history[0]["loss"]


def test_running_scales_of_dense_features(monkeypatch, tmp_path, buffer_of):
    buffer_of(1500)
    rows = "\n".join(",".join(map(str, [*row, label])) for row, label in zip(X, LABELS["logistic"], strict=True))
    from_stdin(monkeypatch, f"{','.join(f'x{j}' for j in range(K))},y\n{rows}\n")
    model = LinearModel().fit(fa.Stream("-", target="y"))
    found = model.evaluate(Table(X, LABELS["logistic"], feature_names=tuple(f"x{j}" for j in range(K))))
    assert (
        found["loss"]
        < 1.15 * LinearModel(max_epochs=1, **PLAIN).fit(X, LABELS["logistic"]).evaluate(X, LABELS["logistic"])["loss"]
    )


def test_a_class_that_comes_late_is_to_be_named(monkeypatch, buffer_of):
    buffer_of(500)
    text = text_of(LABELS["logistic"]) + "2 1:1\n"
    from_stdin(monkeypatch, text)
    with pytest.raises(ValueError, match=r"has the label 2\.0, and the classes are 0\.0, 1\.0: .*--classes"):
        LinearModel().fit(fa.Stream("-"))
    from_stdin(monkeypatch, text)
    model = LinearModel().fit(fa.Stream("-", classes=["0", "1", "2"]))
    assert model.classes_.tolist() == [0, 1, 2]
