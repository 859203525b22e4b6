"""Where there is no GPU, or nothing to use it with: host arrays are as ever, device arrays get an error that helps."""

import builtins
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from gpu import why_no_hardware

import fastadagrad as fa


class Claimed:
    """An array that says that it is on a GPU."""

    __cuda_array_interface__ = {"shape": (3,), "typestr": "<f4", "data": (1 << 40, False), "version": 3}  # noqa: RUF012


@pytest.mark.skipif(why_no_hardware() is None, reason="there is a GPU: what is said without one cannot be tested")
def test_no_driver():
    with pytest.raises(RuntimeError, match=r"NVIDIA driver|fastadagrad\[cuda\]"):
        fa.ADAGRAD(params=Claimed())


def test_no_packages(monkeypatch):
    def missing(name, *args, **kwargs):
        if name.startswith("cuda"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return imported(name, *args, **kwargs)

    imported = builtins.__import__
    for name in [name for name in sys.modules if name.split(".")[0] == "cuda" or name == "fastadagrad.device.driver"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(RuntimeError, match=r"No module named 'cuda.*pip install 'fastadagrad\[cuda\]'"):
        fa.ADAGRAD(params=Claimed())


def test_host_arrays_load_nothing_of_cuda():
    code = """
        import sys
        import numpy as np
        import fastadagrad as fa
        opt = fa.ADAGRAD(params=np.ones(3))
        opt.step(np.ones(3))
        print([name for name in sys.modules if name.split(".")[0] == "cuda" or name.startswith("numba.cuda")])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_host_parameter_wants_a_host_gradient():
    w = np.ones(3, np.float32)
    with pytest.raises(TypeError, match="gradient of 'param0' must be a host array, as its parameter is"):
        fa.ADAGRAD(params=w).step(Claimed())
    assert (w == 1).all()
