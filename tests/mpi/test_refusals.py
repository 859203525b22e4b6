"""What one process refuses, all refuse, and nothing is changed in any."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
from in_step import run
from wild import raising

import fastadagrad as fa
from fastadagrad.mpi.agreement import Agreement
from fastadagrad.mpi.processes import Lockstep
from fastadagrad.support.array_file import Damaged

GOOD = {"w": np.ones(9000, np.float32), "table": np.ones((100, 4), np.float32)}
BAD = {
    "NaN": ({"w": np.full(9000, np.nan, np.float32)}, FloatingPointError, "gradient of 'w' must be finite"),
    "NaN in a row": (
        {"table": fa.Rows(np.array([99]), np.full((1, 4), np.nan, np.float32))},
        FloatingPointError,
        "gradient of 'table' must be finite",
    ),
    "shape": ({"w": np.ones(3, np.float32)}, ValueError, "gradient of 'w' must have shape"),
    "dtype": ({"w": np.ones(9000)}, TypeError, "gradient of 'w' must have dtype"),
    "none": ({"w": None}, TypeError, "gradient of 'w' is missing"),
    "row": ({"table": fa.Rows(np.array([100]), np.ones((1, 4), np.float32))}, IndexError, "number 0 is 100"),
    "kind": ({"table": fa.Rows(np.array([1]), np.ones((1, 4), np.float32))}, ValueError, "pass the same kind in all"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_gradient_of_one_process(case):
    bad, error, message = BAD[case]

    def step(comm):
        params = {"w": np.zeros(9000, np.float32), "table": np.zeros((100, 4), np.float32)}
        opt = fa.ADAGRAD(params=params, momentum=0.5, comm=comm)
        sparse = case in ("NaN in a row", "row")
        good = GOOD | ({"table": fa.Rows(np.array([5]), np.ones((1, 4), np.float32))} if sparse else {})
        opt.step(good)
        opt.flush()
        before = {name: array.tobytes() for name, array in params.items()}
        of_state = {n: {s: a.tobytes() for s, a in slots.items()} for n, slots in opt.state.items()}
        with pytest.raises(error) as caught:
            opt.step(good | bad if comm.rank == 1 else good)
        opt.flush()
        assert {name: array.tobytes() for name, array in params.items()} == before
        assert {n: {s: a.tobytes() for s, a in slots.items()} for n, slots in opt.state.items()} == of_state
        assert opt.steps == 1
        opt.step(good)
        return str(caught.value)

    messages = run(3, step)
    assert all(message in text for text in messages)
    if case in ("shape", "dtype", "none", "row"):
        assert messages[0].startswith("in process 1: ")


@pytest.mark.parametrize("bad", ["gradient", "product"])
def test_a_product_or_a_gradient_beside_it(bad):
    def step(comm):
        w = np.zeros(9000)
        opt = fa.ESGD(params=w, comm=comm)
        given = {
            name: np.full(9000, np.nan if name == bad and comm.rank == 1 else 1.0) for name in ("gradient", "product")
        }
        with pytest.raises(FloatingPointError, match=f"{bad} of 'param0' must be finite"):
            opt.step(given["gradient"], given["product"])
        assert (opt.steps, w.any()) == (0, False)

    run(2, step)


def test_skipped_in_all():
    def step(comm):
        w = np.zeros(9000)
        opt = fa.ADAGRAD(params=w, nonfinite="skip", comm=comm)
        opt.step(np.full(9000, np.inf if comm.rank == 2 else 1.0))
        return opt.steps, opt.skipped, w.any()

    assert run(3, step) == [(0, 1, False)] * 3


OTHERS = {
    "shape": ({"params": np.zeros(4)}, "the names, dtypes and shapes of parameters is"),
    "order": ({"params": {"b": np.zeros(3), "a": np.zeros(3)}}, "the names, dtypes and shapes of parameters is"),
    "rate": ({"learning_rate": 0.2}, "learning_rate of 'a' is 0.1 in process 0 and 0.2 in process 1"),
    "limit": ({"max_global_norm": 1.0}, "max_global_norm is"),
    "reduction": ({"reduction": "sum"}, "reduction is mean in process 0 and sum in process 1"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_things_in_one_process(case):
    others, message = OTHERS[case]
    given = {"params": {"a": np.zeros(3), "b": np.ones(3)}, "learning_rate": 0.1}

    def make(comm):
        own = given | (others if comm.rank == 1 else {})
        with pytest.raises(ValueError, match="all processes must be given the same") as caught:
            fa.SGD(**own, comm=comm)
        return str(caught.value)

    assert message in run(2, make)[0]
    assert given["params"]["b"].tolist() == [1, 1, 1]


def test_a_rate_that_is_set_in_one_process():
    def step(comm):
        opt = fa.SGD(params=np.zeros(3), learning_rate=0.1, comm=comm)
        opt.step(np.ones(3))
        if comm.rank == 0:
            opt.hyper.learning_rate = 0.05
        with pytest.raises(RuntimeError, match="the processes make different steps"):
            opt.step(np.ones(3))

    run(2, step)


@pytest.mark.parametrize("change", ["writeable", "shape"])
def test_a_parameter_that_has_been_changed(change):
    def step(comm):
        w = np.zeros((4, 3))
        opt = fa.SGD(params=w, learning_rate=0.1, comm=comm)
        if change == "writeable":
            w.flags.writeable = False
        else:
            with warnings.catch_warnings(action="ignore"):  # NumPy 2.5 deprecates it
                w.shape = (2, 6)
        with pytest.raises(ValueError, match="was moved in memory, reshaped or made read-only"):
            opt.step(np.ones((4, 3)))
        assert opt.steps == 0
        assert not w.any()

    run(2, step)


def test_an_accumulator_of_a_whole_parameter_is_chosen_at_first():
    def change(comm):
        opt = fa.ADAGRAD(params=np.zeros(20_000), comm=comm)
        with pytest.raises(ValueError, match="choose accumulator='tensor' when the optimizer is made"):
            opt.hyper.accumulator = "tensor"

    run(2, change)


def test_what_is_not_there():
    def ask(comm):
        opt = fa.ADAGRAD(params=np.zeros(3), comm=comm)
        for copied in (pickle.dumps, copy.deepcopy):
            with pytest.raises(RuntimeError, match=re.escape("cannot be pickled or deep-copied")):
                copied(opt)
        with pytest.raises(ValueError, match="monitor_gradients cannot be combined with comm"):
            fa.ADAGRAD(params=np.zeros(3), monitor_gradients=True, comm=comm)

    run(2, ask)


@pytest.mark.parametrize("comm", [0, "world", object()])
def test_no_communicator(comm):
    with pytest.raises(TypeError, match="comm must be an intracommunicator of mpi4py"):
        fa.ADAGRAD(params=np.zeros(3), comm=comm)


def test_what_cannot_be_asked_whether_it_is_one():
    unreadable = raising(OverflowError, "__getattr__", "__class__")
    with pytest.raises(TypeError, match="comm cannot be read: OverflowError"):
        fa.ADAGRAD(params=np.zeros(3), comm=unreadable)
    for comm in (None, object()):
        with pytest.raises(TypeError, match="reduction cannot be read: OverflowError"):
            fa.ADAGRAD(params=np.zeros(3), comm=comm, reduction=unreadable)


def test_no_reduction():
    def make(comm):
        with pytest.raises(ValueError, match="reduction must be 'mean', 'sum', 'mean64' or 'sum64', not 'max'"):
            fa.ADAGRAD(params=np.zeros(3), comm=comm, reduction="max")

    run(2, make)


def test_a_reduction_of_one_process():
    with pytest.raises(ValueError, match="reduction='sum' is for several processes: give comm, too"):
        fa.ADAGRAD(params=np.zeros(3), reduction="sum")


def test_one_process_is_alone():
    [steps] = run(1, lambda comm: type(fa.ADAGRAD(params=np.zeros(3), comm=comm)._session).__name__)
    assert steps == "Session"


CALLS = {
    "a step and rows": (lambda opt: opt.step(GOOD), lambda opt: opt.read_rows("w", [0]), "a step", "reading rows"),
    "a step and a file": (lambda opt: opt.step(GOOD), lambda opt: opt.save("file.npz"), "a step", "save"),
    "a step and a run": (
        lambda opt: opt.step(GOOD),
        lambda opt: opt.minimize(max_epochs=1),
        "a step",
        "a random order",
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_different_calls(case):
    one, other, about, about_other = CALLS[case]

    def call(comm):
        opt = fa.SGD(lambda p: (0.0, GOOD), {n: np.ones_like(a) for n, a in GOOD.items()}, comm=comm)
        said = f"make different calls ({about} in process 0, {about_other} in process 1): all must make the same ones"
        with pytest.raises(RuntimeError, match=re.escape(said)):
            (other if comm.rank else one)(opt)
        with pytest.raises(RuntimeError, match=re.escape(said)):  # and nobody waits for the other
            opt.step(GOOD)

    run(2, call)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the loop that is left
def test_a_loop_that_is_left_in_one_process_ends_in_all():
    def loop(comm):
        opt = fa.SGD(lambda w, x: (float(w @ w), 2 * w), np.ones(3), learning_rate=0.1, comm=comm)
        if comm.rank:
            for _ in opt.iterate(np.ones((8, 1)), max_epochs=9, batch_size=2):
                break
        else:
            with pytest.raises(RuntimeError, match="the processes make different calls"):
                opt.minimize(np.ones((8, 1)), max_epochs=9, batch_size=2)

    run(2, loop)


ALONE = {  # what process 1 is given alone, and what all raise
    "names of gradients": (lambda opt, bad: opt.step({"x": 1} if bad else GOOD), ValueError, "must have the names"),
    "nothing filled": (lambda opt, bad: opt.step(*([] if bad else [GOOD])), RuntimeError, "nobody has filled yet"),
    "a target": (
        lambda opt, bad: opt.set_params([np.ones(3), GOOD["table"]] if bad else [*GOOD.values()]),
        ValueError,
        "must have shape",
    ),
    "no best": (
        lambda opt, bad: opt.set_params("best" if bad else [*GOOD.values()]),
        RuntimeError,
        "no best parameters",
    ),
    "an overflow": (lambda opt, bad: opt.minimize([np.full(4, bad)], max_epochs=1), OverflowError, "math range"),
}


@pytest.mark.parametrize("case", ALONE)
def test_what_one_process_is_given_alone(case):
    call, error, said = ALONE[case]

    def loss(p, bad):
        if np.any(bad):
            raise OverflowError("math range error")
        return 0.0, GOOD

    def ask(comm):
        opt = fa.SGD(loss, {n: np.ones_like(a) for n, a in GOOD.items()}, comm=comm)
        with pytest.raises(error, match=said if comm.rank else f"in process 1: .*{said}"):
            call(opt, comm.rank == 1)
        opt.step(GOOD)
        assert opt.steps == 1

    run(2, ask)


class Own(KeyError):
    """An error of the user's."""


