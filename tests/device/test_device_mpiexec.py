"""Parameters in what stands for GPUs' memory, stepped by processes of MPI, where mpi4py and an mpiexec are there."""

import json
import os
import subprocess

import pytest
from by_gpus import digests
from launching import MPIEXEC, environment, under_mpiexec
from places import TOOLS

INSTALL = "pip install 'fastadagrad[test-mpi]'"
pytest.importorskip("mpi4py", reason=f"mpi4py is not installed: {INSTALL}")
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason=f"there is no mpiexec: {INSTALL}")


@pytest.mark.slow
@pytest.mark.parametrize("cuda_aware", ["0", "1"])
def test_bits(interpreter, cuda_aware):
    paths = os.pathsep.join([str(TOOLS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)  # see conftest.py
    env = {**environment(), "PYTHONPATH": paths, "FASTADAGRAD_MPI_CUDA": cuda_aware}
    command = under_mpiexec(3, TOOLS / "by_gpus.py")
    done = subprocess.run(command, capture_output=True, timeout=600, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert sorted(each["rank"] for each in found) == [0, 1, 2]
    expected = digests(interpreter, 3)
    assert [each["digests"] for each in found] == [expected] * 3
