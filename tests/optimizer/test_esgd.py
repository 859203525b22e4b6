"""ESGD: where its Hessian-vector products come from, and what becomes of them."""

import copy
import pickle

import numpy as np
import pytest
from oracle import bits_differ

import fastadagrad as fa
from fastadagrad.compare import Problem, Task, compare
from fastadagrad.kernels.rules import esgd
from fastadagrad.optimizer.methods import METHODS

rng = np.random.default_rng(0)
A = rng.standard_normal((6, 6))
A = A @ A.T + np.eye(6)
W, B = A[:4], A[4:]


def value(params, x):
    """A loss whose Hessian changes from place to place, of a matrix and a vector."""
    w, b = params["w"].reshape(-1), params["b"]
    both = np.concatenate([w, b])
    return both @ A @ both / 2 + (x.mean() * both**4).sum() / 12


def slope(params, x):
    both = np.concatenate([params["w"].reshape(-1), params["b"]])
    g = A @ both + x.mean() * both**3 / 3
    return {"w": g[:4].reshape(2, 2), "b": g[4:]}


def product(params, vectors, x):
    both = np.concatenate([params["w"].reshape(-1), params["b"]])
    z = np.concatenate([vectors["w"].reshape(-1), vectors["b"]])
    u = A @ z + x.mean() * both**2 * z
    return {"w": u[:4].reshape(2, 2), "b": u[4:]}


def both(params, x):
    return value(params, x), slope(params, x)


X = np.full(3, 2.0)


def make(dtype=np.float64, **how):
    start = np.random.default_rng(1)
    params = {"w": start.standard_normal((2, 2)).astype(dtype), "b": start.standard_normal(2).astype(dtype)}
    how = {"hv": product, "hv_rng": 5, "learning_rate": 0.01, **how}
    return params, fa.ESGD(both, params, **how)


def test_the_trajectory_is_that_of_the_formula():
    """Written down once more, with nothing of the library but the order of the numbers that are drawn."""
    params, opt = make(rms_halflife=3, momentum=0.5)
    p = {name: array.copy() for name, array in params.items()}
    D, v = ({name: np.zeros_like(array) for name, array in p.items()} for _ in range(2))
    random, r = np.random.default_rng(5), 2 ** (-1 / 3)
    for _ in opt.iterate([[X]], max_epochs=30, patience=100):
        z = {name: random.standard_normal(array.shape) for name, array in p.items()}
        u, g = product(p, z, X), slope(p, X)
        for name in p:
            D[name] = r * D[name] + (1 - r) * u[name] ** 2
            v[name] = 0.5 * v[name] - 0.01 * g[name] / (np.sqrt(D[name]) + 1e-8)
            p[name] = p[name] + v[name]
            np.testing.assert_allclose(params[name], p[name], rtol=1e-12, atol=1e-14)
    assert value(params, X) < value(make()[0], X) / 5


def test_averaged_divides_by_the_mean_of_all():
    params, opt = make(averaged=True)
    random, squares = np.random.default_rng(5), 0.0
    for t, _ in enumerate(opt.iterate([[X]], max_epochs=5)):
        z = {name: random.standard_normal(array.shape) for name, array in params.items()}
        squares = squares + (A @ np.concatenate([z["w"].reshape(-1), z["b"]]))[4:] ** 2
        mean = opt.state["b"]["mean_square"]
        assert (mean > 0).all()
        if t == 0:
            np.testing.assert_allclose(mean, opt.state["b"]["product"] ** 2)
    assert opt.steps == 5


