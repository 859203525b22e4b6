"""The same by MPI itself, where mpi4py and an mpiexec are installed."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from by_processes import CASES, digests

TOOL = Path(__file__).parents[1] / "tools" / "by_processes.py"
INSTALL = "pip install 'fastadagrad[test-mpi]'"
pytest.importorskip("mpi4py", reason=f"mpi4py is not installed: {INSTALL}")
MPIEXEC = shutil.which("mpiexec", path=Path(sys.executable).parent) or shutil.which("mpiexec")
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason=f"there is no mpiexec: {INSTALL}")


def mpiexec(size, *command, timeout=600):
    """Run Python with a command in so many processes: exit status, lines of standard output, standard error."""
    open_mpi = b"Open MPI" in subprocess.run([MPIEXEC, "--version"], capture_output=True).stdout
    more = ["--allow-run-as-root", "--oversubscribe"] if open_mpi else []
    done = subprocess.run(
        [MPIEXEC, *more, "-n", str(size), sys.executable, *map(str, command)],
        capture_output=True,
        timeout=timeout,
        text=True,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("size", [1, 3, *(pytest.param(size, marks=pytest.mark.slow) for size in (2, 4, 7))])
def test_bits(size):
    status, lines, errors = mpiexec(size, TOOL)
    assert status == 0, errors
    found = [json.loads(line) for line in lines if line.startswith("{")]
    assert sorted(each["rank"] for each in found) == [*range(size)]
    expected = digests(size)
    assert [*expected] == [*CASES]
    for each in found:
        assert each["digests"] == expected


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
