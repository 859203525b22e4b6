"""Contenders that are not of this library: classes of the user's, and methods of torch, optax and SciPy."""

import gc
import math
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("scipy")
from scipy import optimize

import fastadagrad as fa
from fastadagrad.compare import Problem, Task, compare
from fastadagrad.compare.contenders import as_contenders, contender_named
from fastadagrad.compare.costs import costs_of
from fastadagrad.compare.grid import Cell
from fastadagrad.compare.outside import Outside
from fastadagrad.compare.running import lazy_for, run

RNG = np.random.default_rng(0)
X, TRUTH = RNG.standard_normal((48, 3)), np.array([1.0, -2.0, 3.0])
Y = X @ TRUTH + 0.1 * RNG.standard_normal(48)


class Descent:
    """Gradient descent with momentum, as a user may write it."""

    def __init__(self, params, learning_rate, momentum=0.0):
        self.params, self.learning_rate, self.momentum = params, learning_rate, momentum
        self.velocity = [np.zeros_like(p) for p in params]

    def step(self, gradients):
        for p, v, g in zip(self.params, self.velocity, gradients, strict=True):
            v *= self.momentum
            v -= self.learning_rate * g
            p += v


class RateFree:
    def __init__(self, params):
        self.params = params

    def step(self, gradients):
        for p, g in zip(self.params, gradients, strict=True):
            p -= 0.01 * g


class Useless:
    pass


INSTANCE = RateFree([])


def squares(p, x, y):
    error = x @ p["w"] + p["b"] - y
    return error @ error / len(y), {"w": 2 * error @ x / len(y), "b": 2 * error.sum(keepdims=True) / len(y)}


LEAVING = """
import numpy as np
from fastadagrad.compare import Task

class Leaving:
    def __init__(self, params, learning_rate):
        pass

    def step(self, gradients):
        raise SystemExit(3)

def bowl(seed):
    return Task(params=np.ones(2), loss=lambda w: (float(w @ w), 2 * w), updates=2, epochs=2)

def at_start(seed):
    def loss(w):
        raise SystemExit(4)
    return Task(params=np.ones(2), loss=loss)

def making(seed):
    raise SystemExit(5)
"""


def regression(seed, dtype=np.float64):
    start = np.random.default_rng(seed)
    params = {"w": start.standard_normal(3).astype(dtype), "b": np.zeros(1, dtype)}
    data = {
        "train": (X[:40].astype(dtype), Y[:40].astype(dtype)),
        "valid": (X[40:].astype(dtype), Y[40:].astype(dtype)),
    }
    return Task(params=params, loss=squares, batch_size=7, epochs=4, **data)


