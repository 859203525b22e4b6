"""One run, what it costs, and processes."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.compare import Problem, Task
from fastadagrad.compare.contenders import Contender, as_contenders, contender_named, usual_contenders
from fastadagrad.compare.costs import costs_of
from fastadagrad.compare.grid import Cell
from fastadagrad.compare.pool import run_in_processes
from fastadagrad.compare.problems import problem_named, task_of
from fastadagrad.compare.running import check_start, lazy_for, run
from fastadagrad.compare.training import OwnTrainer
from fastadagrad.optimizer.methods import METHODS

RNG = np.random.default_rng(0)
X, TRUTH = RNG.standard_normal((50, 3)), np.array([1.0, -2.0, 3.0])
Y = X @ TRUTH + 0.1 * RNG.standard_normal(50)


def squares(w, x, y):
    error = x @ w - y
    return error @ error / len(y), 2 * error @ x / len(y)


def regression(seed):
    start = np.random.default_rng(seed).standard_normal(3)
    return Task(params=start, loss=squares, train=(X[:40], Y[:40]), valid=(X[40:], Y[40:]), batch_size=7, epochs=4)


def cell(method, rate, seed=0, epochs=4, problem="regression"):
    return Cell(problem, "", method, seed, rate, epochs)


def ran(spec, rate, seed=0, make=regression, epochs=4):
    task, method = make(seed), contender_named(spec)
    return run(cell(spec, rate, seed, epochs), task, method, lazy_for(task, method))


@pytest.mark.parametrize("spec", ["adagrad", "sgd:momentum=0.9,nesterov=1", "cocob"])
def test_a_run_is_iterates(spec):
    rate = None if spec == "cocob" else 0.1
    found = ran(spec, rate, seed=2)
    task, method = regression(2), contender_named(spec)
    own = task.copied()
    more = {} if rate is None else {"learning_rate": rate}
    opt = fa.build(method.name, squares, own, **method.options, **more)
    train, valid = task.training(2), [X[40:], Y[40:]]
    trained, validated = [], [opt.evaluate(valid)["loss"]]
    for pair in opt.iterate(train, valid, max_epochs=4, validate_every=1, patience=99, batch_size=0):
        trained.append(pair[0]["loss"])
        validated.append(opt.evaluate(valid)["loss"])
    validated[-1] = pair[1]["loss"]  # the last is followed by the best's return
    assert found.train[1:] == tuple(trained)
    assert found.valid == pytest.approx(validated, rel=1e-15)
    assert found.steps_an_epoch == 6
    assert list(found.seconds) == sorted(found.seconds)
    assert found.diverged is None
    assert found.final == found.valid[-1]


def test_start_values_are_left_alone():
    task = regression(0)
    before = task.params.copy()
    method = contender_named("sgd")
    run(cell("sgd", 0.1), task, method, "touched")
    assert np.array_equal(task.params, before)


def test_a_run_that_diverges():
    found = ran("sgd", 1e200)
    assert found.diverged == 1
    assert found.valid[1:] == found.train[1:] == (math.inf,) * 4
    assert found.valid[0] < math.inf
    assert len(found.seconds) == 5
    assert found.seconds[1] == found.seconds[4]


def test_a_gradient_that_is_not_finite_is_divergence():
    def loss(w):
        return 1.0, w * np.nan

    found = ran("sgd", 0.1, make=lambda seed: Task(params=np.ones(2), loss=loss, updates=3))
    assert found.diverged == 1


def test_an_epoch_without_data_has_updates():
    seen = []

    def loss(w):
        seen.append(w.copy())
        return w @ w, 2 * w

    found = ran("sgd", 0.25, make=lambda seed: Task(params=np.ones(1), loss=loss, updates=3), epochs=2)
    assert found.valid == (1, 0.5**6, 0.5**12)
    assert found.steps_an_epoch == 3
    # What is known before each of an epoch's updates is its mean.
    assert found.train[1] == (1 + 0.5**2 + 0.5**4) / 3


def table(seed):
    def loss(w, i):
        rows = w[i]
        return float((rows**2).mean()), fa.Rows(i, 2 * rows / rows.size)

    return Task(params=np.ones((6, 2)), loss=loss, train=(np.arange(6) // 2,), batch_size=3)


def test_the_random_vectors_of_a_method_are_those_of_the_same_run():
    assert ran("esgd", 0.01, make=table, epochs=2).valid == ran("esgd", 0.01, make=table, epochs=2).valid


OFTEN = ("adagrad", "cocob")


@pytest.mark.parametrize("name", [pytest.param(x, marks=[pytest.mark.slow] * (x not in OFTEN)) for x in METHODS])
def test_every_method_takes_rows(name):
    rate = None if Contender(name, name).rate_free else 0.01
    found = ran(name, rate, make=table, epochs=2)
    assert found.diverged is None
    assert found.final < found.valid[0]


def test_a_method_that_moves_every_row_is_given_dense_gradients(monkeypatch):
    def refuse(self, loss, params, rate, lazy):
        if lazy == "touched":
            raise ValueError("all rows move: choose lazy='dense'")
        return OwnTrainer(fa.SGD(loss, params, lazy=lazy))

    monkeypatch.setattr(Contender, "build", refuse)
    assert lazy_for(table(0), Contender("sgd", "sgd")) == "dense"
    monkeypatch.setattr(Contender, "build", lambda *args: (_ for _ in ()).throw(ValueError("something else")))
    with pytest.raises(ValueError, match="something else"):
        lazy_for(table(0), Contender("sgd", "sgd"))


def test_a_start_that_nothing_can_begin_with():
    task = Task(params=np.ones(2), loss=lambda w: (np.nan, w))
    with pytest.raises(ValueError, match="problem 'odd': the validation loss of the start values must be finite"):
        check_start("odd", task)


def test_costs():
    methods = as_contenders(["sgd", "sgd:momentum=0.5", "adagrad", "cocob"])
    task = Task(params=[np.ones(100), np.ones((3, 4))], loss=lambda p: (1.0, [p[0], p[1]]))
    costs = costs_of(task, methods)
    held = {label: cost.bytes for label, cost in costs.items()}
    assert held == {"sgd": 0, "sgd:momentum=0.5": 8, "adagrad": 8, "cocob": 5 * 8}
    assert all(0 < cost.microseconds < 1e5 for cost in costs.values())


@pytest.mark.parametrize("make", [table, regression])
def test_costs_of_rows_and_of_one_array(make):
    assert 0 < costs_of(make(0), as_contenders("sgd"))["sgd"].microseconds < 1e5


def test_contenders():
    assert [contender.name for contender in as_contenders(None)] == list(METHODS)
    assert contender_named("AdaGrad:accumulator=row").options == {"accumulator": "row"}
    assert contender_named("adam:amsgrad=true").options == {"amsgrad": True}
    assert [c.label for c in as_contenders(None) if c.rate_free] >= ["cocob"]
    for spec in usual_contenders():
        contender_named(spec)
    for wrong, message in [
        ("adagard", "did you mean 'adagrad'"),
        ("sgd:momentum", "expected option=value, not 'momentum'"),
        ("sgd:threads=2", "threads is set by the comparison"),
        ("sgd:momentum=1", "momentum must be below 1"),
        ("cocob:momentum=0.5", "method 'cocob:momentum=0.5'"),
    ]:
        with pytest.raises(ValueError, match=message):
            contender_named(wrong)
    with pytest.raises(TypeError, match="did you mean 'momentum'"):
        contender_named("sgd:momentom=0.5")
    with pytest.raises(ValueError, match="'sgd' is there twice"):
        as_contenders(["sgd", "adam", "sgd"])
    with pytest.raises(ValueError, match="expected at least one"):
        as_contenders([])
    with pytest.raises(TypeError, match="must be names"):
        as_contenders([3])


OWN = """
import os, signal, sys
from collections import namedtuple
from dataclasses import dataclass
import numpy as np
import fastadagrad as fa
from fastadagrad.compare import Task
from fastadagrad.kernels.rules import COMMON
from fastadagrad.kernels.rules import sgd
from fastadagrad.optimizer.methods import METHODS

