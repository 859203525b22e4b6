"""The same by MPI itself, where mpi4py and an mpiexec are installed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from by_processes import CASES, digests
from launching import MPIEXEC, environment, under_mpiexec

TOOL = Path(__file__).parents[1] / "tools" / "by_processes.py"
INSTALL = "pip install 'fastadagrad[test-mpi]'"
pytest.importorskip("mpi4py", reason=f"mpi4py is not installed: {INSTALL}")
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason=f"there is no mpiexec: {INSTALL}")


def mpiexec(size, *command, timeout=600):
    """Run Python with a command in so many processes: exit status, lines of standard output, standard error."""
    command = under_mpiexec(size, *command)
    done = subprocess.run(command, capture_output=True, timeout=timeout, text=True, env=environment())
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("size", [1, 3, *(pytest.param(size, marks=pytest.mark.slow) for size in (2, 4, 7))])
def test_bits(size):
    has_the_bits_of_one_process(size, TOOL)


@pytest.mark.slow
def test_bits_where_gradients_are_sent_at_once():
    has_the_bits_of_one_process(3, TOOL, "--at-once")


def has_the_bits_of_one_process(size, *command):
    status, lines, errors = mpiexec(size, *command)
    assert status == 0, errors
    found = [json.loads(line) for line in lines if line.startswith("{")]
    assert sorted(each["rank"] for each in found) == [*range(size)]
    expected = digests(size)
    assert [*expected] == [*CASES]
    for each in found:
        assert each["digests"] == expected


def test_a_comparison_has_its_runs_made_by_the_other_processes(tmp_path):
    given = ["-m", "fastadagrad", "compare", "quadratic:100", "--methods", "sgd", "adagrad", "--quick", "--out"]
    status, lines, errors = mpiexec(3, *given, tmp_path / "several")
    assert status == 0, errors
    assert "8 runs in 2 processes" in errors
    assert len([line for line in lines if line.startswith("report: ")]) == 1
    subprocess.run([sys.executable, *given, tmp_path / "one", "--jobs", "0"], check=True, capture_output=True)
    of_several, of_one = (
        [run | {"seconds": None} for run in json.loads((tmp_path / name / "results.json").read_text())["runs"]]
        for name in ("several", "one")
    )
    assert of_several == of_one
    status, _, errors = mpiexec(3, *given, tmp_path / "several")
    assert (status, "8 runs in" in errors) == (0, False), "they were made again"


OF_GPUS = """
import sys
import numpy as np
from mpi4py import MPI
from fastadagrad.device.staging import Flat
from fastadagrad.mpi import cost
from fastadagrad.mpi.messages import Messages
cost.MOST_IN_PIECES = int(sys.argv[1])
world, bounds = Messages(MPI.COMM_WORLD), [0, 4, 4, 10]
held = np.zeros(10)  # in the host's memory, which this MPI finds by its address as one that is CUDA-aware finds a GPU's
held[bounds[world.rank] : bounds[world.rank + 1]] = world.rank + 1
world.complete(Flat(held.ctypes.data, (10,), held.dtype, held), bounds)()
sys.stdout.write(f"{world.is_cuda_aware} {held.astype(int).tolist()}\\n")
"""


@pytest.mark.parametrize("most_in_pieces", [16, 1])
def test_arrays_that_say_where_they_lie_are_sent_from_there(most_in_pieces, monkeypatch):
    monkeypatch.delenv("FASTADAGRAD_MPI_CUDA", raising=False)
    status, lines, errors = mpiexec(3, "-c", OF_GPUS, most_in_pieces)
    assert status == 0, errors
    assert "".join(lines).count("False [1, 1, 1, 1, 3, 3, 3, 3, 3, 3]") == 3


def test_names_are_listed_once():
    status, lines, errors = mpiexec(2, "-m", "fastadagrad", "compare", "--list")
    assert status == 0, errors
    assert len(lines) == len({*lines}) > 20


def test_a_comparison_under_mpiexec_takes_no_jobs():
    status, _, errors = mpiexec(2, "-m", "fastadagrad", "compare", "quadratic:100", "--jobs", "2")
    assert status != 0
    assert "--jobs is for a comparison without mpiexec" in errors


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["fit", "iris"], "divide each batch among them, and --batch-size is 1: give a larger one"),
        (["fit", "-", "--batch-size", "8"], "standard input is that of one process"),
        (["fit", "iris", "--batch-size", "8", "--valid", "-"], "standard input is that of one process"),
        (["fit", "no-such-file", "--batch-size", "8"], "no-such-file: No such file or directory"),
        (["fit", "iris", "--batchsize", "8"], "unrecognized arguments: --batchsize 8: did you mean --batch-size?"),
        (["fit"], "the following arguments are required: SOURCE"),
        ([], "fastadagrad COMMAND --help tells more of each"),
    ],
)
def test_what_fit_refuses_under_mpiexec_is_told_once(command, said):
    status, _, errors = mpiexec(2, "-m", "fastadagrad", *command)
    assert status != 0
    assert errors.count(said) == 1, errors


def coef_of(path):
    with np.load(path) as model:
        return model["coef"]


@pytest.mark.parametrize("streamed", ["--no-stream", "--stream"])
def test_a_model_is_fitted_by_all_and_written_by_the_first(tmp_path, streamed):
    rng = np.random.default_rng(0)
    rows = [sorted(rng.choice(60, 8, replace=False) + 1) for _ in range(300)]
    lines = [f"{int(row[0] < 8)} " + " ".join(f"{j}:{rng.normal():.3f}" for j in row) for row in rows]
    (tmp_path / "train.svm").write_text("\n".join(lines) + "\n")
    given = ["-m", "fastadagrad", "fit", tmp_path / "train.svm", "--batch-size", "32", "--dtype", "float64"]
    given += ["--epochs", "5", "--valid", "0.2", streamed]
    model, folder = tmp_path / "model.npz", tmp_path / "run"
    status, told, errors = mpiexec(3, *given, "--model", model, "--checkpoint", folder, "--every", "2")
    assert status == 0, errors
    one = [sys.executable, *map(str, given), "--model", tmp_path / "one.npz"]
    by_one = subprocess.run(one, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line for line in told if " s (" not in line and "written to" not in line] == [
        line for line in by_one if " s (" not in line and "written to" not in line
    ]
    np.testing.assert_allclose(coef_of(model), coef_of(tmp_path / "one.npz"), rtol=1e-10)
    status, _, errors = mpiexec(2, *given, "--model", tmp_path / "on.npz", "--checkpoint", folder, "--resume")
    assert status == 0, errors
    assert coef_of(tmp_path / "on.npz").tobytes() == coef_of(model).tobytes()


FIT = r"""
import hashlib, os, signal, sys
import numpy as np
from mpi4py import MPI
from fastadagrad.linear import LinearModel

