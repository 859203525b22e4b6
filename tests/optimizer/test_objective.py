"""The user's loss: where its gradients come from, and in which form."""

import gc
import logging
import math
import sys
import weakref

import numpy as np
import pytest

import fastadagrad as fa

autograd_numpy = pytest.importorskip("autograd.numpy")


def value(w, x):
    return ((x * w - 1) ** 2).sum()


def slope(w, x):
    return (2 * (x * w - 1) * x).sum(axis=0)


WAYS = {
    "pair": (lambda w, x: (value(w, x), slope(w, x)), None),
    "pair, said so": (lambda w, x: (value(w, x), slope(w, x)), True),
    "callable": (value, slope),
    "callable, and a pair": (lambda w, x: (value(w, x), "unused"), slope),
    "derived": (value, None),
    "derived, said so": (value, "autograd"),
}
X = np.array([[1.0, 2.0], [0.5, 1.0]])


@pytest.mark.parametrize("way", WAYS)
def test_gradients_come_from(way):
    loss, gradient = WAYS[way]
    w, expected = np.zeros(2), np.zeros(2)
    fa.ADAGRAD(loss, w, gradient=gradient, learning_rate=0.1).minimize(X, max_updates=3, batch_size=2)
    opt = fa.ADAGRAD(params=expected, learning_rate=0.1)
    for _ in range(3):
        opt.step(slope(expected, X))
    assert w.tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_the_loss_is_called_once_a_batch():
    calls = []

    def loss(w, x):
        calls.append(x)
        return value(w, x), slope(w, x)

    fa.ADAGRAD(loss, np.zeros(2)).minimize(X, max_updates=3, batch_size=2)
    assert len(calls) == 1 + 3 + 1
    opt = fa.ADAGRAD(loss, np.zeros(2))
    opt._session.train_on((X,))
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("structure", "pick"),
    [
        (lambda a, b: [a, b], lambda p: (p[0], p[1])),
        (lambda a, b: (a, b), lambda p: (p[0], p[1])),
        (lambda a, b: {"a": a, "b": b}, lambda p: (p["a"], p["b"])),
    ],
)
def test_autograd_derives_in_every_structure(structure, pick, tmp_path):
    a, b = np.memmap(tmp_path / "a", np.float64, "w+", shape=(2,)), np.ones((), np.float32)
    seen = []

    def loss(p):
        x, y = pick(p)
        seen.append(type(p))
        return autograd_numpy.sum((x - 3.0) ** 2) + (y - 2.0) ** 2

    params = structure(a, b)
    fa.ADAGRAD(loss, params, learning_rate=0.5).minimize(max_updates=50)
    assert np.asarray(a) == pytest.approx([3, 3], abs=0.1)
    assert b == pytest.approx(2, abs=0.1)


def test_no_loss_is_kept_alive():
    def make():
        big = np.zeros(2)
        fa.ADAGRAD(lambda w: ((w - big) ** 2).sum(), np.ones(2)).minimize(max_updates=1)
        return weakref.ref(big)

    ref = make()
    gc.collect()
    assert ref() is None


def test_unhashable_losses_are_derived():
    class Loss:
        __hash__ = None

        def __call__(self, w):
            return (w**2).sum()

    opt = fa.ADAGRAD(Loss(), np.ones(2))
    opt.minimize(max_updates=1)
    assert opt.steps == 1


def test_without_autograd_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "autograd", None)
    with pytest.raises(RuntimeError, match=r"gradient=.* needs autograd: pip install \"fastadagrad\[autograd\]"):
        fa.ADAGRAD(value, np.zeros(2)).minimize(X, max_updates=1)


def test_an_error_while_deriving_says_so():
    def loss(w):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine") as caught:
        fa.ADAGRAD(loss, np.zeros(2), gradient="autograd").minimize(validate_every=1, max_updates=1)
    opt = fa.ADAGRAD(lambda w: np.exp(w, out=np.zeros(2)).sum(), np.zeros(2), gradient="autograd")
    with pytest.raises(TypeError) as caught:
        opt._session.train_on(())
    assert any("autograd" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("loss", "gradient", "error"),
    [
        (3, None, "loss must be callable"),
        (value, False, "gradient must be"),
        (value, "jax", "gradient must be"),
        (value, 3, "gradient must be"),
    ],
)
def test_refused_when_made(loss, gradient, error):
    with pytest.raises(TypeError, match=error):
        fa.ADAGRAD(loss, np.zeros(2), gradient=gradient)