class TestProducts:
    def products(self, vectors, dtype=np.float64, **how):
        """The products of one draw of vectors on X."""
        _, opt = make(dtype, **how)
        opt._drawn = lambda: [np.asarray(vectors[name], dtype) for name in ("w", "b")]
        return opt._session.products((X,))

    @pytest.fixture
    def vectors(self):
        return {"w": rng.standard_normal((2, 2)), "b": rng.standard_normal(2)}

    @pytest.mark.parametrize(
        ("hv", "dtype", "tolerance"),
        [
            (product, np.float64, 1e-14),
            ("differences", np.float64, 1e-8),
            (None, np.float64, 1e-8),
            ("differences", np.float32, 1e-3),
        ],
    )
    def test_of_a_loss_with_gradients(self, vectors, hv, dtype, tolerance):
        expected = product(make()[0], vectors, X)
        for name, found in zip(("w", "b"), self.products(vectors, dtype, hv=hv), strict=True):
            assert found.dtype == dtype
            assert found.flags.c_contiguous
            scale = abs(expected[name]).max()
            np.testing.assert_allclose(found, expected[name], rtol=0, atol=tolerance * scale)

    @pytest.mark.parametrize("hv", [None, "autograd", "differences"])
    @pytest.mark.parametrize("structure", ["dict", "list", "tuple", "array"])
    def test_of_a_loss_that_autograd_derives(self, hv, structure):
        anp = pytest.importorskip("autograd.numpy")

        def cubes(p):
            parts = {"dict": lambda: [p["a"], p["b"]], "array": lambda: [p]}.get(structure, lambda: [p[0], p[1]])()
            return sum(anp.sum(part**3) for part in parts) / 6 + sum(anp.sum(part) ** 2 for part in parts) / 2

        first, second = np.array([1.0, -2.0, 3.0]), np.array([[0.5]])
        given = {"dict": {"a": first, "b": second}, "list": [first, second], "tuple": (first, second), "array": first}
        opt = fa.ESGD(cubes, given[structure], hv=hv, hv_rng=1)
        opt.evaluate(None)
        vectors = opt._drawn()
        opt._drawn = lambda: vectors
        for array, z, u in zip(opt._session.params.arrays, vectors, opt._session.products(()), strict=True):
            np.testing.assert_allclose(u, array * z + z.sum(), rtol=1e-7)

    def test_none_derives_where_autograd_derives_the_gradients(self):
        """Its products are exact, where those by differences are not."""
        anp = pytest.importorskip("autograd.numpy")
        opt = fa.ESGD(lambda w: anp.sum(anp.exp(w)), np.ones(3), hv_rng=1)
        opt.minimize(max_epochs=1, learning_rate=0.0)
        z = np.random.default_rng(1).standard_normal(3)
        np.testing.assert_allclose(opt.state["param0"]["product"], np.e * z, rtol=1e-15)

    @pytest.mark.parametrize("kind", ["Rows", "csr", "one buffer"])
    def test_differences_of_other_gradients(self, kind):
        sparse = pytest.importorskip("scipy.sparse")
        table, buffer = np.arange(1.0, 9.0).reshape(4, 2), np.zeros((4, 2))

        def loss(table):
            buffer[...] = 0
            buffer[[1, 3]] = table[[1, 3]] ** 2
            whole = {"csr": sparse.csr_array, "one buffer": lambda x: x}
            made = fa.Rows(np.array([1, 3]), buffer[[1, 3]]) if kind == "Rows" else whole[kind](buffer)
            return (table[[1, 3]] ** 3).sum() / 3, made

        opt = fa.ESGD(loss, table, hv="differences", hv_rng=2, lazy="touched")
        opt.minimize(max_epochs=1, learning_rate=0.0)
        z = np.random.default_rng(2).standard_normal((4, 2))
        expected = 2 * table * z * np.array([[0], [1], [0], [1]])
        np.testing.assert_allclose(opt.state["param0"]["product"], expected, rtol=1e-7)

    @pytest.mark.parametrize("hv", [product, "differences"])
    def test_frozen_parameters_rest(self, hv):
        params, opt = make(hv=hv, groups={"w": {"frozen": True}})
        before = params["w"].copy()
        opt.minimize([[X]], max_epochs=3)
        assert params["w"].tolist() == before.tolist()
        z = np.random.default_rng(5).standard_normal((3, 2))[-1]
        _, fresh = make(hv=hv, groups={"w": {"frozen": True}})
        fresh.minimize([[X]], max_epochs=3, learning_rate=0.0)
        quartic = np.diag(X.mean() * make()[0]["b"] ** 2)
        np.testing.assert_allclose(fresh.state["b"]["product"], (A[4:, 4:] + quartic) @ z, rtol=1e-7)
        assert opt.draw_vectors()["w"].tolist() == np.zeros((2, 2)).tolist()

    @pytest.mark.parametrize(
        ("result", "error", "message"),
        [
            (None, TypeError, "what hv returns must be a dict like params"),
            ({"w": np.zeros((2, 2))}, ValueError, r"what hv returns must have the names of params; missing: \['b'\]"),
            (
                {"w": np.zeros((2, 2)), "b": np.zeros(3)},
                ValueError,
                r"product of 'b' must have shape \(2,\), not \(3,\)",
            ),
            ({"w": np.zeros((2, 2)), "b": np.zeros(2, int)}, TypeError, "product of 'b' must have dtype float64"),
            ({"w": None, "b": np.zeros(2)}, TypeError, r"product of 'w' is missing \(None\)"),
            ({"w": np.full((2, 2), np.nan), "b": np.zeros(2)}, FloatingPointError, "product of 'w' must be finite"),
        ],
    )
    def test_what_a_callable_may_not_return(self, result, error, message):
        params, opt = make(hv=lambda params, vectors, x: result)
        before = {name: array.copy() for name, array in params.items()}
        with pytest.raises(error, match=message):
            opt._session.train_on((X,))
        assert opt.steps == 0
        for name, array in params.items():
            assert array.tolist() == before[name].tolist()
            assert not opt.state[name]["mean_square"].any()
            assert not opt.state[name]["product"].any()

    @pytest.mark.parametrize("hv", [3, "rop", True, "Autograd"])
    def test_no_way_to_products(self, hv):
        with pytest.raises(TypeError, match="hv must be a callable"):
            make(hv=hv)


