"""Sub-interpreters: the package is refused there in words, and goes on where it was."""

import importlib.util
import subprocess
import sys

import pytest

from fastadagrad.support.interpreters import in_a_sub_interpreter

CODE = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import numpy as np
import fastadagrad as fa
w = np.ones(3)
opt = fa.SGD(params=w, learning_rate=0.5)
opt.step(np.ones(3))
inner = f'''
import sys
sys.path[:] = {sys.path}
try:
    import fastadagrad
except ImportError as error:
    print(error, flush=True)
print(any(name.partition(".")[0] in ("numpy", "numba") for name in sys.modules), flush=True)
'''
interpreters.run_string(interpreters.create(), inner)
opt.step(np.ones(3))
assert w.tolist() == [0, 0, 0]
"""


def test_the_package_is_refused_in_words():
    names = {"_interpreters", "_xxsubinterpreters"}
    if not names & {*sys.builtin_module_names} and not any(_exists(name) for name in names):
        pytest.skip("this Python has no module for sub-interpreters")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    message, numpy_is_imported = done.stdout.splitlines()
    assert message.startswith("fastadagrad cannot be imported in a sub-interpreter, as NumPy and Numba")
    assert "import it in the main interpreter and use threads" in message
    assert numpy_is_imported == "False"


def _exists(name):
    return importlib.util.find_spec(name) is not None


def test_this_is_the_main_interpreter():
    assert not in_a_sub_interpreter()
