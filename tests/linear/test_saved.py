import io
import re

import numpy as np
import pytest
import scipy.sparse

from fastadagrad.linear import LinearModel
from fastadagrad.support import array_file

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
LABELS = {
    "logistic": X[:, 0] > 0,
    "softmax": np.array(["a", "b", "c"])[np.arange(60) % 3],
    "squared": X[:, 0],
}


def damaged(tmp_path, loss, header, arrays):
    """A file with some of its parts replaced, or left out where the replacement is None."""
    path = tmp_path / "model"
    LinearModel(loss, max_epochs=1).fit(X, LABELS[loss]).save(path)
    kept_header, kept_arrays = array_file.read(path, "linear model")
    new_header, new_arrays = {**kept_header, **header}, {**kept_arrays, **arrays}
    array_file.write(
        path,
        "linear model",
        {name: value for name, value in new_header.items() if value is not Ellipsis},
        {name: value for name, value in new_arrays.items() if value is not None},
    )
    return path


HEADERS = [
    *(
        {name: ...}
        for name in ("parameters", "loss", "centre", "history", "feature_names", "zero_based", "learning_rate")
    ),
    {"parameters": {"learningrate": 1}},
    {"parameters": {"learning_rate": -1}},
    {"parameters": {"learning_rate": "x"}},
    {"parameters": 3},
    {"loss": "hinges"},
    {"loss": "softmax"},
    {"loss": "squared"},
    {"loss": ["logistic"]},
    {"centre": "0"},
    {"centre": float("nan")},
    {"spread": 0},
    {"history": 3},
    {"history": [3]},
    {"best_epoch": 2},
    {"best_epoch": "1"},
    {"stopped_because": 1},
    {"feature_names": ["a"]},
    {"feature_names": "abc"},
    {"feature_names": [1, 2, 3]},
    {"zero_based": "auto"},
    {"learning_rate": "auto"},
    {"learning_rate": -1.0},
    {"surprise": 1},
    {"zero_based": 1},
    {"spread": True},
    *({name: 10**400} for name in ("centre", "spread", "learning_rate", "best_epoch")),
    {"history": [{"loss": 10**400}]},
    *({"parameters": {name: 10**400}} for name in ("learning_rate", "validation", "patience", "batch_size")),
]
ARRAYS = [
    ("logistic", {"coef": None}),
    ("logistic", {"intercept": None}),
    ("logistic", {"classes": None}),
    ("logistic", {"coef": np.zeros(())}),
    ("logistic", {"coef": np.zeros((3, 2))}),
    ("logistic", {"coef": np.zeros(3, np.float32)}),
    ("logistic", {"coef": np.array(["a", "b", "c"])}),
    ("logistic", {"coef": np.full(3, np.nan)}),
    ("logistic", {"intercept": np.zeros(1)}),
    ("logistic", {"intercept": np.array(np.inf)}),
    ("logistic", {"classes": np.arange(3)}),
    ("logistic", {"classes": np.array([1, 0])}),
    ("logistic", {"classes": np.array([1, 1])}),
    ("logistic", {"classes": np.zeros((2, 1))}),
    ("logistic", {"classes": np.array([0, 1], complex)}),
    ("softmax", {"classes": np.arange(2)}),
    ("softmax", {"intercept": np.zeros(2)}),
    ("softmax", {"coef": np.zeros(3)}),
    ("squared", {"classes": np.arange(2)}),
]


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_a_damaged_header_is_refused(tmp_path, header):
    path = damaged(tmp_path, "logistic", header, {})
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is a damaged fastadagrad linear model file: "):
        LinearModel.load(path)


@pytest.mark.parametrize(("loss", "arrays"), ARRAYS)
def test_arrays_that_do_not_fit_are_refused(tmp_path, loss, arrays):
    path = damaged(tmp_path, loss, {}, arrays)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is a damaged fastadagrad linear model file: "):
        LinearModel.load(path)


def test_a_header_that_is_no_object_is_refused(tmp_path):
    array_file.write(tmp_path / "model", "linear model", [1], {})
    with pytest.raises(ValueError, match="its header is no object"):
        LinearModel.load(tmp_path / "model")