def table(seed):
    def loss(w, i):
        rows = w[i]
        return float((rows**2).mean()), fa.Rows(i, 2 * rows / rows.size)

    return Task(params=np.ones((6, 2)), loss=loss, train=(np.arange(6) // 2,), batch_size=3)


def ran(spec, rate, seed=0, task=None, epochs=4):
    method = contender_named(spec)
    task = regression(seed) if task is None else task
    return run(Cell("p", "", method.label, seed, rate, epochs), task, method, lazy_for(task, method))


@pytest.fixture
def mine(monkeypatch):
    monkeypatch.setitem(sys.modules, "descents", sys.modules[__name__])
    return "descents:Descent"


@pytest.mark.parametrize(("theirs", "ours"), [("", "sgd"), (":momentum=0.9", "sgd:momentum=0.9")])
def test_a_class_of_the_users_runs_as_the_methods_here(mine, theirs, ours):
    one, other = ran(mine + theirs, 0.05, seed=2), ran(ours, 0.05, seed=2)
    assert one.valid == pytest.approx(other.valid, rel=1e-12)
    assert one.train == pytest.approx(other.train, rel=1e-12)
    assert (one.steps_an_epoch, one.failed) == (other.steps_an_epoch, "")


def test_a_class_of_the_users_itself(tmp_path):
    pytest.importorskip("pyarrow")
    found = compare(
        Problem("regression", regression, convex=True),
        [Descent, RateFree, "sgd"],
        rates="0.01:0.1:2",
        seeds=2,
        jobs=0,
        out=tmp_path,
        report=False,
        extend=False,
    )
    assert [line.method for line in found.lines] == ["Descent", "RateFree", "sgd"]
    assert [line.rate_free for line in found.lines] == [False, True, False]
    assert found.lines[0].finals == pytest.approx(found.lines[2].finals, rel=1e-12)
    assert found.lines[0].cost.bytes is None
    assert found.lines[0].cost.low <= found.lines[0].cost.microseconds <= found.lines[0].cost.high
    assert found.plan.described()["methods"]["Descent"]["method"].endswith(":Descent")
    assert "Descent" in str(found)


def test_it_gets_dense_gradients_of_rows(mine):
    one, other = ran(mine, 0.1, task=table(0), epochs=2), ran("sgd", 0.1, task=table(0), epochs=2)
    assert one.valid == pytest.approx(other.valid, rel=1e-12)


def test_a_class_that_raises_fails_and_one_that_overflows_diverges(monkeypatch):
    monkeypatch.setattr(Descent, "step", lambda self, gradients: [][0])
    assert ran(Descent, 0.1).failed == "IndexError: list index out of range"
    monkeypatch.setattr(Descent, "step", lambda self, gradients: [p - g for p, g in zip(self.params, gradients)])  # noqa: B905
    assert "it must update those that it was made with in place" in ran(Descent, 0.1).failed
    monkeypatch.undo()
    far = ran(Descent, 1e200)
    assert (far.failed, far.diverged) == ("", 1)


def test_a_class_that_makes_new_arrays_is_told_so():
    class Rebinding(Descent):
        def step(self, gradients):
            self.params = [p - self.learning_rate * g for p, g in zip(self.params, gradients, strict=True)]

    class Replacing(Descent):
        def step(self, gradients):
            for i, gradient in enumerate(gradients):
                self.params[i] = self.params[i] - self.learning_rate * gradient

    class Late(Descent):
        def step(self, gradients):
            if gradients[0].any() and not hasattr(self, "first"):
                self.first = gradients
            else:
                super().step(gradients)

    for made in (Rebinding, Replacing):
        found = ran(made, 0.1)
        assert found.failed.startswith("TypeError: step has not changed the parameters: it must write into the arrays")
        assert found.valid[-1] == math.inf
        assert ran(made, 0.1, epochs=1).valid[1:] == (math.inf,)
    assert ran(Late, 0.1).failed == ""

    def flat(seed):
        return Task(params=np.ones(2), loss=lambda w: (1.0, 0 * w), epochs=2)

    assert ran(Rebinding, 0.1, task=flat(0)).failed == ""  # nothing was to be changed


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_class_that_exits_ends_its_runs_alone(tmp_path, monkeypatch, jobs):
    pytest.importorskip("pyarrow")
    (tmp_path / "leaving.py").write_text(LEAVING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)  # as the folder that comes first in the processes may be an unpacked sdist
    given = {"rates": "0.01:0.1:2", "seeds": 1, "jobs": jobs, "report": False}
    found = compare("leaving:bowl", ["leaving:Leaving", "sgd"], out=tmp_path / "out", **given)
    leaving, sgd = found.lines
    assert (leaving.failed, leaving.failures) == (2, ("SystemExit: 3",))
    assert (sgd.failed, math.isfinite(sgd.loss)) == (0, True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leaving:at_start", r"problem 'at_start' calls for an exit \(SystemExit: 4\)"),
        ("leaving:making", r"problem 'making' calls for an exit \(SystemExit: 5\)"),
        ("leaving_at_once:bowl", r"problem 'leaving_at_once:bowl': module 'leaving_at_once' calls for an exit"),
    ],
)
def test_a_problem_that_exits_before_there_are_runs_is_told(tmp_path, monkeypatch, name, said):
    (tmp_path / "leaving.py").write_text(LEAVING)
    (tmp_path / "leaving_at_once.py").write_text("raise SystemExit(6)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=said):
        compare(name, "sgd", out=tmp_path / "out", jobs=0, report=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [None, KeyError("word")])
def test_its_first_step_is_made_before_runs_are_timed(error):
    steps = []

    class Slow(Descent):
        def step(self, gradients):
            steps.append(gradients)
            if error is not None:
                raise error
            super().step(gradients)

    assert lazy_for(regression(0), contender_named(Slow)) == "dense"
    assert len(steps) == 1
    assert ran(Slow, 0.1).failed == ("" if error is None else "KeyError: 'word'")


def test_names_and_options(mine):
    made = contender_named(f"{mine}:momentum=0.9")
    assert (made.label, dict(made.options), made.rate_free) == (f"{mine}:momentum=0.9", {"momentum": 0.9}, False)
    fixed = contender_named(f"{mine}:learning_rate=0.1")
    assert fixed.rate_free
    assert ran(f"{mine}:learning_rate=0.1", None).valid == ran(mine, 0.1).valid
    assert made.identity
    assert made.unlike_paper == ()
    for wrong, error, message in [
        ("descents:Useless", TypeError, "must be a class with a method step"),
        ("descents:INSTANCE", TypeError, "must be a class with a method step"),
        ("descents:Nothing", ValueError, "module 'descents' has no 'Nothing'"),
        ("no_such_module_here:Method", ValueError, "there is no module 'no_such_module_here'"),
        ("adagard:Method", ValueError, "did you mean 'adagrad'"),
        (f"{mine}:momentom=0.9", TypeError, "did you mean 'momentum'"),
        (f"{mine}:momentum", ValueError, "expected option=value"),
        ("torch:", ValueError, "lacks a name behind the colon"),
        (":Method", ValueError, "there is no method ''"),
        ("scipy:Nelder-Mead", ValueError, "expected one that goes by gradients: L-BFGS-B"),
    ]:
        with pytest.raises(error, match=message):
            contender_named(wrong)
    with pytest.raises(TypeError, match=r"must be a class with a method step\(gradients\), not .*Useless"):
        contender_named(Useless)
    with pytest.raises(ValueError, match="two called 'Descent'"):
        as_contenders([Descent, type("Descent", (Descent,), {})])


@pytest.mark.parametrize("framework", ["torch", "optax"])
def test_what_is_not_installed_is_said(framework, monkeypatch):
    monkeypatch.setitem(sys.modules, framework, None)
    monkeypatch.setitem(sys.modules, f"{framework}.optim", None)
    with pytest.raises(
        RuntimeError, match=rf'method .{framework}:adam. needs {framework}: pip install "fastadagrad\[{framework}\]"'
    ):
        contender_named(f"{framework}:adam")


@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "CG", "TNC", "SLSQP"])
def test_scipy_finds_what_it_finds_alone(method):
    """An evaluation of all samples is an epoch."""
    task = regression(1)
    found = ran(f"scipy:{method}", None, seed=1, epochs=60)
    start = np.concatenate([task.params["w"], task.params["b"]])
    seen = []

    def loss(v):
        value, gradients = squares({"w": v[:3], "b": v[3:]}, X[:40], Y[:40])
        seen.append(value)
        return value, np.concatenate([gradients["w"], gradients["b"]])

    alone = optimize.minimize(loss, start, jac=True, method=method)
    held_out = squares({"w": alone.x[:3], "b": alone.x[3:]}, X[40:], Y[40:])[0]
    assert found.failed == ""
    assert found.final == pytest.approx(held_out, rel=1e-4)
    lowest = np.minimum.accumulate(seen)
    n = min(len(lowest), 4)  # later ones differ by rounding that grows: our sums are made batch by batch
    assert found.train[1 : n + 1] == pytest.approx(lowest[:n], rel=1e-6)
    assert found.valid[0] != found.valid[2]