@pytest.mark.parametrize("result", [None, "low", np.ones(2), [1.0, 2.0], (np.ones(2), np.ones(2))])
def test_a_loss_that_is_no_number(result):
    with pytest.raises(TypeError, match="loss must return"):
        fa.ADAGRAD(lambda w: result, np.zeros(2), gradient=lambda w: np.ones(2)).minimize(max_updates=1)


def test_gradient_true_wants_a_pair():
    with pytest.raises(TypeError, match="gradient=True"):
        fa.ADAGRAD(value, np.zeros(2), gradient=True).minimize(X)


G = np.arange(6.0).reshape(2, 3) + 1
FORMS = {
    "float64": G,
    "float16": G.astype(np.float16),
    "Fortran": np.asfortranarray(G, np.float32),
    "foreign-endian": G.astype(">f4"),
    "strided": np.repeat(G.astype(np.float32), 2, axis=1)[:, ::2],
    "broadcastless list": G.tolist(),
    "long double": G.astype(np.longdouble),
}


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_a_loss_are_brought_into_form_and_that_is_logged_once(form, caplog):
    w, expected = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    with caplog.at_level(logging.INFO, "fastadagrad"):
        fa.ADAGRAD(lambda p: (1.0, [FORMS[form]]), [w]).minimize(max_updates=3, validate_every=1)
    opt = fa.ADAGRAD(params=expected)
    for _ in range(3):
        opt.step(G.astype(np.float32))
    assert opt.steps == 3
    assert w.tobytes() == np.zeros((2, 3), np.float32).tobytes()  # the loss never improves
    assert sum("converted" in record.message for record in caplog.records) == 1


def test_their_bits_are_those_of_the_converted_gradient():
    w, expected = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    opt = fa.ADAGRAD(lambda p: (1.0, np.asfortranarray(G) / 3), w)
    opt._session.train_on(())
    fa.ADAGRAD(params=expected).step((G / 3).astype(np.float32))
    assert w.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("gradient", "error"),
    [
        (np.ones((2, 3), int), TypeError),
        (np.ones((2, 3), complex), TypeError),
        (np.ones((2, 3), bool), TypeError),
        (np.ma.masked_array(np.ones((2, 3)), mask=True), TypeError),
        ("steep", TypeError),
        (None, TypeError),
        (np.ones((3, 2)), ValueError),
        (np.full((2, 3), 1e300), FloatingPointError),
        (np.full((2, 3), math.nan), FloatingPointError),
    ],
)
def test_gradients_of_a_loss_that_are_refused(gradient, error):
    w = np.zeros((2, 3), np.float32)
    opt = fa.ADAGRAD(lambda p: (1.0, {"the w": gradient}), {"the w": w})
    with pytest.raises(error, match="'the w'"):
        opt.minimize(max_updates=1)
    assert opt.steps == 0
    assert not w.any()


def test_gradients_of_frozen_parameters_are_not_looked_at():
    opt = fa.ADAGRAD(
        lambda p: (1.0, {"w": np.ones(2), "f": 0}), {"w": np.zeros(2), "f": np.ones(2)}, groups={"f": {"frozen": True}}
    )
    opt.minimize(max_updates=2)
    assert opt.steps == 2


