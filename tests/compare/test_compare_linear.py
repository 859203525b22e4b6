"""Linear models of files and of named data sets, with every loss: against scikit-learn and NumPy."""

import numpy as np
import pytest
from test_compare_problems import check_gradient

pytest.importorskip("sklearn")
pytest.importorskip("scipy")
from scipy import special
from sklearn import datasets, metrics

from fastadagrad.compare.linear_losses import examples
from fastadagrad.compare.models import split
from fastadagrad.compare.named_sources import source_named
from fastadagrad.compare.problems import problem_named, task_of
from fastadagrad.data.loading import BUILT_IN
from fastadagrad.kernels.linear.losses import LOSSES

KINDS = {"breast_cancer": "logistic", "diabetes": "squared", "digits": "softmax", "iris": "softmax", "wine": "softmax"}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """Sparse examples whose labels are counts, which every loss of numbers takes."""
    path = tmp_path_factory.mktemp("c") / "counts.svm"
    rows = ((RNG.poisson(2), RNG.choice(30, 4, replace=False)) for _ in range(60))
    path.write_text("\n".join(f"{y} {' '.join(f'{j + 1}:{RNG.random():.3f}' for j in sorted(js))}" for y, js in rows))
    return str(path)


def test_the_names_that_fit_knows():
    assert {*KINDS} == {*BUILT_IN}
    for name, loss in KINDS.items():
        problem = problem_named(name)
        assert (problem.name, problem.convex, problem.origin) == (name, True, name)
        assert task_of(problem, 0).score_name == ("R2" if loss == "squared" else "accuracy")
        assert examples(source_named(name), "", "auto").targets.loss == loss


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_every_loss(loss, counts):
    source = {"logistic": "breast_cancer", "hinge": "breast_cancer", "softmax": "iris"}.get(loss, counts)
    problem = problem_named(f"{loss}:{source}")
    assert problem.name == f"{'counts' if source == counts else source}-{loss}"
    check_gradient(task_of(problem, 1))


def scores_of(task, params):
    x, y = task.valid
    return x @ params["w"] + params["b"], y


@pytest.mark.parametrize("spec", ["breast_cancer", "hinge:breast_cancer", "iris", "diabetes"])
def test_losses_and_scores_are_those_of_others(spec):
    task = task_of(problem_named(spec), 3)
    params = {name: array + RNG.standard_normal(array.shape).astype(np.float32) for name, array in task.params.items()}
    scores, y = scores_of(task, params)
    value, _ = task.loss(params, *task.valid)
    name = spec.rpartition(":")[2]
    theirs = getattr(datasets, f"load_{name}")()
    _, held_out = split(len(theirs.target))
    if spec == "iris":
        classes = theirs.target[held_out]
        expected = metrics.log_loss(classes, special.softmax(scores.astype(float), axis=1), labels=[0, 1, 2])
        score = metrics.accuracy_score(classes, scores.argmax(axis=1))
    elif spec == "diabetes":
        expected, score = metrics.mean_squared_error(y, scores) / 2, metrics.r2_score(y, scores)
        assert np.corrcoef(y, theirs.target[held_out])[0, 1] == pytest.approx(1)
    else:
        classes = 2 * theirs.target[held_out] - 1
        assert np.array_equal(y, classes)
        by = metrics.hinge_loss if spec.startswith("hinge") else lambda y, z: metrics.log_loss(y, special.expit(z))
        expected, score = (
            by(classes, scores.astype(float)),
            metrics.accuracy_score(classes, np.where(scores > 0, 1, -1)),
        )
    assert value == pytest.approx(expected, rel=1e-6)
    assert task.score(params, *task.valid) == pytest.approx(score, rel=1e-6)


def test_dense_features_are_standardised_by_the_samples_to_train_on():
    theirs = datasets.load_wine()
    train, held_out = split(len(theirs.target))
    task = task_of(problem_named("wine"), 0)
    middle, spread = theirs.data[train].mean(axis=0), theirs.data[train].std(axis=0)
    np.testing.assert_allclose(task.valid[0], (theirs.data[held_out] - middle) / spread, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(task.valid[1], theirs.target[held_out])
    assert abs(task.train[0].mean(axis=0)).max() < 1e-5


def test_quantiles_and_counts_have_no_score(counts):
    for loss in ("quantile", "poisson"):
        assert task_of(problem_named(f"{loss}:{counts}"), 0).score is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("softmax:", "problem 'softmax:' lacks a file or a data set, one of breast_cancer"),
        ("poisson:diabetes:x", "No such file"),
        ("wines", "did you mean 'wine'"),
    ],
)
def test_names_that_mean_nothing(spec, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        problem_named(spec)


def test_a_loss_that_does_not_suit_the_labels():
    for spec, message in [
        ("logistic:iris", "iris: y has 3 classes: logistic takes two"),
        ("poisson:breast_cancer", None),
    ]:
        problem = problem_named(spec)
        if message is None:
            task_of(problem, 0)
            continue
        with pytest.raises(ValueError, match=message):
            task_of(problem, 0)


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """The same 40 rows with a column of labels as CSV, as Parquet, and as arrays in a .npz file."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder, x = tmp_path_factory.mktemp("houses"), RNG.standard_normal((40, 2)).round(3)
    columns = {"size": x[:, 0], "age": x[:, 1], "price": (x @ [2.0, -1.0]).round(3)}
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    (folder / "houses.csv").write_text("\n".join([",".join(columns), *rows]))
    parquet.write_table(pyarrow.table(columns), folder / "houses.parquet")
    np.savez(folder / "houses.npz", X=x, price=columns["price"])
    return folder


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_a_column_of_labels_is_named_behind_its_file(houses, suffix):
    problem = problem_named(f"huber:{houses / 'houses'}.{suffix}:price")
    assert problem.name == "houses-price-huber"
    task, (train, _) = task_of(problem, 0), split(40)
    x, price = (np.load(houses / "houses.npz")[name] for name in ("X", "price"))
    np.testing.assert_allclose(task.train[0], (x[train] - x[train].mean(0)) / x[train].std(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(task.train[1], (price[train] - price[train].mean()) / price[train].std(), rtol=1e-5)


def test_a_file_whose_column_of_labels_is_not_named(houses):
    path = houses / "houses.csv"
    with pytest.raises(
        ValueError, match=r"which column .* as in .*houses\.csv:COLUMN; there are 'size', 'age', 'price'"
    ):
        task_of(problem_named(str(path)), 0)
    with pytest.raises(ValueError, match=r"houses\.csv.*'cost'"):
        task_of(problem_named(f"{path}:cost"), 0)
    with pytest.raises(FileNotFoundError):
        problem_named(f"{houses / 'flats.csv'}:price")


def test_a_missing_number_is_told_with_a_mend_that_a_comparison_has(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "some.csv"
    path.write_text("a,b,label\n1,2,0\n2,,1\n")
    said = (
        r"row 1 .*, column 'b': is missing: fill it in the file, or leave the row out; a Stream and `fit` also fill it"
    )
    with pytest.raises(ValueError, match=said):
        task_of(problem_named(f"{path}:label"), 0)
