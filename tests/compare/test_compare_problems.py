"""Problems: their gradients, what a seed changes, and how they are found by name."""

import gzip
import math

import numpy as np
import pytest
from places import A9A

import fastadagrad as fa
from fastadagrad.compare import Problem, Task
from fastadagrad.compare.problems import NAMED, as_problems, problem_named, task_of
from fastadagrad.compare.running import check_start
from fastadagrad.compare.text import NEGATIVES, pairs_of, sentences_of

SVM = "\n".join(f"{1 if k % 3 else -1} {1 + k % 4}:{k % 5 + 1} 5:{k % 2 + 0.5}" for k in range(40))


@pytest.fixture
def svm(tmp_path):
    path = tmp_path / "forty.svm.gz"
    path.write_bytes(gzip.compress(SVM.encode()))
    return str(path)


def as_dict(params):
    return params if isinstance(params, dict) else {"": params}


def dense(gradient, like):
    if not isinstance(gradient, fa.Rows):
        return gradient
    table = np.zeros(like.shape)
    np.add.at(table, gradient.indices, gradient.values)
    return table


def check_gradient(task):
    """Along random directions, in float64."""
    data = task.training(0)
    batch = () if data is None else next(iter(data))
    rng = np.random.default_rng(3)
    single = not isinstance(task.params, dict)
    at = {name: np.asarray(x, np.float64) for name, x in as_dict(task.params).items()}
    at = {name: x + 0.1 * rng.standard_normal(x.shape) for name, x in at.items()}

    def value(params):
        return task.loss(params[""] if single else params, *batch)

    gradients = as_dict(value(at)[1])
    assert gradients.keys() == at.keys()
    for name in at:
        direction = rng.standard_normal(at[name].shape)
        slope = (dense(gradients[name], at[name]) * direction).sum()
        h = 1e-5
        up, down = ({**at, name: at[name] + sign * h * direction} for sign in (1, -1))
        assert slope == pytest.approx((value(up)[0] - value(down)[0]) / (2 * h), rel=2e-6, abs=1e-9)


@pytest.mark.parametrize("name", NAMED)
def test_gradients(name):
    if name.startswith("digits"):
        pytest.importorskip("sklearn")
    check_gradient(task_of(problem_named(name), 1))


def test_gradients_of_a_file(svm):
    check_gradient(task_of(problem_named(svm), 1))


def start_loss(task, scale):
    params = {name: scale * x for name, x in task.params.items()}
    return fa.SGD(task.loss, params).evaluate(task.validation())["loss"]


def test_values_that_are_known(svm):
    pytest.importorskip("sklearn")
    for spec, expected in (("digits-softmax", np.log(10)), (svm, np.log(2)), ("text", (1 + NEGATIVES) * np.log(2))):
        assert start_loss(task_of(problem_named(spec), 0), 0) == pytest.approx(expected, rel=1e-6)
    valley = task_of(problem_named("rosenbrock100"), 0)
    assert valley.loss(np.ones(100))[0] == 0
    assert valley.loss(np.array([-1.2, 1.0]))[0] == pytest.approx(24.2)
    for name in ("quadratic:1e6", "quadratic-rotated:1e6"):
        loss = task_of(problem_named(name), 0).loss
        hessian = np.array([loss(unit)[1] for unit in np.eye(50)])
        eigenvalues = np.linalg.eigvalsh(hessian)
        assert eigenvalues[-1] / eigenvalues[0] == pytest.approx(1e6, rel=1e-6)
        assert np.count_nonzero(abs(hessian) > 1e-9) == (50 if name == "quadratic:1e6" else 2500)


@pytest.mark.parametrize("name", NAMED)
def test_a_seed_changes_start_and_order_but_not_the_data(name):
    if name.startswith("digits"):
        pytest.importorskip("sklearn")
    problem = problem_named(name)
    first, again, other = (task_of(problem, seed) for seed in (0, 0, 1))
    for key, x in as_dict(first.params).items():
        assert np.array_equal(x, as_dict(again.params)[key])
        assert not np.array_equal(x, as_dict(other.params)[key]) or "bias" in key
    if first.train is not None:
        assert all(np.array_equal(a, b) for a, b in zip(first.train, other.train, strict=True))
        batches = [next(iter(first.training(seed)))[-1] for seed in (0, 0, 1)]
        assert np.array_equal(batches[0], batches[1])
        assert not np.array_equal(batches[0], batches[2])


def test_held_out_samples_are_not_trained_on(svm):
    task = task_of(problem_named(svm), 0)
    assert (task.train[0].shape, task.valid[0].shape) == ((32, 5), (8, 5))
    every = np.concatenate([task.train[1], task.valid[1]])
    assert sorted(every) == sorted(1.0 if k % 3 else -1.0 for k in range(40))


@pytest.mark.skipif(not A9A.exists(), reason="a9a is not in ../shared/data")
def test_a9a():
    problem = problem_named(str(A9A))
    task = task_of(problem, 0)
    assert (problem.name, problem.convex) == ("a9a.train", True)
    assert (task.train[0].shape, task.valid[0].shape) == ((26049, 123), (6512, 123))


