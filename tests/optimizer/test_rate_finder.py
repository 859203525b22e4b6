"""Suggested learning rates, and that asking for one leaves everything as it was."""

import copy
import json
from collections import namedtuple

import numpy as np
import pytest
from gpu import Array
from hypothesis import given, settings
from hypothesis import strategies as st

import fastadagrad as fa
from fastadagrad.device.arrays import DeviceArray

X = np.random.default_rng(0).standard_normal((400, 4))
Y = X @ [1.0, -2.0, 0.5, 3.0] + 0.1 * np.random.default_rng(1).standard_normal(400)


def squares(w, x, y):
    error = x @ w - y
    return error @ error / len(y), 2 * error @ x / len(y)


def rosenbrock(x):
    step, rest = x[1] - x[0] ** 2, 1 - x[0]
    return 100 * step * step + rest * rest, np.array([-400 * x[0] * step - 2 * rest, 200 * step])


def everything(opt):
    """All that there is of an optimizer, as bytes and text."""
    arrays = [(name, a.tobytes(), a.ctypes.data) for name, a in opt.params.items()]
    slots = [(name, slot, a.tobytes()) for name, own in opt.state.items() for slot, a in own.items()]
    best = [a.tobytes() for a in opt._session.ledger.best_arrays]
    return (
        arrays,
        slots,
        best,
        json.dumps(opt._session.ledger.header()),
        repr(opt.hyper),
        opt.skipped,
        opt._session.engine.changes,
    )


@pytest.mark.parametrize("name", ["adagrad", "sgd", "rmsprop", "adam", "adagrad_da", "ftrl"])
def test_the_suggestion_trains_better_than_rates_far_from_it(name):
    search = fa.find_learning_rate(fa.build(name, squares, np.zeros(4)), [X, Y], rng=0)
    assert search.learning_rate == search.rates[search.losses.argmin()]
    reached = {}
    for factor in (1 / 30, 1, 30):
        w = np.zeros(4)
        opt = fa.build(name, squares, w, learning_rate=search.learning_rate * factor, nonfinite="skip")
        with np.errstate(all="ignore"):
            opt.minimize([X, Y], max_epochs=20, rng=1)
        reached[factor] = squares(w, X, Y)[0]
    assert reached[1] == min(reached.values())
    assert reached[1] < search.initial_loss / 1000


def test_the_losses_are_those_of_runs_alike():
    rng = np.random.default_rng(3)
    opt = fa.ADAGRAD(squares, np.full(4, 0.5), momentum=0.5, weight_decay=0.01)
    data = fa.Dataset([X, Y], batch_size=50, rng=0)
    search = fa.find_learning_rate(
        opt, data, [X[:100], Y[:100]], lowest=0.01, highest=1.0, per_decade=1, steps=11, rng=3
    )
    np.testing.assert_allclose(search.rates, [0.01, 0.1, 1.0], rtol=1e-12)
    batches = [*data.batches(rng), *data.batches(rng)][:11]
    for rate, loss in zip(search.rates, search.losses, strict=True):
        w = np.full(4, 0.5)
        one = fa.ADAGRAD(params=w, momentum=0.5, weight_decay=0.01, learning_rate=rate)
        for x, y in batches:
            one.step(squares(w, x, y)[1])
        assert loss == pytest.approx(squares(w, X[:100], Y[:100])[0], rel=1e-12)
    assert search.initial_loss == pytest.approx(squares(np.full(4, 0.5), X[:100], Y[:100])[0], rel=1e-12)


@pytest.mark.parametrize("name", ["adagrad", "sgd", "adam", "ftrl", "adagrad_da"])
def test_nothing_changes(name):
    w, rng = np.zeros(4), np.random.default_rng(5)
    data = fa.Dataset([X, Y], batch_size=32, rng=rng)
    opt = fa.build(name, squares, w, learning_rate=0.05, monitors={"first": lambda w, x, y: w[0]})
    opt.minimize(data, max_updates=17, max_gradient_norm=5)
    before = everything(opt), copy.deepcopy(data.state()), copy.deepcopy(rng.bit_generator.state)
    fa.find_learning_rate(opt, data, rng=0, steps=20, per_decade=1)
    assert (everything(opt), data.state(), rng.bit_generator.state) == before
    other_w, other_rng = np.zeros(4), np.random.default_rng(5)
    other = fa.build(name, squares, other_w, learning_rate=0.05, monitors={"first": lambda w, x, y: w[0]})
    other_data = fa.Dataset([X, Y], batch_size=32, rng=other_rng)
    other.minimize(other_data, max_updates=17, max_gradient_norm=5)
    for each, its in ((opt, data), (other, other_data)):
        each.minimize(its, max_updates=20)
    assert everything(opt)[1:5] == everything(other)[1:5]
    assert w.tobytes() == other_w.tobytes()