class TestSteps:
    def test_products_are_wanted(self):
        opt = fa.ESGD(params=np.ones(3))
        with pytest.raises(TypeError, match=r"ESGD\.step needs products, too: the Hessian times vectors"):
            opt.step(np.ones(3))
        [(_, update)] = opt.get_updates()
        with pytest.raises(TypeError, match=r"product of 'param0' is missing"):
            update(np.ones(3))
        assert opt.steps == 0

    def test_by_hand(self):
        params, opt = make()
        others, other = make()
        for _ in range(3):
            opt._session.train_on((X,))
            vectors = other.draw_vectors()
            other.step(slope(others, X), product(others, vectors, X))
        for name in params:
            assert bits_differ(params[name], others[name]) == 0

    @pytest.mark.parametrize("nonfinite", ["raise", "skip", "ignore"])
    def test_a_product_that_is_not_finite(self, nonfinite):
        w = np.ones(2)
        opt = fa.ESGD(params=w, nonfinite=nonfinite)
        if nonfinite == "raise":
            with pytest.raises(FloatingPointError, match="product of 'param0' must be finite"):
                opt.step(np.ones(2), np.array([np.inf, 1.0]))
        else:
            with np.errstate(all="ignore"):
                opt.step(np.ones(2), np.array([np.nan, 1.0]))
        if nonfinite == "ignore":
            assert np.isnan(w).tolist() == [True, False]
            return
        assert w.tolist() == [1.0, 1.0]
        assert not opt.state["param0"]["product"].any()
        assert (opt.steps, opt.skipped) == (0, nonfinite == "skip")

    def test_a_gradient_that_is_refused_leaves_the_product(self):
        opt = fa.ESGD(params=np.ones(2))
        for bad in (np.ones(3), np.array([np.nan, 1])):
            with pytest.raises((ValueError, FloatingPointError)):
                opt.step(bad, np.ones(2))
        assert not opt.state["param0"]["product"].any()

    def test_mean_squares_that_overflow_are_told_of(self):
        opt = fa.ESGD(params=np.ones(2, np.float32))
        with pytest.warns(RuntimeWarning, match="the mean square of 'param0' has become infinite"):
            opt.step(np.ones(2, np.float32), np.full(2, 1e30, np.float32))

    def test_other_methods_take_no_products(self):
        with pytest.raises(TypeError):
            fa.SGD(params=np.ones(2)).step(np.ones(2), np.ones(2))
        with pytest.raises(TypeError, match="unexpected keyword 'hv'"):
            fa.SGD(params=np.ones(2), hv=product)