def test_scipy_without_data_has_as_many_evaluations_as_the_others_have_updates():
    seen = []

    def loss(w):
        seen.append(w.copy())
        return float(w @ (w * [1.0, 0.1])), 2 * w * [1.0, 0.1]

    task = Task(params=np.ones(2), loss=loss, updates=3, epochs=2, best=0.0)
    found = ran("scipy:L-BFGS-B", None, task=task, epochs=2)
    assert found.failed == ""
    distinct = {tuple(w) for w in seen}
    assert len(distinct) <= 1 + 2 * 3 + 2  # those of the budget; none beyond
    assert found.final < found.valid[0]
    assert contender_named("scipy:l-bfgs-b").rate_free


def test_scipys_threads_end_with_what_they_train():
    for _ in range(3):
        ran("scipy:BFGS", None, epochs=1)
    gc.collect()
    left = [
        thread for thread in threading.enumerate() if thread.name.startswith("Thread") and "_minimize" in thread.name
    ]
    for thread in left:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left)


def test_a_loss_that_raises_fails_in_scipy_too():
    def loss(w):
        if w[0] != 1:
            raise KeyError("word")
        return float(w @ w), 2 * w

    found = ran("scipy:L-BFGS-B", None, task=Task(params=np.ones(2), loss=loss, updates=5, best=0.0))
    assert found.failed == "KeyError: 'word'"
    found = ran("scipy:L-BFGS-B:maxls=-1", None)
    assert found.failed.startswith("ValueError")