RELAYED = [
    (OverflowError("far"), OverflowError, "in process 1: far"),
    (Own("lost"), KeyError, "in process 1: 'lost'"),
    (np.linalg.LinAlgError("singular"), ValueError, "in process 1: singular"),
    (FileNotFoundError(2, "No such file", "a"), FileNotFoundError, "in process 1: No such file a"),
    (OSError(5, "Input/output error"), OSError, "[Errno 5] in process 1: Input/output error"),
    (UnicodeDecodeError("utf8", b"x", 0, 1, "bad"), UnicodeError, "in process 1: 'utf8' codec can't decode"),
    (Damaged("torn"), Damaged, "in process 1: torn"),
    (KeyboardInterrupt(), RuntimeError, "in process 1: KeyboardInterrupt"),
]


@pytest.mark.parametrize(("raised", "error", "said"), RELAYED, ids=lambda value: type(value).__name__)
def test_errors_of_python_are_relayed_by_their_classes(raised, error, said):
    def tell(comm):
        def fail():
            if comm.rank:
                raise raised

        with pytest.raises(error if comm.rank == 0 else type(raised)) as found:
            Agreement(Lockstep(comm)).everywhere("a test", fail)
        assert comm.rank or (type(found.value) is error and said in str(found.value))
        assert getattr(found.value, "errno", None) == getattr(raised, "errno", None)

    run(2, tell)


def test_a_run_that_all_refuse_ends():
    def work(comm):
        kinds = [fa.Rows(np.array([0]), np.ones((1, 4), np.float32)), GOOD["table"]]
        params = {name: array.copy() for name, array in GOOD.items()}
        opt = fa.SGD(lambda p, x: (0.0, {**GOOD, "table": kinds[comm.rank]}), params, learning_rate=0.5, comm=comm)
        with pytest.raises(ValueError, match="pass the same kind in all"):
            opt.minimize([np.zeros(4)], max_epochs=1, learning_rate=0.1)
        return opt.hyper.learning_rate, opt.stopped_because

    assert run(2, work) == [(0.5, "error")] * 2
