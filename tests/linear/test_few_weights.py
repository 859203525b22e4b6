"""Models with a few weights of many: sparse rows are scored without an array of all of them."""

import copy
import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from fastadagrad.data import memory_at_hand
from fastadagrad.data.tables import CSR
from fastadagrad.linear import LinearModel, few_weights, saved
from fastadagrad.linear.few_weights import FewWeights
from fastadagrad.support import array_file

RNG = np.random.default_rng(0)
LABELS = {"logistic": RNG.random(60) > 0.5, "softmax": np.array(["a", "b", "c"])[np.arange(60) % 3]}


def trained(loss, width=20_000, **options):
    rows, columns = np.repeat(np.arange(60), 3), RNG.choice(width, 40)[RNG.integers(0, 40, 180)]
    matrix = scipy.sparse.csr_array((RNG.normal(size=180), (rows, columns)), (60, width))
    return LinearModel(loss, max_epochs=2, **options).fit(matrix, LABELS[loss]), matrix


def loaded(model, monkeypatch, **changed):
    """The model from a file, whose weights are not made an array even though it would be small."""
    monkeypatch.setattr(saved, "LITTLE", 0)
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    found = LinearModel.load(file, **changed)
    assert isinstance(found._weights, FewWeights)
    return found


def other_rows(width):
    """Rows with columns of which few have weights, and one without any."""
    matrix = scipy.sparse.random_array((200, width), density=0.002, rng=RNG).tocsr()
    matrix.data -= 0.5
    matrix.data[: matrix.indptr[1]] = 0
    return matrix


@pytest.mark.parametrize("loss", LABELS)
def test_scores_have_the_same_bits_and_no_array_of_all_weights_is_made(monkeypatch, loss):
    model, matrix = trained(loss)
    few = loaded(model, monkeypatch)
    monkeypatch.setattr(FewWeights, "dense", lambda self: pytest.fail("an array of all weights is made"))
    for rows in (matrix, other_rows(20_000), other_rows(300), other_rows(30_000), matrix[:0], matrix[:1]):
        if rows.shape[1] > 20_000:
            rows = CSR(rows.data, rows.indices, rows.indptr, rows.shape)
        np.testing.assert_array_equal(few.decision_function(rows), model.decision_function(rows))
    assert few.predict(matrix).tolist() == model.predict(matrix).tolist()
    assert few.evaluate(matrix, LABELS[loss]) == model.evaluate(matrix, LABELS[loss])
    assert (few.n_features, few.nonzero_weights) == (20_000, np.count_nonzero(model.coef_))
    again = loaded(few, monkeypatch)
    assert again.nonzero_weights == few.nonzero_weights


@pytest.mark.parametrize("loss", LABELS)
def test_the_array_is_made_when_it_is_asked_for(monkeypatch, loss):
    model, matrix = trained(loss)
    few = loaded(model, monkeypatch)
    np.testing.assert_array_equal(few.coef_, model.coef_)
    assert few.coef_ is few.coef_
    few.coef_[:] = 0
    assert few.nonzero_weights == 0
    np.testing.assert_array_equal(few.decision_function(matrix)[0], few.intercept_)
    dense = loaded(model, monkeypatch)
    rows = matrix.toarray()
    np.testing.assert_array_equal(dense.decision_function(rows), model.decision_function(rows))


def test_copies_are_models_too(monkeypatch):
    model, matrix = trained("logistic")
    for other in (copy.deepcopy(loaded(model, monkeypatch)), pickle.loads(pickle.dumps(loaded(model, monkeypatch)))):
        np.testing.assert_array_equal(other.decision_function(matrix), model.decision_function(matrix))


def test_what_training_has_kept_is_read_when_it_goes_on(monkeypatch):
    model, matrix = trained("logistic", warm_start=True)
    few = loaded(model, monkeypatch)
    assert few.goes_on
    file = io.BytesIO()
    few.save(file)
    assert not isinstance(vars(few)["_state"], type(model._state))  # still as in the file
    file.seek(0)
    expected = model.fit(matrix, LABELS["logistic"])
    for other in (few, LinearModel.load(file)):
        other.fit(matrix, LABELS["logistic"])
        np.testing.assert_array_equal(other.coef_, expected.coef_)


