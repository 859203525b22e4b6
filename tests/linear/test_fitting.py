"""What a fit of a linear model holds in memory, and what it refuses because it could not hold it."""

import sys
import tracemalloc

import numpy as np
import pytest
from linear_examples import ROWS, wide
from places import ROOT, TOOLS
from processes import run

from fastadagrad.data import memory_at_hand
from fastadagrad.linear import LinearModel, fitting, unscaling
from fastadagrad.linear.training import bytes_a_feature

FEATURES = 2_000_000
SLACK = 400_000  # bytes that do not grow with the features
PART = 2 * (8 << 16)  # nor do the difference and the quotient of the part of a mean that is made at a time
OPTIONS = [
    ({}, 32),
    ({"validation": 0.2}, 32),
    ({"learning_rate": "auto"}, 32),
    ({"scale": "none"}, 32),
    ({"average": True, "l1": 1e-6}, 36),
    ({"average": 3, "max_epochs": 4}, 48),
    ({"average": False}, 12),
    ({"average": False, "validation": 0.2}, 12),
    ({"average": False, "scale": "none", "learning_rate": 0.1}, 12),
    ({"batch_size": 4}, 36),
    ({"batch_size": 4, "lazy": "touched", "average": False}, 16),
    ({"l1": 1e-6}, 16),
    ({"l1": 1e-6, "lazy": "touched"}, 12),
    ({"l1": 1e-6, "lazy": "dense"}, 16),
    ({"momentum": 0.9, "lazy": "touched", "average": False}, 16),
    ({"momentum": 0.9, "average": False}, 20),
    ({"l1": 1e-6, "batch_size": 4}, 20),
    ({"momentum": 0.9, "batch_size": 4}, 44),
    ({"dtype": np.float64}, 48),
    ({"dtype": np.float64, "batch_size": 4, "average": False}, 32),
    ({"method": "sgd", "scale": "none"}, 12),
    ({"method": "ftrl"}, 16),
    ({"method": "rda", "batch_size": 4}, 20),
    ({"method": "adam", "lazy": "touched"}, 16),
    ({"method": "cocob"}, 28),
]


def held(model, X, y):
    """The most bytes at a time that a fit holds, and how many it says it does for each feature."""
    tracemalloc.start()
    try:
        model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    outputs, settings = (len(model.classes_) if model.coef_.ndim == 2 else 0), model._settings
    return peak, bytes_a_feature(outputs, settings, *how(model))


def how(model):
    """What the bytes depend on beside the number of outputs and the settings."""
    p = model._parameters
    return *(p[name] for name in ("batch_size", "lazy", "dtype")), fitting.means_kept(p, model._settings, FEATURES)