@pytest.mark.parametrize("loss", LABELS)
def test_what_is_whole_is_read(tmp_path, loss):
    assert LinearModel.load(damaged(tmp_path, loss, {}, {})).loss == loss


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_classes_that_were_kept_as_bytes_are_text(tmp_path, loss):
    names = ["bé", "ham", "spam"][: 2 if loss == "logistic" else 3]
    old = np.array([each.encode() for each in names])
    model = LinearModel.load(damaged(tmp_path, loss, {}, {"classes": old}))
    assert model.classes_.tolist() == names
    assert set(model.predict(X).tolist()) <= set(names)


def wide(loss, width, y, **options):
    """A model trained on a few of many columns."""
    rng = np.random.default_rng(1)
    rows, columns = np.repeat(np.arange(60), 3), rng.choice(width, 40)[rng.integers(0, 40, 180)]
    matrix = scipy.sparse.csr_array((rng.normal(size=180), (rows, columns)), (60, width))
    return LinearModel(loss, max_epochs=2, **options).fit(matrix, y), matrix


def written(model):
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    return file


@pytest.mark.parametrize("loss", LABELS)
def test_only_weights_that_are_not_0_are_stored(loss):
    model, matrix = wide(loss, 200_000, LABELS[loss])
    model.coef_.reshape(-1)[5] = -0.0
    some = np.count_nonzero(model.coef_)
    file = written(model)
    assert len(file.getvalue()) < 5000 + 12 * (some + 1)
    with np.load(file) as arrays:
        assert arrays["coef_values"].size == some + 1
        shape, positions = arrays["coef_shape"], arrays["coef_positions"]
        coef = np.zeros(shape)
        coef.flat[positions] = arrays["coef_values"]
    file.seek(0)
    loaded = LinearModel.load(file)
    for found in (coef, loaded.coef_):
        np.testing.assert_array_equal(found.view(np.uint64), model.coef_.view(np.uint64))
    np.testing.assert_array_equal(loaded.decision_function(matrix), model.decision_function(matrix))
    assert len(written(loaded).getvalue()) == len(file.getvalue())


@pytest.mark.parametrize(("width", "method"), [(3, "adagrad"), (8000, "adagrad"), (9000, "ftrl")])
def test_all_weights_are_stored_under_their_name_where_they_are_few_or_not_0(width, method):
    if method == "adagrad":
        model, _ = wide("squared", width, LABELS["squared"])
    else:
        y = np.random.default_rng(2).normal(size=60)
        model = LinearModel("squared", method=method).fit(np.random.default_rng(3).normal(size=(60, width)), y)
    with np.load(written(model)) as arrays:
        np.testing.assert_array_equal(arrays["coef"], model.coef_)
        np.testing.assert_array_equal(arrays["intercept"], model.intercept_)


@pytest.mark.parametrize(
    "arrays",
    [
        {"coef_positions": None},
        {"coef_shape": None},
        {"coef_shape": np.array([3, 3, 3])},
        {"coef_shape": np.array([-3])},
        {"coef_shape": np.array([3.0])},
        {"coef_shape": np.array([2])},
        {"coef_shape": np.array([3, 2])},
        {"coef_values": np.array([1.0])},
        {"coef_values": np.array([1.0, np.inf])},
        {"coef_values": np.array([1.0, 2.0], np.float32)},
        {"coef_values": np.ones((2, 1))},
        {"coef_positions": np.array([2, 0], np.uint32)},
        {"coef_positions": np.array([2, 2], np.uint32)},
        {"coef_positions": np.array([-1, 2])},
        {"coef_positions": np.array([0.0, 2.0])},
    ],
    ids=str,
)
def test_weights_that_do_not_fit_together_are_refused(tmp_path, arrays):
    sound = {
        "coef": None,
        "coef_values": np.array([1.0, 2.0]),
        "coef_positions": np.array([0, 2], np.uint32),
        "coef_shape": np.array([3]),
    }
    assert LinearModel.load(damaged(tmp_path, "logistic", {}, sound)).coef_.tolist() == [1, 0, 2]
    path = damaged(tmp_path, "logistic", {}, sound | arrays)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is a damaged fastadagrad linear model file: "):
        LinearModel.load(path)


def test_more_features_than_a_model_can_have_are_refused(tmp_path):
    shape = np.array([2**45])
    few = {"coef": None, "coef_values": np.zeros(0), "coef_positions": np.zeros(0, np.uint32), "coef_shape": shape}
    with pytest.raises(ValueError, match=r"coef_shape is \[35184372088832\], and no model has more than 2147483648"):
        LinearModel.load(damaged(tmp_path, "logistic", {}, few))