def test_words_near_one_another_are_pairs(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("The red. the RED fish\n\nred 7 \u00e9t\u00e9")
    assert sentences_of(str(path)) == [["the", "red", "the", "red", "fish"], [], ["red", "\u00e9t\u00e9"]]
    pairs, counts = pairs_of([["a", "b", "a"], ["c"]])
    assert sorted(map(tuple, pairs.tolist())) == [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0)]
    assert counts.tolist() == [2, 1, 1]
    path.write_text("many words are here for a small text of one line " * 3)
    problem = problem_named(f"text:{path}")
    assert problem.name == "some"
    task_of(problem, 0)
    path.write_text("few words")
    with pytest.raises(ValueError, match="2 pairs of neighbouring words; expected at least"):
        task_of(problem_named(f"text:{path}"), 0)
    path.write_bytes(b"one line\ncaf\xe9")
    with pytest.raises(ValueError, match=r"some\.txt, line 2: is no text in UTF-8, for its byte 0xe9"):
        task_of(problem_named(f"text:{path}"), 0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rosenbrok", "did you mean 'rosenbrock'"),
        ("sonnet", "expected rosenbrock, "),
        ("rosenbrock:3", "takes no argument"),
        ("quadratic:0.5", "at least 1, not '0.5'"),
        ("quadratic:many", "at least 1, not 'many'"),
        ("nowhere_to_be_found:x", "no module 'nowhere_to_be_found'"),
        ("math:nothing", "module 'math' has no 'nothing'"),
    ],
)
def test_names_that_mean_nothing(spec, message):
    with pytest.raises(ValueError, match=message):
        problem_named(spec)


def test_files_that_will_not_do(tmp_path):
    with pytest.raises(FileNotFoundError):
        problem_named(str(tmp_path / "missing.svm"))
    path = tmp_path / "three.svm"
    path.write_text("\n".join(f"{k % 3} 1:1" for k in range(30)))
    with pytest.raises(ValueError, match=r"three\.svm: y has 3 classes: hinge takes two; use softmax"):
        task_of(problem_named(f"hinge:{path}"), 0)
    path.write_text("1 1:1\n-1 1:2\n")
    with pytest.raises(ValueError, match="has 2 examples"):
        task_of(problem_named(str(path)), 0)


def bowl(seed):
    return Task(params=np.ones(2), loss=lambda w: (w @ w, 2 * w))


def test_problems_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "bowls_of_mine.py").write_text(
        "from fastadagrad.compare import Problem\nfrom test_compare_problems import bowl\n"
        "problem = Problem('round', bowl)\n"
        "number = 3\nwrong = float\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    by_name, by_function = as_problems(["bowls_of_mine:problem", "bowls_of_mine:bowl"])
    assert (by_name.name, by_name.origin) == ("round", "bowls_of_mine:problem")
    assert by_function.name == "bowl"
    assert by_name.identity == by_function.identity != ""
    with pytest.raises(TypeError, match=r"must be a fastadagrad\.compare\.Problem, or a callable .* not int"):
        problem_named("bowls_of_mine:number")
    with pytest.raises(
        TypeError, match=r"problem 'wrong' must make a fastadagrad\.compare\.Task for a seed, not float"
    ):
        task_of(problem_named("bowls_of_mine:wrong"), 0)


def test_arguments_that_make_no_sense():
    with pytest.raises(ValueError, match="expected at least one"):
        as_problems([])
    with pytest.raises(ValueError, match="two called 'bowl'"):
        as_problems([Problem("bowl", bowl), Problem("bowl", bowl)])
    with pytest.raises(TypeError, match="not int"):
        as_problems([3])
    for error, wrong in ((ValueError, {"epochs": 0}), (TypeError, {"epochs": 2.5}), (TypeError, {"updates": True})):
        made = Task(params=np.ones(2), loss=None, **wrong)
        with pytest.raises(error, match=r"problem 'bad': .* must be a whole number of at least 1"):
            task_of(Problem("bad", lambda seed, made=made: made), 0)


def test_a_plane_is_one_of_two_parameters_without_data():
    for plane in ((0, 1, 2), (0, 1, 1, 0), (0, 1, 0, math.inf), ("0", 1, 0, 1), 3):
        with pytest.raises(
            ValueError, match="problem 'round': plane must be four numbers, x from, x to, y from and y to"
        ):
            task_of(Problem("round", bowl, plane=plane), 0)
    plane = (-1.0, 1.0, -1.0, 1.0)
    assert task_of(Problem("round", bowl, plane=plane), 0)
    for more in ({"params": np.ones(3)}, {"params": [np.ones(2)]}, {"train": [np.ones(2)]}):
        task = Task(**{"params": np.ones(2), "loss": None, **more})
        with pytest.raises(ValueError, match="problem 'round': plane is for a task without data"):
            task_of(Problem("round", lambda seed, task=task: task, plane=plane), 0)


def test_a_make_and_a_score_that_are_none():
    with pytest.raises(TypeError, match=r"problem 'bad': make must be callable as make\(seed\), not 3"):
        task_of(Problem("bad", 3), 0)
    task = Task(params=np.ones(2), loss=lambda w: (w @ w, 2 * w), score=lambda w: None)
    with pytest.raises(TypeError, match="score must return a number, not None"):
        check_start("bad", task)