class TestInputs:
    def data(self, kind):
        rng = np.random.default_rng(0)
        columns = {"x": rng.standard_normal(7), "unused": np.zeros(7), "y": rng.standard_normal(7)}
        if kind == "dict":
            return columns, columns
        if kind == "batches of dicts":
            return [{name: column[:3] for name, column in columns.items()}] * 2, columns
        frame = pytest.importorskip("pandas").DataFrame(columns)
        return (frame if kind == "DataFrame" else [(frame[:3],), (frame[3:],)]), columns

    @pytest.mark.parametrize("kind", ["dict", "batches of dicts", "DataFrame", "batches of DataFrames"])
    def test_picked_by_name(self, kind):
        data, columns = self.data(kind)
        seen = []

        def loss(w, y, x):
            assert type(y) is type(x) is np.ndarray
            seen.append((y[0], x[0]))
            return 1.0, np.zeros(1)

        opt = fa.ADAGRAD(loss, np.zeros(1), inputs=["y", "x"])
        opt.evaluate(data)
        assert seen[0] == (columns["y"][0], columns["x"][0])
        opt.minimize(data, max_epochs=1)
        assert opt.steps > 0

    def test_missing_name(self):
        opt = fa.ADAGRAD(lambda w, z: 1.0, np.zeros(1), inputs=["z"])
        with pytest.raises(ValueError, match=r"\['z'\].*'unused'"):
            opt.evaluate(self.data("dict")[0])

    @pytest.mark.parametrize("names", [["x", "y"], ["y", "x"]])
    def test_arrays_come_in_the_order_of_the_inputs(self, names):
        columns = self.data("dict")[1]
        opt = fa.ADAGRAD(lambda w, first, second: first[0] - second[0], np.zeros(1), inputs=names)
        assert opt.evaluate([columns["y"], columns["x"]])["loss"] == columns["y"][0] - columns["x"][0]
        assert opt.evaluate([[columns["y"], columns["x"]]])["loss"] == columns["y"][0] - columns["x"][0]

    def test_one_array_for_one_input(self):
        opt = fa.ADAGRAD(lambda w, z: z.sum(), np.zeros(1), inputs=["z"])
        assert opt.evaluate(np.ones(3))["loss"] == 3
        assert opt.evaluate([np.ones(3)])["loss"] == 3
        assert opt.evaluate(lambda: np.ones(3))["loss"] == 3

    @pytest.mark.parametrize("names", [["z"], ["x", "y", "z"]])
    def test_another_number_of_arrays_than_inputs(self, names):
        opt = fa.ADAGRAD(lambda w, z: 1.0, np.zeros(1), inputs=names)
        with pytest.raises(TypeError, match=rf"dicts or DataFrames .*of {len(names)} arrays in this order, not of 2"):
            opt.evaluate((np.ones(3), np.ones(3)))

    def test_dicts_without_inputs(self):
        with pytest.raises(TypeError, match="inputs="):
            fa.ADAGRAD(lambda w, x: 1.0, np.zeros(1)).evaluate(self.data("dict")[0])

    def test_a_string_is_refused(self):
        with pytest.raises(TypeError, match="inputs"):
            fa.ADAGRAD(lambda w, x: 1.0, np.zeros(1), inputs="xy")


def test_a_loss_without_data_has_one_update_an_epoch():
    opt = fa.ADAGRAD(lambda w: (float(w @ w), 2 * w), np.ones(2))
    assert len(list(opt.iterate(max_updates=7))) == 7
    assert opt.evaluate(None) == {"loss": pytest.approx(2, abs=0.1)}


class Columns:
    """What matters of a polars.DataFrame: columns by name, but no keys."""

    def __init__(self, **columns):
        self._columns, self.columns = columns, list(columns)
        self.shape = len(next(iter(columns.values()))), len(columns)

    def __getitem__(self, key):
        if isinstance(key, str):
            return self._columns[key]
        return Columns(**{name: column[key] for name, column in self._columns.items()})


def test_inputs_are_picked_of_frames_that_have_columns_only():
    seen = []
    frame = Columns(x=np.arange(4.0), y=np.arange(4.0) + 10)
    opt = fa.ADAGRAD(lambda w, y, x: (float(seen.append((y - x).tolist()) or 1), w), np.zeros(1), inputs=["y", "x"])
    opt.evaluate(fa.Dataset([frame], batch_size=3))
    assert seen == [[10.0] * 3, [10.0]]
    opt = fa.ADAGRAD(lambda w, z: 1.0, np.zeros(1), inputs=["z"])
    with pytest.raises(ValueError, match=r"the batch lacks the inputs \['z'\]; it has \['x', 'y'\]"):
        opt.evaluate(fa.Dataset([frame], batch_size=3))


@pytest.mark.parametrize("hv", [None, "autograd"])
def test_a_pair_is_not_derived(hv):
    method, own = (fa.ADAGRAD, {}) if hv is None else (fa.ESGD, {"hv": hv})
    opt = method(lambda w: (w @ w, 2 * w), np.ones(2), gradient="autograd" if hv is None else None, **own)
    with pytest.raises(TypeError, match=r"loss must return the loss alone .* not a tuple of 2: pass gradient=True"):
        opt.minimize(max_epochs=1)


def test_what_all_methods_share_is_no_method():
    with pytest.raises(TypeError, match=r"Optimizer is what all methods share.* fastadagrad\.build"):
        fa.Optimizer(None, np.ones(2))