@pytest.mark.parametrize(("options", "most"), OPTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_for_each_feature(options, most, dtype):
    y, options = np.arange(ROWS) % 2, {"max_epochs": 2, "learning_rate": 0.1, **options}
    LinearModel(**options).fit(wide(1000, dtype), y)
    X = wide(FEATURES, dtype)
    model = LinearModel(**options)
    peak, said = held(model, X, y)
    assert model.coef_.shape == (FEATURES,)
    assert said == most
    assert peak < most * FEATURES + SLACK + (PART if how(model)[-1] else 0)
    assert peak > (most - 1) * FEATURES


def test_what_holds_without_options_is_said_where_options_are_not_known():
    model = LinearModel()
    assert bytes_a_feature(0, model._settings, *how(model)) == memory_at_hand.BYTES_A_FEATURE


GUIDE = (ROOT / "docs" / "guide.md").read_text()


def test_the_guide_says_the_same():
    rows = GUIDE.split("| options | bytes |\n|---|---|\n")[1].split("\n\n")[0].splitlines()
    assert rows[0] == f"| none | {memory_at_hand.BYTES_A_FEATURE} |"
    for row in rows[1:]:
        options = eval(f"dict({row.split('`')[1]})")
        model = LinearModel(**options)
        assert row.endswith(f"| {bytes_a_feature(0, model._settings, *how(model))} |")
    for model, said in ((LinearModel(), "{} bytes of three classes"), (LinearModel(average=False), "or {} if")):
        assert said.format(bytes_a_feature(3, model._settings, *how(model))) in " ".join(GUIDE.split())


@pytest.mark.parametrize(("options", "most"), [each for each in OPTIONS if "batch_size" in each[0]])
def test_batches_that_have_as_many_values_as_there_are_features(options, most):
    dtype = options.get("dtype", np.float32)
    # Neither scaling nor trials are to make values.
    options = {**options, "batch_size": 100, "max_epochs": 1, "scale": "none", "learning_rate": 0.1}
    y = np.arange(100) % 2
    LinearModel(**options).fit(wide(1000, dtype, rows=100), y)
    X = wide(FEATURES, dtype, rows=100, each=FEATURES // 100)
    peak, said = held(LinearModel(**options), X, y)
    assert said == most
    assert peak < most * FEATURES + SLACK + PART


def test_many_values_of_each_feature():
    """The sizes of the features are not held while it trains, be they little beside the examples."""
    features, y = 100_000, np.arange(100) % 2
    X = wide(features, np.float32, rows=100, each=20_000)
    LinearModel(max_epochs=1, batch_size=2, l1=1e-6, learning_rate=0.1).fit(X, y)
    peak, said = held(LinearModel(max_epochs=1, batch_size=2, l1=1e-6, learning_rate=0.1), X, y)
    values = X.data.nbytes
    most_made = 2 * 8 * (1 << 20) + 8 * features  # quotients of some values, and what they are divided by
    assert peak < max(said * features, most_made) + values + SLACK


def test_classes_take_everything_each():
    X, y = wide(FEATURES), np.arange(ROWS) % 3
    LinearModel(max_epochs=2, learning_rate=0.1).fit(wide(1000), y)
    peak, said = held(LinearModel(max_epochs=2, learning_rate=0.1), X, y)
    assert said == 3 * 32
    assert peak < said * FEATURES + SLACK + 3 * PART
    model = LinearModel(max_epochs=1, average=False, learning_rate=0.1)
    peak, said = held(model, X, y)
    assert said == 4 * 3 + 8 * (3 + 1)
    assert peak < said * FEATURES + SLACK


def test_weights_too_small_for_their_place_take_none_beside_them():
    """Weights of which some vanish when they are scaled, but none that counts."""
    weights, raw = np.full(FEATURES, 1e-20, np.float32), np.zeros(FEATURES)
    weights[0] = raw[0] = -1.0
    tracemalloc.start()
    try:
        assert not unscaling._has_lost(weights, raw)
        assert tracemalloc.get_traced_memory()[1] < SLACK + 600_000
    finally:
        tracemalloc.stop()
    weights[-1] = 1e-3
    assert unscaling._has_lost(weights, raw)


MEASURED = """
import sys
sys.path.insert(0, {tools!r})
import numpy as np
from fastadagrad.linear import LinearModel
from linear_examples import ROWS, wide

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

y = np.arange(ROWS) % 2
LinearModel(max_epochs=2, average=False, learning_rate=0.1).fit(wide(1000), y, valid=0.2)
X = wide(8_000_000)
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
LinearModel(max_epochs=2, average=False, learning_rate=0.1).fit(X, y, valid=0.2)
print(1024 * (status("VmHWM") - before) / X.shape[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_bytes_for_each_feature_as_the_system_sees_them():
    done = run(MEASURED.format(tools=str(TOOLS)))
    assert not done.stderr
    found = float(done.stdout)
    assert 8 < found < 16


def test_too_many_columns_are_refused_before_anything_is_allocated(monkeypatch):
    X, y = wide(FEATURES), np.arange(ROWS) % 2
    monkeypatch.setattr(memory_at_hand, "LITTLE", 0)
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: 32 * FEATURES - 1)
    monkeypatch.setattr(fitting.scaling, "measure", None)
    at = int(np.argmax(X.indices))
    place = f"the largest of those in use {X.indices[at]}, in row {at // X.indptr[1]}"
    with pytest.raises(ValueError, match=f"X has 2,000,000 columns, {place}: training takes 32 bytes for each, 64 MB"):
        LinearModel().fit(X, y)
    with pytest.raises(ValueError, match=r"but 64 MB are at hand; hash .* with hash_bits=19 \(fit --hash-bits 19\)"):
        LinearModel().fit(X, y)


def test_just_enough_memory_is_enough(monkeypatch):
    X, y = wide(1000), np.arange(ROWS) % 2
    monkeypatch.setattr(memory_at_hand, "LITTLE", 0)
    for at_hand in (32 * 1000, None):
        monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda at_hand=at_hand: at_hand)
        LinearModel(max_epochs=1).fit(X, y)
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: 0)
    LinearModel(max_epochs=1).fit(X.toarray(), y)  # a dense one holds more itself


@pytest.mark.parametrize("sparse", [False, True])
def test_no_columns_are_refused(sparse):
    X = np.empty((15, 0))
    if sparse:
        X = pytest.importorskip("scipy.sparse", reason="needs the extra 'compare'").csr_array(X)
    message = r"0 feature\(s\) \(shape=\(15, 0\)\) while a minimum of 1 is required"
    with pytest.raises(ValueError, match=f"X has nothing to learn from: {message}"):
        LinearModel().fit(X, np.arange(15) % 2)
