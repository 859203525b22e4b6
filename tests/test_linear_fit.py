"""What a fit of a linear model holds in memory, and what it refuses because it could not hold it."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from processes import run

from fastadagrad import linear_fit, memory_at_hand
from fastadagrad.linear import LinearModel
from fastadagrad.linear_training import bytes_a_feature

FEATURES, ROWS, EACH = 2_000_000, 60, 20
SLACK = 400_000  # bytes that do not grow with the features
OPTIONS = [
    ({}, 13),
    ({"validation": 0.2}, 13),
    ({"learning_rate": "auto"}, 13),
    ({"scale": "none"}, 12),
    ({"batch_size": 4}, 17),
    ({"l1": 1e-6}, 16),
    ({"l1": 1e-6, "lazy": "touched"}, 13),
    ({"momentum": 0.9}, 20),
    ({"dtype": np.float64}, 24),
]


def wide(features, dtype=np.float64):
    rng = np.random.default_rng(0)
    columns = np.stack([np.sort(rng.choice(features, EACH, replace=False)) for _ in range(ROWS)])
    values, starts = rng.normal(size=ROWS * EACH).astype(dtype), np.arange(ROWS + 1) * EACH
    return scipy.sparse.csr_array((values, columns.ravel().astype(np.int32), starts), shape=(ROWS, features))


@pytest.mark.parametrize(("options", "most"), OPTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_for_each_feature(options, most, dtype):
    y, options = np.arange(ROWS) % 2, {"max_epochs": 2, **options}
    LinearModel(**options).fit(wide(1000, dtype), y)
    X = wide(FEATURES, dtype)
    tracemalloc.start()
    try:
        model = LinearModel(**options).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert model.coef_.shape == (FEATURES,)
    assert peak < most * FEATURES + SLACK
    settings, sizes = model._settings, (model._parameters["batch_size"], model._parameters["lazy"])
    assert most - 1 <= bytes_a_feature(0, settings, *sizes, model._parameters["dtype"]) <= most


MEASURED = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from fastadagrad.linear import LinearModel
from test_linear_fit import ROWS, wide

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

y = np.arange(ROWS) % 2
LinearModel(max_epochs=2).fit(wide(1000), y, valid=0.2)
X = wide(8_000_000)
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
LinearModel(max_epochs=2).fit(X, y, valid=0.2)
print(1024 * (status("VmHWM") - before) / X.shape[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_bytes_for_each_feature_as_the_system_sees_them():
    done = run(MEASURED.format(tests=str(Path(__file__).parent)))
    assert not done.stderr
    found = float(done.stdout)
    assert 8 < found < 16


def test_too_many_columns_are_refused_before_anything_is_allocated(monkeypatch):
    X, y = wide(FEATURES), np.arange(ROWS) % 2
    monkeypatch.setattr(memory_at_hand, "LITTLE", 0)
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: 12 * FEATURES - 1)
    monkeypatch.setattr(linear_fit.scaling, "measure", None)
    at = int(np.argmax(X.indices))
    place = f"the largest of those in use {X.indices[at]}, in row {at // EACH}"
    with pytest.raises(ValueError, match=f"X has 2,000,000 columns, {place}: training takes 12 bytes for each, 24 MB"):
        LinearModel().fit(X, y)
    with pytest.raises(ValueError, match=r"but 24 MB are at hand; hash .* with hash_bits=19 \(fit --hash-bits 19\)"):
        LinearModel().fit(X, y)


def test_just_enough_memory_is_enough(monkeypatch):
    X, y = wide(1000), np.arange(ROWS) % 2
    monkeypatch.setattr(memory_at_hand, "LITTLE", 0)
    for at_hand in (12 * 1000, None):
        monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda at_hand=at_hand: at_hand)
        LinearModel(max_epochs=1).fit(X, y)
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: 0)
    LinearModel(max_epochs=1).fit(X.toarray(), y)  # a dense one holds more itself
