"""Training that is killed with SIGKILL, and goes on: the tool `killed` on few moments, and slowly on many."""

import os
import subprocess
import sys

import pytest
from places import TOOLS

QUICK, LONG = ("--runs", "5", "--fits", "4"), ("--runs", "40", "--fits", "12")


@pytest.mark.skipif(sys.platform == "win32", reason="there are neither forks nor SIGKILL")
@pytest.mark.parametrize("numbers", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)], ids=["quick", "long"])
def test_every_run_ends_with_the_bits_of_one_that_is_not_killed(numbers):
    command = [sys.executable, TOOLS / "killed.py", *numbers, "--seed", "3"]
    paths = os.pathsep.join([str(TOOLS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)  # see conftest.py
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    for what, number in (("runs", numbers[1]), ("fits", numbers[3])):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(what)]
        assert f"{number} runs that have ended with the same bits" in line
        assert "failures" not in line
