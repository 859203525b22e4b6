"""Fixtures of several test files."""

import numpy as np
import pytest
from gpu import Hardware, Interpreter, why_no_hardware
from sparse import set_thresholds

from fastadagrad.device import backend


@pytest.fixture(params=[1, 2], ids=["serial", "threaded"])
def threads(request, monkeypatch):
    if request.param > 1:
        set_thresholds(monkeypatch)
    return request.param


@pytest.fixture
def gpu(request, monkeypatch):
    """That on which device arrays are, in the place of the one that the driver would find."""
    return _installed(Hardware() if getattr(request, "param", None) == "hardware" else Interpreter(), monkeypatch)


@pytest.fixture
def interpreter(monkeypatch):
    """The one that is no real one, for tests with streams that there are not, or arrays that say where they are not."""
    return _installed(Interpreter(), monkeypatch)


def _installed(device, monkeypatch):
    monkeypatch.setattr(backend, "backend_at", lambda address: device)
    return device


def pytest_generate_tests(metafunc):
    """Whatever runs on the interpreted GPU runs on a real one too, where there is one."""
    if "gpu" in metafunc.fixturenames and why_no_hardware() is None:
        metafunc.parametrize("gpu", ["interpreter", pytest.param("hardware", marks=pytest.mark.gpu)], indirect=True)


TWICE = {"test_bits", "test_row_unit", "test_rows", "test_sparse_matrices"}


def pytest_collection_modifyitems(items):
    """Threaded kernels for float64 are the code of those for float32: compiled and shown with the slow tests."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        again = params.get("threads") == 2 and params.get("dtype") is np.float64
        if again and item.module.__name__ in TWICE:
            item.add_marker(pytest.mark.slow)