def test_a_rule_of_the_users_own_is_fed():
    class Own(esgd.Running):
        """ESGD under another name."""

        name = "own_esgd"
        Hyperparameters, scalar_values = esgd.Hyperparameters, staticmethod(esgd.scalar_values)

    class Hungry(Own):
        name, fed = "hungry", "nothing"

    with pytest.raises(TypeError, match=r"fed must name one of its slots \('mean_square', 'product'\), not 'nothing'"):
        fa.register(Hungry)
    fa.register(Own)
    try:
        w, v = np.ones(3), np.ones(3)
        opt, other = fa.build("own_esgd", params=w), fa.ESGD(params=v)
        for each in (opt, other):
            each.step(np.arange(3.0), np.array([1.0, 2.0, 3.0]))
        assert bits_differ(w, v) == 0
    finally:
        del METHODS["own_esgd"]


class TestRuns:
    def test_a_file_goes_on_with_the_same_numbers(self, tmp_path):
        params, opt = make()
        epochs = opt.iterate([[X]], max_epochs=8)
        for _ in range(3):
            next(epochs)
        opt.save(tmp_path / "file")
        for _ in epochs:
            pass
        others, other = make(hv_rng=77)
        other.load(tmp_path / "file")
        for _ in other.iterate([[X]], max_epochs=8):
            pass
        for name in params:
            assert bits_differ(params[name], others[name]) == 0
            assert bits_differ(opt.state[name]["mean_square"], other.state[name]["mean_square"]) == 0

    def test_random_numbers_of_another_generator_are_a_difference(self, tmp_path):
        opt, (_, other) = make()[1], make(hv_rng=np.random.Generator(np.random.Philox(3)))
        opt.save(tmp_path / "file")
        with pytest.raises(ValueError, match="its random numbers are not like those here"):
            other.load(tmp_path / "file")

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
    @pytest.mark.parametrize("rng", [5, np.random.Generator(np.random.Philox(3))])
    def test_copies_go_on_with_the_same_numbers(self, copied, rng):
        params = {"w": np.ones((2, 2)), "b": np.ones(2)}
        opt = fa.ESGD(both, params, hv=product, hv_rng=rng, learning_rate=0.01)
        opt.minimize([[X]], max_epochs=3)
        twin = copied(opt)
        for each in (opt, twin):
            each.minimize([[X]], max_epochs=3)
        for name in params:
            assert bits_differ(params[name], twin.params[name]) == 0
            assert not np.shares_memory(params[name], twin.params[name])

    @pytest.mark.parametrize("call", ["minimize", "build"])
    def test_by_name(self, call):
        params, opt = make()
        opt.minimize([[X]], max_epochs=3)
        others, _ = make()
        how = {"hv": product, "hv_rng": 5}
        if call == "minimize":
            fa.minimize(both, [[X]], params=others, algo="esgd", max_epochs=3, learning_rate=0.01, **how)
        else:
            fa.build("ESGD", both, others, **how).minimize([[X]], max_epochs=3, learning_rate=0.01)
        for name in params:
            assert bits_differ(params[name], others[name]) == 0

    @pytest.mark.parametrize("hv", [product, "differences"])
    def test_a_search_for_a_rate_draws_from_a_copy(self, hv):
        params, opt = make(hv=hv)
        before = {name: array.copy() for name, array in params.items()}
        searches = [fa.find_learning_rate(opt, [[X]], steps=5, per_decade=1, rng=0) for _ in range(2)]
        assert searches[0].losses.tolist() == searches[1].losses.tolist()
        assert all(params[name].tolist() == before[name].tolist() for name in params)
        fresh = make(hv=hv)[1]
        assert opt.draw_vectors()["b"].tolist() == fresh.draw_vectors()["b"].tolist()

    def test_seeds_tell_the_draws(self):
        draws = [make(hv_rng=seed)[1].draw_vectors()["w"].tolist() for seed in (1, 1, 2, np.random.default_rng(1))]
        assert draws[0] == draws[1] == draws[3] != draws[2]

    def test_in_a_comparison(self, tmp_path):
        def rows(seed):
            table = np.random.default_rng(seed).standard_normal((5, 2))

            def loss(table):
                return (table[[1, 3]] ** 2).sum() / 2, fa.Rows(np.array([1, 3]), table[[1, 3]])

            return Task(params=table, loss=loss, updates=5, epochs=3)

        found = compare(
            [Problem("rows", rows, convex=True)],
            ["esgd"],
            rates="0.01:1:3",
            seeds=2,
            jobs=0,
            out=tmp_path,
            report=False,
        )
        assert found.lines[0].method == "esgd"