@settings(max_examples=20, deadline=None)
@given(at=st.integers(0, 60), error=st.sampled_from([KeyboardInterrupt, RuntimeError, OSError]))
def test_nothing_changes_when_it_is_interrupted(at, error):
    calls, w = [], np.zeros(4)

    def failing(w, x, y):
        calls.append(0)
        if failing.at == len(calls):
            raise error
        return squares(w, x, y)

    failing.at = None
    data = fa.Dataset([X, Y], rng=0)
    opt = fa.ADAGRAD(failing, w, learning_rate=0.1)
    opt.minimize(data, max_updates=3)
    before, state = everything(opt), data.state()
    failing.at = len(calls) + 1 + at
    with pytest.raises(error):
        fa.find_learning_rate(opt, data, rng=0, steps=10, per_decade=1)
    assert (everything(opt), data.state()) == (before, state)


def test_within_an_iteration():
    """The run goes on as if nobody had asked."""
    ends = []
    for asks in (False, True):
        w = np.zeros(4)
        opt = fa.ADAGRAD(squares, w)
        data = fa.Dataset([X, Y], rng=0)
        for _ in opt.iterate(data, max_epochs=3, learning_rate=0.2, validate_every=1):
            if asks:
                assert fa.find_learning_rate(opt, data, rng=0, steps=5, per_decade=1).losses.min() < 100
        ends.append((w.tobytes(), everything(opt)[1:4]))
    assert ends[0] == ends[1]


def test_same_seed_same_bits():
    first, again, other = (fa.find_learning_rate(fa.SGD(squares, np.zeros(4)), [X, Y], rng=s) for s in (0, 0, 1))
    assert first.losses.tobytes() == again.losses.tobytes()
    assert first.losses.tobytes() != other.losses.tobytes()