def test_costs_of_others(mine):
    costs = costs_of(regression(0), as_contenders([mine, "sgd", "scipy:BFGS"]))
    assert {*costs} == {mine, "sgd"}
    assert costs[mine].bytes is None


def test_start_values_are_set_again():
    params = np.ones(3)
    made = Outside(lambda w: (w @ w, 2 * w), params, lambda arrays: (Descent(arrays, 0.1).step, lambda: None))
    made.step([np.ones(3)])
    assert params.tolist() == [0.9] * 3
    made.restart()
    assert params.tolist() == [1.0] * 3


TORCH = [
    ("torch:SGD:momentum=0.9", "sgd:momentum=0.9"),
    ("torch:Adagrad:eps=1e-8", "adagrad"),
    ("torch:Adam", "adam:paper"),
]
OPTAX = [
    ("optax:sgd:momentum=0.9", "sgd:momentum=0.9"),
    ("optax:adagrad:initial_accumulator_value=0.1,eps=1e-8", "adagrad:initial_accumulator_value=0.1,epsilon_inside=1"),
    ("optax:adam", "adam:paper"),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("theirs", "ours"), TORCH + OPTAX)
def test_methods_of_other_libraries_are_those_here(theirs, ours, dtype):
    """So that what differs in a comparison is what the libraries differ in, and nothing around them."""
    pytest.importorskip(theirs.partition(":")[0])
    one = ran(theirs, 0.05, task=regression(2, dtype), seed=2)
    other = ran(ours, 0.05, task=regression(2, dtype), seed=2)
    assert one.failed == ""
    tolerance = 2e-4 if dtype == np.float32 else 1e-5  # beta2_halflife is rounded, and e stands elsewhere
    assert one.valid == pytest.approx(other.valid, rel=tolerance)
    assert math.isfinite(one.final)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torch:Adagard", "did you mean 'Adagrad'"),
        ("torch:LBFGS", "use scipy:L-BFGS-B"),
        ("torch:SparseAdam", "use torch:Adam"),
        ("torch:Adam:bets=3", "did you mean 'betas'|unknown option 'bets'"),
        ("optax:adagard", "did you mean 'adagrad'"),
    ],
)
def test_names_of_other_libraries_that_mean_nothing(spec, message):
    pytest.importorskip(spec.partition(":")[0])
    with pytest.raises((TypeError, ValueError), match=message):
        contender_named(spec)


def test_methods_of_other_libraries_without_a_rate():
    pytest.importorskip("optax")
    method = contender_named("optax:contrib.dog:learning_rate=1")
    assert method.rate_free
    assert ran(method.label, None).failed == ""


def test_bytes_of_state_of_other_libraries():
    pytest.importorskip("torch")
    costs = costs_of(regression(0), as_contenders(["torch:Adam", "adam"]))
    assert costs["torch:Adam"].bytes == costs["adam"].bytes == 16
