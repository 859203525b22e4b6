"""Fixtures of several test files."""

import pytest
from sparse import set_thresholds


@pytest.fixture(params=[1, 2], ids=["serial", "threaded"])
def threads(request, monkeypatch):
    if request.param > 1:
        set_thresholds(monkeypatch)
    return request.param