@pytest.mark.parametrize("name", ["adagrad", "adagrad_da"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_used_optimizer_starts_with_its_accumulators(name, alone):
    """Large accumulators ask for larger rates."""
    fresh, used = (fa.build(name, squares, np.zeros(4), learning_rate=1e-12) for _ in range(2))
    updates = dict(used.get_updates())
    for sign in (1, -1):
        (updates["param0"] if alone else used.step)(np.full(4, sign * 1e3))
    found = [fa.find_learning_rate(opt, [X, Y], rng=0, highest=1e5).learning_rate for opt in (fresh, used)]
    assert found[1] > 30 * found[0]


def test_without_data():
    search = fa.find_learning_rate(fa.SGD(rosenbrock, np.array([-1.2, 1.0])))
    assert search.initial_loss == pytest.approx(24.2)
    assert np.isinf(search.losses[-1])  # the float64s overflow
    assert 1e-4 < search.learning_rate < 1e-2


def test_params_come_in_the_structure_in_which_they_were_given():
    Pair = namedtuple("Pair", "u v")

    def named(p, x, y):
        value, gradient = squares(p.u + p.v, x, y)
        return value, (gradient, gradient)

    def keyed(p, x, y):
        value, gradient = squares(p["u"] + p["v"], x, y)
        return value, {"u": gradient, "v": gradient}

    def listed(p, x, y):
        assert isinstance(p, list)
        value, gradient = squares(p[0] + p[1], x, y)
        return value, [gradient, gradient]

    u, v = np.zeros(4), np.zeros(4)
    found = [
        fa.find_learning_rate(fa.ADAGRAD(loss, params), [X, Y], rng=0).losses.tolist()
        for loss, params in ((named, Pair(u, v)), (keyed, {"u": u, "v": v}), (listed, [u, v]))
    ]
    assert found[0] == found[1] == found[2]
    assert not u.any()


def test_lazy_rows_and_inputs():
    """As the dense method; rows that lag behind are caught up in the runs too."""

    def loss(table, users, ratings):
        error = table[users] - ratings
        return (error**2).mean(), fa.Rows(users, 2 * error / error.size)

    rng = np.random.default_rng(0)
    data = {"users": rng.integers(0, 20, 200), "ratings": rng.standard_normal((200, 2)), "unused": np.zeros(200)}
    losses = []
    for lazy, touches in (("exact", None), ("exact", lambda users, ratings: {"param0": users}), ("dense", None)):
        opt = fa.ADAGRAD(loss, np.ones((20, 2)), ["users", "ratings"], momentum=0.9, lazy=lazy)
        losses.append(fa.find_learning_rate(opt, data, rng=0, steps=30, touches=touches).losses)
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-9)
    np.testing.assert_allclose(losses[1], losses[2], rtol=1e-9)


def test_rates_that_decay_would_turn_weights_over_with_are_left_out():
    def loss(table, users, ratings):
        error = table[users] - ratings
        return (error**2).mean(), fa.Rows(users, 2 * error / error.size)

    data = [np.arange(200) % 20, np.random.default_rng(0).standard_normal((200, 2))]
    opt = fa.ADAGRAD(loss, np.ones((20, 2)), decoupled_weight_decay=2.0)
    search = fa.find_learning_rate(opt, data, rng=0)
    np.testing.assert_array_equal(np.isinf(search.losses), search.rates >= 0.5)


def test_frozen_parameters_and_groups_keep_to_their_own():
    def loss(p, x, y):
        value, gradient = squares(p["a"] + p["b"], x, y)
        return value, {"a": gradient, "b": gradient}

    def losses(**group):
        opt = fa.ADAGRAD(loss, {"a": np.zeros(4), "b": np.zeros(4)}, groups={"b": group})
        return fa.find_learning_rate(opt, [X, Y], rng=0).losses

    alone = fa.find_learning_rate(fa.ADAGRAD(squares, np.zeros(4)), [X, Y], rng=0).losses
    np.testing.assert_allclose(losses(frozen=True), alone, rtol=1e-12)
    np.testing.assert_allclose(losses(learning_rate=0), alone, rtol=1e-12)
    assert losses(learning_rate=0.5)[0] < alone[0] / 2


def test_autograd_and_a_schedule():
    pytest.importorskip("autograd")

    def loss(w, x, y):
        error = x @ w - y
        return error @ error / len(y)

    opt = fa.ADAGRAD(loss, np.zeros(4), learning_rate=lambda t: 1 / (1 + t))
    found = fa.find_learning_rate(opt, [X, Y], rng=0).losses
    expected = fa.find_learning_rate(fa.ADAGRAD(squares, np.zeros(4)), [X, Y], rng=0).losses
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert callable(opt.hyper.learning_rate)


class Copied(Array):
    """As CuPy's."""

    def copy(self):
        return type(self)(self.gpu, self.numpy())


class Cloned(Array):
    """As torch's."""

    requires_grad = True

    def detach(self):
        return self

    def clone(self):
        return type(self)(self.gpu, self.numpy())

    def requires_grad_(self, value):
        self.requires_grad = value
        return self


@pytest.mark.parametrize(("kind", "seen"), [(Copied, Copied), (Cloned, Cloned), (Array, DeviceArray)])
def test_device_arrays(interpreter, kind, seen):
    w = kind(interpreter, np.zeros(4))

    def loss(w, x, y):
        assert type(w) is seen
        value, gradient = squares(w.numpy() if isinstance(w, Array) else w.to_host(), x, y)
        return value, interpreter.array(gradient)

    arguments = {"rng": 0, "steps": 3, "per_decade": 1, "lowest": 1e-2}
    found = fa.find_learning_rate(fa.ADAGRAD(loss, w), [X, Y], **arguments)
    expected = fa.find_learning_rate(fa.ADAGRAD(squares, np.zeros(4)), [X, Y], **arguments)
    np.testing.assert_array_equal(found.losses, expected.losses)
    assert not w.numpy().any()


def test_an_edge_of_the_grid_is_told(caplog):
    with caplog.at_level("WARNING", "fastadagrad"):
        fa.find_learning_rate(fa.ADAGRAD(squares, np.zeros(4)), [X, Y], rng=0, highest=1e-2)
    assert "the best of the rates from 1e-05 to 0.01 is the highest: widen the grid" in caplog.text


def test_refusals():
    opt = fa.ADAGRAD(squares, np.zeros(4))
    for options, error, text in [
        ({"lowest": 0}, ValueError, "lowest must be above 0, not 0"),
        ({"highest": np.inf}, ValueError, "highest must be finite"),
        ({"lowest": "1"}, TypeError, "lowest must be a number, not '1'"),
        ({"lowest": 1.0, "highest": 0.1}, ValueError, r"lowest must be below highest, not 1\.0 and 0\.1"),
        ({"per_decade": 0}, ValueError, "per_decade must be a whole number of at least 1, not 0"),
        ({"per_decade": 10**6}, ValueError, "at most 1000 are tried: lower per_decade"),
        ({"lowest": 5e-324, "per_decade": 10}, ValueError, "these would be 3244 rates, at most 1000"),
        ({"steps": 0}, ValueError, "steps must be a whole number of at least 1, not 0"),
        ({"steps": True}, TypeError, "steps must be a whole number of at least 1, not True"),
        ({"rng": "x"}, TypeError, "rng: expected None, a seed or a Generator"),
    ]:
        with pytest.raises(error, match=text):
            fa.find_learning_rate(opt, [X, Y], **options)
    with pytest.raises(TypeError, match=r"opt must be an optimizer, such as fastadagrad\.ADAGRAD"):
        fa.find_learning_rate(squares, [X, Y])
    with pytest.raises(RuntimeError, match="has no loss"):
        fa.find_learning_rate(fa.ADAGRAD(params=np.zeros(4)), [X, Y])
    with pytest.raises(ValueError, match="COCOB needs no learning rate"):
        fa.find_learning_rate(fa.COCOB(squares, np.zeros(4)), [X, Y])
    rprop = fa.RProp(squares, np.zeros(4))
    rprop.step(np.ones(4))
    with pytest.raises(ValueError, match="RPROP takes its learning rate at the first step"):
        fa.find_learning_rate(rprop, [X, Y])


def test_nothing_to_suggest():
    def uphill(w, x, y):
        value, gradient = squares(w, x, y)
        return value, -gradient

    def fails(w, x, y):
        value, gradient = squares(w, x, y)
        if w.any():
            raise OverflowError
        return value, gradient

    with pytest.raises(ValueError, match=r"none of the rates from 1e-05 to 10 lowers the loss, which is 13\.9"):
        fa.find_learning_rate(fa.ADAGRAD(uphill, np.zeros(4)), [X, Y], rng=0)
    with pytest.raises(ValueError, match="the loss diverges at all rates from 1e-05 to 10: lower `lowest`"):
        fa.find_learning_rate(fa.ADAGRAD(fails, np.zeros(4)), [X, Y], rng=0)
    with pytest.raises(ValueError, match="the loss is nan before the first step"):
        fa.find_learning_rate(fa.ADAGRAD(squares, np.full(4, np.nan)), [X, Y], rng=0)


class Annotated(fa.ADAGRAD):
    """With arguments of its own, and a way of measuring that goes by one of them."""

    made = 0

    def __init__(self, note, w, *, scale):
        super().__init__(
            squares, w, momentum=0.5, monitors={"m": self.unwanted}, updates=[(np.zeros(1), self.unwanted)]
        )
        self.note, self.scale = note, scale
        Annotated.made += 1

    def unwanted(self, *arguments):
        raise AssertionError("neither monitors nor updates belong to a search")

    def products(self, arguments):
        assert self.scale == [2.0]
        return super().products(arguments)


def test_of_a_subclass_with_arguments_of_its_own():
    Annotated.made = 0
    found = [
        fa.find_learning_rate(opt, [X, Y], rng=0, steps=7, per_decade=1).losses.tolist()
        for opt in (Annotated("note", np.zeros(4), scale=[2.0]), fa.ADAGRAD(squares, np.zeros(4), momentum=0.5))
    ]
    assert found[0] == found[1]
    assert Annotated.made == 1


class Curved(fa.ESGD):
    def __init__(self, rng):
        super().__init__(squares, np.zeros(4), hv="differences", hv_rng=rng)


def test_of_a_subclass_that_draws():
    """Every run draws the same numbers, and none of the optimizer's."""
    rng = np.random.default_rng(1)
    opt = Curved(rng)
    before = rng.bit_generator.state
    found = [fa.find_learning_rate(opt, [X, Y], rng=0, steps=7, per_decade=1).losses.tolist() for _ in range(2)]
    assert found[0] == found[1]
    assert rng.bit_generator.state == before


ALIKE = {
    "adagrad": {"momentum": 0.5, "groups": {"table": {"accumulator": "row"}}},
    "adam": {"decoupled_weight_decay": 0.1, "lazy": "touched"},
    "adagrad_da": {},
    "ftrl": {"ftrl_l1": 0.01},
    "rmsprop": {"lazy": "touched", "groups": {"bias": {"frozen": True}}},
}


@pytest.mark.parametrize("name", ALIKE)
def test_each_run_is_that_of_a_copy(name):
    """It begins with all that the optimizer is: slots, counts, and which parameters are not where slots place them."""

    def loss(p):
        value = float((p["table"] ** 2).sum() + p["bias"] @ p["bias"])
        return value, {"table": fa.Rows(np.array([1, 3]), 2 * p["table"][[1, 3]]), "bias": 2 * p["bias"]}

    params = {"table": np.ones((5, 2)), "bias": np.ones(3)}
    opt = fa.build(name, loss, params, learning_rate=0.05, **ALIKE[name])
    opt.minimize(max_updates=3)
    opt.set_params({"table": np.full((5, 2), 2.0), "bias": np.full(3, 0.5)})
    for _ in range(2):
        search = fa.find_learning_rate(opt, lowest=0.01, highest=0.1, per_decade=2, steps=4)
        for rate, found in zip(search.rates, search.losses, strict=True):
            twin = copy.deepcopy(opt)
            twin.hyper.learning_rate = float(rate)
            for _ in range(4):
                twin._session.train_on(())
            assert found == twin.evaluate(None)["loss"]
        opt.minimize(max_updates=2)