if "halving" not in METHODS:
    @fa.register
    class Halving:
        name, slots, rests, Hyperparameters, Scalars = "halving", (), True, sgd.Hyperparameters, sgd.Scalars
        scalar_values, initial = staticmethod(sgd.scalar_values), staticmethod(sgd.initial)
        accumulate, scale, delta = staticmethod(sgd.accumulate), staticmethod(sgd.scale), staticmethod(sgd.delta)

def loss(w):
    a = np.ones((600, 600))
    a @ a
    threads = len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 2
    return threads + w @ w, 2 * w

def counting(seed):
    return Task(params=np.zeros(2), loss=loss, epochs=1)

def failing(seed):
    def loss(w):
        raise KeyError("no such word")
    return Task(params=np.zeros(2), loss=loss)

def dying(seed):
    os._exit(1)

def dying_once(seed):
    try:
        open(f"died_{seed}", "x")
    except FileExistsError:
        return counting(seed)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "counting_threads.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)
    sys.modules.pop("counting_threads", None)


def test_processes_have_one_thread_and_the_users_methods(own):
    problem = problem_named("counting_threads:counting")
    methods = {"halving": contender_named("halving")}
    cells = [cell("halving", 0.1, seed, 1, problem.name) for seed in range(2)]
    environment = dict(os.environ)
    found = sorted(run_in_processes(cells, {problem.name: problem}, methods, 2), key=lambda r: r.cell.seed)
    assert [r.cell for r in found] == cells
    assert [r.valid for r in found] == [(2.0, 2.0)] * 2  # the other one waits for the parent's end
    assert dict(os.environ) == environment