comm = MPI.COMM_WORLD
X = np.random.default_rng(0).normal(size=(500, 4))

def told(entry):
    if comm.rank == 1 and entry["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGINT)

model = LinearModel(batch_size=50, max_epochs=30, learning_rate=0.1, average=False)
model.fit(X, X[:, 0] > X[:, 1], comm=comm, progress=told)
digest = hashlib.sha256(model.coef_.tobytes()).hexdigest()
sys.stdout.write(f"{model.stopped_because} {len(model.history)} {digest}\n")  # at once
"""


def test_ctrl_c_in_one_process_ends_the_fit_in_all_after_the_same_step():
    status, lines, errors = mpiexec(3, "-c", FIT)
    assert status == 0, errors
    assert len(lines) == 3
    assert len({*lines}) == 1, "all have the same weights"
    assert lines[0].startswith("interrupted 2 ")


AT_ONCE = r"""
import os, signal, sys, threading, time
import numpy as np
from mpi4py import MPI
from fastadagrad.linear import LinearModel, rate_trials

comm, case = MPI.COMM_WORLD, sys.argv[1]
X = np.random.default_rng(0).normal(size=(500, 4))

def interrupted():
    os.kill(os.getpid(), signal.SIGINT)

def told(entry):
    if case == "and an error" and comm.rank == 0 and entry["epoch"] == 2:
        interrupted()
        raise ValueError("lost")

def search(*arguments, **options):  # by process 0, for which the other waits
    time.sleep(1)
    raise KeyboardInterrupt

if case == "in all" and comm.rank == 1:
    threading.Timer(0.5, interrupted).start()
rate_trials.search = search
rate = "auto" if case == "in all" else 0.1
try:
    LinearModel(batch_size=50, max_epochs=30, learning_rate=rate, average=False).fit(
        X, X[:, 0] > X[:, 1], comm=comm, progress=told
    )
except (KeyboardInterrupt, ValueError) as error:
    ended = type(error).__name__
comm.Barrier()
sys.stdout.write(f"{comm.rank} {ended}\n")
"""


@pytest.mark.parametrize(
    ("case", "ends"),
    [
        ("in all", ["0 KeyboardInterrupt", "1 KeyboardInterrupt"]),
        ("and an error", ["0 KeyboardInterrupt", "1 ValueError"]),
    ],
)
def test_no_process_waits_for_one_that_ctrl_c_has_ended(case, ends):
    status, lines, errors = mpiexec(2, "-c", AT_ONCE, case, timeout=120)
    assert (status, sorted(lines)) == (0, ends), errors


HANGS_IN_A_STEP = """
import time
import numpy as np
from mpi4py import MPI
import fastadagrad as fa
from fastadagrad.mpi.sums import Sums

opt = fa.SGD(params=np.zeros(3_000_000), comm=MPI.COMM_WORLD)
opt.step(np.ones(3_000_000))
if MPI.COMM_WORLD.rank == 1:
    Sums._add_up = lambda *arguments: time.sleep(300)
opt.step(np.ones(3_000_000))
"""


def test_a_process_that_hangs_in_a_step_ends_all(monkeypatch):
    monkeypatch.setenv("FASTADAGRAD_MPI_TIMEOUT", "3")
    status, _, errors = mpiexec(2, "-c", HANGS_IN_A_STEP, timeout=120)
    assert status != 0
    assert "has waited for the others for 3 seconds" in errors


ENDS = {  # how process 1 ends, and what it says
    "error": ("raise KeyError('lost')", "KeyError: 'lost'"),
    "thread": ("threading.Thread(target=int, args=('lost',)).start(); time.sleep(60)", "ValueError: invalid literal"),
    "kill": ("os.kill(os.getpid(), 9)", ""),
    "data": ("table.minimize(batch, batch, **how)", "OSError: lost"),
}
SCRIPT = """
import os, threading, time
import numpy as np
from mpi4py import MPI
import fastadagrad as fa

def loss(p, rows):
    return 0.0, fa.Rows(rows, np.ones((len(rows), 2)))

def batch():
    if comm.rank == 1:
        raise OSError("lost")
    return np.arange(6)

comm = MPI.COMM_WORLD
how = {{"train_batches": 2, "valid_batches": 1, "touches": lambda rows: {{"param0": rows}}}}
opt, table = fa.SGD(params=np.zeros(3), comm=comm), fa.SGD(loss, np.zeros((1000, 2)), comm=comm)
opt.step(np.ones(3))
if comm.rank == 1 or {of_all}:
    {end}
opt.step(np.ones(3))
"""


@pytest.mark.parametrize("case", ENDS)
def test_the_end_of_one_process_ends_all(case):
    end, said = ENDS[case]
    before = time.monotonic()
    status, _, errors = mpiexec(3, "-c", SCRIPT.format(end=end, of_all=case == "data"), timeout=120)
    assert status != 0
    assert time.monotonic() - before < 60
    assert said in errors


def test_a_process_that_hangs_ends_all(monkeypatch):
    monkeypatch.setenv("FASTADAGRAD_MPI_TIMEOUT", "3")
    before = time.monotonic()
    status, _, errors = mpiexec(3, "-c", SCRIPT.format(end="time.sleep(300)", of_all=False), timeout=120)
    assert status != 0
    assert time.monotonic() - before < 60
    assert "has waited for the others for 3 seconds, and ends the job: one of them hangs" in errors


@pytest.mark.slow
def test_three_go_on_where_one_of_four_was_killed():
    command = [sys.executable, TOOL.with_name("killed_ranks.py"), "--kills", "1"]
    paths = os.pathsep.join([str(TOOL.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)  # see conftest.py
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 kills: " in done.stdout