class TestOnDeviceArrays:
    def hv(self, gpu):
        return lambda w, z, *batch: gpu.array(z.numpy() * 3 if hasattr(z, "numpy") else z.to_host() * 3)

    def test_products_of_a_callable(self, gpu):
        start = np.ones(5)
        array, host = gpu.array(start), start.copy()

        def loss(w):
            w = w.numpy() if hasattr(w, "numpy") else w
            return (w @ w) * 1.5, 3 * w

        def on_gpu(w):
            found, g = loss(w)
            return found, gpu.array(g)

        fa.ESGD(on_gpu, array, hv=self.hv(gpu), hv_rng=3, learning_rate=0.1).minimize(max_epochs=3)
        fa.ESGD(loss, host, hv=lambda w, z: 3 * z, hv_rng=3, learning_rate=0.1).minimize(max_epochs=3)
        assert bits_differ(array.numpy(), host) == 0

    def test_what_is_refused(self, gpu):
        opt = fa.ESGD(lambda w: (1.0, gpu.array(np.ones(5))), gpu.array(np.ones(5)))
        with pytest.raises(TypeError, match="pass hv=, a callable"):
            opt._session.train_on(())
        with pytest.raises(TypeError, match="product of 'param0' must be a device array"):
            opt.step(gpu.array(np.ones(5)), np.ones(5))
        with pytest.raises(FloatingPointError, match="product of 'param0' must be finite"):
            opt.step(gpu.array(np.ones(5)), gpu.array(np.array([1, np.nan, 1, 1, 1.0])))


def test_differences_of_parameters_of_other_sizes():
    """Each size has a way of its own: a large parameter does not blur the products of a small one."""

    def loss(params):
        w, b = params["w"], params["b"]
        value = float(np.log(np.cosh(w)).sum() + 0.5e-6 * (b * b).sum() + (w * b).sum() * 1e-3)
        return value, {"w": np.tanh(w) + 1e-3 * b, "b": 1e-6 * b + 1e-3 * w}

    for large in (1.0, 1e3, 1e6):
        params = {"b": np.array([large]), "w": np.array([0.5])}
        opt = fa.ESGD(loss, params, hv="differences", hv_rng=0, learning_rate=1e-12)
        vectors = fa.ESGD(loss, {n: p.copy() for n, p in params.items()}, hv_rng=0).draw_vectors()
        opt.minimize(max_epochs=1)
        v, u = vectors["w"], vectors["b"]
        expected = {"w": v / np.cosh(0.5) ** 2 + 1e-3 * u, "b": 1e-6 * u + 1e-3 * v}
        for name, product in expected.items():
            np.testing.assert_allclose(opt.state[name]["product"], product, rtol=1e-4)