def test_a_model_that_is_not_trained_has_no_weights():
    model = LinearModel()
    assert not hasattr(model, "coef_")
    for name in ("n_features", "nonzero_weights"):
        with pytest.raises(RuntimeError, match="has not been trained"):
            getattr(model, name)


def test_an_array_for_which_memory_lacks_is_refused(monkeypatch):
    model, matrix = trained("logistic")
    few = loaded(model, monkeypatch)
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: 100_000)
    with pytest.raises(ValueError, match=r"of shape \(20000,\), takes 160 kB, and 100 kB are at hand: predict from"):
        few.coef_  # noqa: B018
    assert few.predict(matrix).shape == (60,)


def test_few_enough_features_have_an_array_at_once():
    model, _ = trained("logistic")
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    with np.load(file) as arrays:
        assert "coef_positions" in arrays
    file.seek(0)
    assert not isinstance(LinearModel.load(file)._weights, FewWeights)
    assert few_weights.FewWeights is FewWeights


PREDICT = """
from fastadagrad.cli import main
status = main(["predict", "model.npz", "rows.svm", "--output", "out.txt", "--quiet"])
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss has the parent's, too
print(status, int(most.split()[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells what a process has needed so")
@pytest.mark.parametrize("state", [False, True])
def test_the_memory_of_predict_goes_by_the_weights_that_are_not_0(tmp_path, state):
    """591,432 weights of 100 million columns: 800 MB, and 1.6 GB more of a state, if there were a number for each."""
    width, count = 100_000_000, 591_432
    model = LinearModel(learning_rate=0.1, warm_start=state, max_epochs=1)
    matrix = scipy.sparse.csr_array(([1.0, -1.0], ([0, 1], [0, 1])), (2, 2))
    model.fit(matrix, [0, 1]).save(tmp_path / "small.npz")
    header, arrays = array_file.read(tmp_path / "small.npz", saved.KIND)
    positions = np.unique(RNG.integers(0, width, 2 * count))[:count].astype(np.uint32)
    arrays |= {"coef_values": RNG.normal(size=count), "coef_positions": positions, "coef_shape": np.array([width])}
    del arrays["coef"]
    if state:
        header["state"]["features"] = width
        arrays["state/rows"] = positions.astype(np.int64)
        for name in ("weights", "slot0", "size", "mean0"):
            if f"state/{name}" in arrays:
                arrays[f"state/{name}"] = np.ones(count, arrays[f"state/{name}"].dtype)
    array_file.write(tmp_path / "model.npz", saved.KIND, header, arrays)
    columns = np.where(RNG.random((20_000, 30)) < 0.5, positions[RNG.integers(0, count, (20_000, 30))], 0)
    columns = np.where(columns == 0, RNG.integers(0, width, columns.shape), columns).astype(np.int64)
    lines = (" ".join(f"{j + 1}:1" for j in np.unique(row).tolist()) for row in columns)
    (tmp_path / "rows.svm").write_text("\n".join(lines) + "\n")
    how = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
    for _ in range(2):  # the first compiles what is not in the cache yet, which takes memory, too
        done = subprocess.run([sys.executable, "-c", PREDICT], check=True, **how)
        status, megabytes = map(int, done.stdout.split())
        assert status == 0, done.stderr
    assert megabytes < 400
    weight_of = dict(zip(positions.tolist(), arrays["coef_values"].tolist(), strict=True))
    scores = [sum(weight_of.get(j, 0.0) for j in np.unique(row).tolist()) for row in columns[:200]]
    labels = [str(int(score + arrays["intercept"] > 0)) for score in scores]
    assert (tmp_path / "out.txt").read_text().split()[:200] == labels