def test_processes_that_fail(own):
    methods = {"sgd": contender_named("sgd")}
    failing, dying = (problem_named(f"counting_threads:{name}") for name in ("failing", "dying"))
    [found] = run_in_processes([cell("sgd", 0.1, 3, 1, "failing")], {"failing": failing}, methods, 1)
    assert (found.failed, found.valid) == ("KeyError: 'no such word'", (math.inf, math.inf))
    with pytest.raises(RuntimeError, match=r"a process ended before its time \(with exit status 1\)"):
        list(run_in_processes([cell("sgd", 0.1, 3, 1, "dying")], {"dying": dying}, methods, 1))


def test_a_run_that_ends_its_process_keeps_others_from_nothing(own):
    problems = {name: problem_named(f"counting_threads:{name}") for name in ("dying", "counting")}
    cells = [cell("sgd", 0.1, seed, 1, name) for seed, name in enumerate(["dying", "counting", "dying", "counting"])]
    runs = run_in_processes(cells, problems, {"sgd": contender_named("sgd")}, 1)
    assert [next(runs).cell.seed, next(runs).cell.seed] == [1, 3]
    with pytest.raises(RuntimeError, match="a process ended before its time"):
        next(runs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_processes_that_end_have_not_finished_is_made_by_others(own, caplog, jobs):
    problem = problem_named("counting_threads:dying_once")
    cells = [cell("sgd", 0.1, seed, 1, problem.name) for seed in (3, 0)]
    methods = {"sgd": contender_named("sgd")}
    with open("died_3", "x"):  # a run has to be finished first
        found = list(run_in_processes(cells, {problem.name: problem}, methods, jobs))
    assert sorted(run.cell.seed for run in found) == [0, 3]
    assert not any(run.failed for run in found)
    [record] = caplog.records
    assert record.getMessage().startswith(
        f"a process ended before its time (by signal 9, {signal.strsignal(9)}: too little memory?)"
    )


def test_the_error_that_keeps_processes_from_their_first_run_is_told(own):
    problem = replace(problem_named("counting_threads:counting"), origin="counting_threads:none_such")
    with pytest.raises((AttributeError, ValueError), match="none_such"):
        list(run_in_processes([cell("sgd", 0.1, 3)], {"counting": problem}, {"sgd": contender_named("sgd")}, 1))


def test_a_loss_may_be_left_to_autograd():
    pytest.importorskip("autograd")
    task = Task(params={"w": np.ones(2)}, loss=lambda p: (p["w"] ** 2).sum())
    method = contender_named("sgd")
    assert run(cell("sgd", 0.25, epochs=2), task, method, lazy_for(task, method)).valid == (2, 0.5, 0.125)
    assert costs_of(task, [method])["sgd"].bytes == 0


def test_what_cannot_be_sent_to_a_process():
    problem = Problem("local", lambda seed: table(seed))
    with pytest.raises(ValueError, match="cannot be sent to other processes"):
        list(run_in_processes([cell("sgd", 0.1)], {"local": problem}, {"sgd": contender_named("sgd")}, 1))


def test_tasks_of_all_kinds_of_params():
    for params in (np.ones(2), [np.ones(2)], {"a": np.ones(2)}):
        task = task_of(Problem("x", lambda seed, params=params: Task(params=params, loss=None)), 0)
        copied = task.copied()
        assert type(copied) is type(params)
        assert fa.SGD(params=copied).params


SCRIPT = """
from fastadagrad.compare import compare
found = compare("quadratic:100", ["sgd"], rates="0.1:1:2", seeds=1, report=False, jobs={jobs}, extend=False)
print(len(found.runs))
"""


@pytest.mark.parametrize(
    ("jobs", "guarded", "works"),
    [
        pytest.param(1, False, False, marks=pytest.mark.slow),
        (2, False, False),
        pytest.param(0, False, True, marks=pytest.mark.slow),
        (2, True, True),
    ],
)
def test_a_script_without_a_main_guard_is_told_of_it(tmp_path, jobs, guarded, works):
    pytest.importorskip("pyarrow")
    script = SCRIPT.format(jobs=jobs)
    if guarded:
        script = script.replace("\nfound", '\nif __name__ == "__main__":\n  found').replace("\nprint", "\n  print")
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    if works:
        assert (done.stdout, done.returncode) == ("2\n", 0), done.stderr
        return
    last = done.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: ")
    assert 'under `if __name__ == "__main__":`' in last
    assert "memory" not in last
