"""Ctrl-C while a command is still being imported, and SIGTERM at any time."""

import os
import random
import signal
import subprocess
import sys

import pytest
import signalled_commands

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

# Python code that presses Ctrl-C when a module is about to be imported.
PRESSED = """
import runpy, signal, sys
class Finder:
    @staticmethod
    def find_spec(name, *rest):
        if name == {name!r}:
            sys.meta_path.remove(Finder)
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder)
sys.argv = ["fastadagrad", "info"]
runpy.run_module("fastadagrad", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("fastadagrad.cli", -signal.SIGINT),
        ("fastadagrad.cli.screen", -signal.SIGINT),
        ("fastadagrad.cli.info", 130),
        ("numba", 130),
        ("numpy", 130),
        ("datetime", 130),
    ],
)
def test_ctrl_c_during_imports_leaves_no_traceback(name, status):
    """By the signal itself, or with a line, once there is somebody to write it."""
    command = [sys.executable, "-c", PRESSED.format(name=name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == status
    assert done.stderr == ("" if status < 0 else "fastadagrad: interrupted\n")


def test_ctrl_c_that_an_import_has_made_another_error_of(capsys, monkeypatch):
    from fastadagrad import cli

    def run(arguments):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("numpy cannot be imported") from error

    monkeypatch.setattr("fastadagrad.cli.info.run", run)
    assert cli.main(["info"]) == 130
    assert capsys.readouterr().err == "fastadagrad: interrupted\n"


# Python code that is terminated while it makes a class, as modules do when they are imported.
TERMINATED = """
import signal, sys
from fastadagrad import cli
def run(arguments):
    exec("import signal; signal.raise_signal(signal.SIGTERM)")
import fastadagrad.cli.info
fastadagrad.cli.info.run = run
sys.exit(cli.main(["info"]))
"""


def test_sigterm_within_exec_has_its_own_status():
    done = subprocess.run([sys.executable, "-c", TERMINATED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "fastadagrad: interrupted\n")


# Python code that gets a signal in a callback, whose exceptions Python tells of and loses.
LOST = """
import signal, sys, time, weakref
from fastadagrad import cli
import fastadagrad.cli.info
def run(arguments):
    thing = type("Thing", (), {{}})()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.{name}))
    del thing
    time.sleep(20)
fastadagrad.cli.info.run = run
sys.exit(cli.main(["info"]))
"""


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_ctrl_c_that_a_callback_loses_comes_again(name, status):
    done = subprocess.run([sys.executable, "-c", LOST.format(name=name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "fastadagrad: interrupted\n")


@pytest.mark.slow
def test_ctrl_c_in_the_first_moments():
    command = [sys.executable, "-m", "fastadagrad"]
    counts, wrong = signalled_commands.early(command, 15, 0.15, random.Random(1))
    assert wrong == []
    assert sum(counts.values()) == 15


@pytest.mark.slow
@pytest.mark.parametrize("what", [signalled_commands.fits, signalled_commands.comparisons])
def test_sigterm_at_any_moment_leaves_whole_files(what):
    _, wrong = what(5, 4.0, random.Random(2))
    assert wrong == []
