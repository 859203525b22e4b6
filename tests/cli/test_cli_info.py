"""What `info` tells of a model's file."""

import json
import os

import numpy as np
import pytest
import scipy.sparse
from command_line import run

from fastadagrad.linear import LinearModel


@pytest.fixture
def model(tmp_path):
    matrix = scipy.sparse.csr_array(([1.0, 2.0, 3.0], ([0, 1, 2], [5, 99_999, 7])), (3, 100_000))
    LinearModel("softmax", max_epochs=3).fit(matrix, ["a", "b", "c"]).save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


def test_it_counts_the_weights_that_are_not_0(capsys, model):
    status, out, _ = run(capsys, "info", model, "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["weights"], found["nonzero_weights"]) == (300_000, 9)
    assert found["nonzero_weights"] == np.count_nonzero(LinearModel.load(model).coef_)
    assert found["bytes"] == os.path.getsize(model) < 10_000
    assert (found["features"], found["classes"], found["loss"]) == (100_000, ["a", "b", "c"], "softmax")
    assert (found["epochs"], found["best_epoch"], found["stopped_because"]) == (3, 3, "max_epochs")
    assert "hash_bits" not in found


def test_it_is_read_by_people_too(capsys, model):
    lines = dict(line.split(maxsplit=1) for line in run(capsys, "info", model)[1].splitlines())
    assert lines["weights"] == "300,000"
    assert lines["classes"] == "a, b, c"


def test_many_classes_are_cut_short(capsys, tmp_path):
    y = np.arange(40) % 20
    LinearModel("softmax", max_epochs=1).fit(y[:, None], y).save(tmp_path / "model")
    assert "8, 9, ... (20)" in run(capsys, "info", tmp_path / "model")[1]


def test_what_is_no_model_is_refused(capsys, tmp_path):
    (tmp_path / "x").write_text("1 1:2")
    status, out, err = run(capsys, "info", tmp_path / "x")
    assert (status != 0, out) == (True, "")
    assert "is not a whole fastadagrad linear model file" in err
    assert run(capsys, "info", tmp_path / "none")[0] != 0
