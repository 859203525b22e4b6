"""Fixtures of several test files."""

import numpy as np
import pytest
from sparse import set_thresholds


@pytest.fixture(params=[1, 2], ids=["serial", "threaded"])
def threads(request, monkeypatch):
    if request.param > 1:
        set_thresholds(monkeypatch)
    return request.param


ROWS = {"test_row_unit", "test_rows", "test_sparse_matrices"}


def pytest_collection_modifyitems(items):
    """Threaded kernels for rows of float64 are the code of those of float32: compiled and shown with the slow tests."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        again = params.get("threads") == 2 and params.get("dtype") is np.float64
        if again and item.module.__name__ in ROWS:
            item.add_marker(pytest.mark.slow)
