"""Parameters as trees of dicts and lists: everything has the bits of the flat dict of the same arrays."""

import copy
import io
import pickle
from collections import namedtuple

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.compare import Task

Layer = namedtuple("Layer", "W b")
NAMES = ["layers/0/W", "layers/0/b", "layers/1/0", "layers/1/1", "table"]
SHAPES = [(3, 4), (4,), (4, 2), (2,), (6, 2)]


def tree_of(W0, b0, W1, b1, table):
    return {"layers": [{"W": W0, "b": b0}, (W1, b1)], "table": table}


def arrays(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def flat_of(values):
    return dict(zip(NAMES, values, strict=True))


def pair(algo="adagrad", loss=None, flat_loss=None, **hyper):
    """Optimizers of a tree, and of the flat dict of copies of its arrays."""
    hyper = {"learning_rate": 0.1, **hyper}
    return (
        fa.build(algo, loss, tree_of(*arrays()), **hyper),
        fa.build(algo, flat_loss, flat_of(arrays()), **hyper),
    )


def assert_same(nested, flat):
    assert list(nested.params) == list(flat.params) == list(nested.state) == NAMES
    for name in NAMES:
        assert nested.params[name].tobytes() == flat.params[name].tobytes(), name
        for slot, values in flat.state[name].items():
            assert nested.state[name][slot].tobytes() == values.tobytes(), (name, slot)
    assert nested.steps == flat.steps


def forward(W0, b0, W1, b1, table, x, i):
    """Value and gradients of a small network on top of rows of a table."""
    hidden = np.tanh(x @ W0 + b0)
    error = hidden @ W1 + b1 - table[i]
    back = 2 * error / len(x)
    inner = back @ W1.T * (1 - hidden**2)
    return float((error**2).mean()), [x.T @ inner, inner.sum(0), hidden.T @ back, back.sum(0), fa.Rows(i, -back)]


def leaves_of(params):
    (first, (W1, b1)), table = params["layers"], params["table"]
    return first["W"], first["b"], W1, b1, table


def nested_loss(params, x, i):
    value, gradients = forward(*leaves_of(params), x, i)
    return value, tree_of(*gradients)


def loss_by_names(params, x, i):
    value, gradients = forward(*leaves_of(params), x, i)
    return value, flat_of(gradients)


def flat_loss(params, x, i):
    value, gradients = forward(*params.values(), x, i)
    return value, flat_of(gradients)


X = np.random.default_rng(1).standard_normal((40, 3))
ROWS = np.random.default_rng(2).integers(0, 6, 40)

FORMS = {
    "in the structure": tree_of,
    "by names": lambda *g: flat_of(g),
    "by names in another order": lambda *g: dict(reversed(flat_of(g).items())),
    "a list in order": lambda *g: [*g],
    "keys in another order": lambda *g: dict(reversed(tree_of(*g).items())),
    "tuples for lists": lambda *g: {"layers": ({"b": g[1], "W": g[0]}, [g[2], g[3]]), "table": g[4]},
    "a named tuple for a tuple": lambda *g: {"layers": [{"W": g[0], "b": g[1]}, Layer(g[2], g[3])], "table": g[4]},
}


class TestSteps:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("algo", ["adagrad", "adam", "dog"])
    def test_bits(self, algo, form):
        nested, flat = pair(algo, **({"learning_rate": 1.0} if algo == "dog" else {}))
        for seed in range(1, 4):
            nested.step(FORMS[form](*arrays(seed)))
            flat.step(flat_of(arrays(seed)))
        assert_same(nested, flat)

    def test_rows_in_a_leaf(self):
        nested, flat = pair(momentum=0.9)
        for seed in range(1, 4):
            *dense, table = arrays(seed)
            rows = fa.Rows(np.array([4, 1, 4]), table[:3])
            nested.step(tree_of(*dense, rows))
            flat.step(flat_of([*dense, rows]))
        assert (
            nested.read_rows("table", np.array([0, 4])).tolist() == flat.read_rows("table", np.array([0, 4])).tolist()
        )
        assert_same(nested, flat)

    def test_gradients_of_jax(self):
        jax = pytest.importorskip("jax", reason="needs the extra jax")
        nested = fa.ADAGRAD(params=tree_of(*arrays(0, np.float32)), learning_rate=0.1)
        flat = fa.ADAGRAD(params=flat_of(arrays(0, np.float32)), learning_rate=0.1)
        for seed in range(1, 4):
            gradients = tree_of(*arrays(seed, np.float32))
            nested.step(jax.tree_util.tree_map(jax.numpy.asarray, gradients))
            flat.step(flat_of(leaves_of(gradients)))
        assert_same(nested, flat)

    def test_the_users_own_arrays_are_updated(self):
        given = tree_of(*arrays())
        opt = fa.SGD(params=given, learning_rate=0.5)
        opt.step(tree_of(*(np.ones(shape) for shape in SHAPES)))
        assert opt.params["layers/1/0"] is given["layers"][1][0]
        assert [a.tolist() for a in leaves_of(given)] == [(a - 0.5).tolist() for a in arrays()]

    def test_a_list_of_layers(self):
        layers = [(np.zeros(2), np.zeros(1)), [np.zeros(3)]]
        opt = fa.SGD(params=layers, learning_rate=0.5)
        opt.step([(np.ones(2), np.ones(1)), (np.ones(3),)])
        opt.step({"0/0": np.ones(2), "0/1": np.zeros(1), "1/0": np.zeros(3)})
        assert [a.tolist() for a in opt.params.values()] == [[-1, -1], [-0.5], [-0.5] * 3]

    def test_buffers_in_the_structure(self):
        nested, flat = pair()
        buffers = nested.gradients
        assert type(buffers["layers"]) is tuple
        with pytest.raises(TypeError):
            buffers["layers"][0]["W"] = np.ones(2)
        buffers["layers"][0]["W"][...] = 1
        flat.gradients["layers/0/W"][...] = 1
        nested.step()
        flat.step()
        assert_same(nested, flat)
        nested.step(nested.gradients)
        flat.step(flat.gradients)
        assert_same(nested, flat)

    @pytest.mark.parametrize("leaf", ["layers/0/b", "table"])
    def test_refused_gradients_have_the_way_to_them(self, leaf):
        opt, _ = pair()
        gradients = flat_of(arrays(1))
        gradients[leaf] = np.ones(7)
        with pytest.raises(ValueError, match=rf"gradient of '{leaf}' must have shape"):
            opt.step(tree_of(*gradients.values()))
        assert opt.steps == 0

    def test_single_updates(self):
        nested, flat = pair(momentum=0.5)
        for opt in (nested, flat):
            for (name, update), gradient in zip(opt.get_updates(), arrays(1), strict=True):
                assert name in NAMES
                update(gradient)
        assert_same(nested, flat)

    def test_groups_and_frozen_ones(self):
        groups = {"layers/0/b": {"frozen": True}, "layers/1/0": {"learning_rate": 0.5, "momentum": 0.9}}
        nested, flat = pair(groups=groups)
        gradients = arrays(1)
        gradients[1] = None
        for _ in range(3):
            nested.step(tree_of(*gradients))
            flat.step(flat_of(gradients))
        assert_same(nested, flat)
        assert nested.params["layers/0/b"].tolist() == arrays()[1].tolist()
        with pytest.raises(TypeError, match=r"groups got an unexpected keyword 'layers/0/c': .*known are layers/0/W"):
            fa.SGD(params=tree_of(*arrays()), groups={"layers/0/c": {"frozen": True}})


W, B = np.ones(2), np.ones(1)
OTHERS = {
    "missing": ({"a": {"W": W}, "c": B}, ValueError, r"missing: \['a/b'\], unknown: \[\]"),
    "missing container": ({"c": B}, ValueError, r"missing: \['a'\], unknown: \[\]"),
    "extra": ({"a": {"W": W, "b": B, "d": B}, "c": B}, ValueError, r"missing: \[\], unknown: \['a/d'\]"),
    "by names, one missing": ({"a/W": W, "c": B}, ValueError, r"missing: \['a/b'\], unknown: \[\]"),
    "by names, one more": ({"a/W": W, "a/b": B, "c": B, "d": B}, ValueError, r"missing: \[\], unknown: \['d'\]"),
    "list within": ({"a": [W, B], "c": B}, TypeError, "gradients at 'a' must be a dict like params, not list"),
    "array for a dict": ({"a": W, "c": B}, TypeError, "gradients at 'a' must be a dict like params, not ndarray"),
    "dict for an array": ({"a": {"W": W, "b": {"x": B}}, "c": B}, TypeError, "gradients at 'a/b' must be one array"),
    "short list": ([W, B], ValueError, "gradients must hold 3 arrays, one a parameter, not 2"),
    "array": (W, TypeError, "gradients must be a dict like params, not ndarray"),
}


@pytest.mark.parametrize(("gradients", "error", "said"), OTHERS.values(), ids=OTHERS)
def test_gradients_in_another_structure(gradients, error, said):
    params = {"a": {"W": np.zeros(2), "b": np.zeros(1)}, "c": np.zeros(1)}
    opt = fa.SGD(params=params, learning_rate=0.5)
    with pytest.raises(error, match=said):
        opt.step(gradients)
    loss = fa.SGD(lambda params: (1.0, gradients), params)
    with pytest.raises(error, match=said):
        loss.minimize(max_updates=1)
    assert (opt.steps, params["a"]["W"].tolist()) == (0, [0, 0])


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ({"a": {"W": np.ones(2), "b": {}}}, ValueError, "params: 'a/b' is an empty dict"),
        ([np.ones(2), []], ValueError, "params: '1' is an empty list"),
        ({"a": {0: np.ones(2)}}, TypeError, "not 0 within 'a'; use str"),
        ({"a/b": np.ones(2), "a": {"b": np.ones(2)}}, ValueError, "two would be named 'a/b'"),
        (
            {"a": {"b": [1.0, 2.0]}},
            TypeError,
            "parameter 'a/b' must be a numpy.ndarray .*, not list; pass numpy.asarray",
        ),
        ({"a": {"b": None}}, TypeError, "parameter 'a/b' must be a numpy.ndarray .*, not NoneType"),
        ([{"b": np.ones(2, int)}], ValueError, "parameter '0/b' must be float32, float64, float16 or bfloat16"),
        ({"a": [W], "b": {"c": W}}, ValueError, "parameters 'a/0' and 'b/c' share memory|'b/c' and 'a/0' share memory"),
    ],
)
def test_refused_trees(params, error, said):
    with pytest.raises(error, match=said):
        fa.ADAGRAD(params=params)


class TestRuns:
    @pytest.mark.parametrize("loss", [nested_loss, loss_by_names])
    @pytest.mark.parametrize("touches", [None, lambda x, i: {"table": i}])
    def test_bits(self, loss, touches):
        given = []

        def watched(params, x, i):
            given.append(params)
            return loss(params, x, i)

        watchers = {"size": lambda params, x, i: float(abs(params["layers"][0]["W"]).sum())}
        params = tree_of(*arrays())
        hyper = {"learning_rate": 0.1, "l2": 0.01, "monitor_gradients": True}
        nested = fa.ADAGRAD(watched, params, monitors=watchers, **hyper)
        flat = fa.ADAGRAD(
            flat_loss,
            flat_of(arrays()),
            monitors={"size": lambda params, x, i: float(abs(params["layers/0/W"]).sum())},
            **hyper,
        )
        runs = [opt.minimize([X, ROWS], max_epochs=6, batch_size=8, rng=0, touches=touches) for opt in (nested, flat)]
        assert runs[0] == runs[1]
        assert "grad(layers/1/0)" in runs[0][0]
        assert nested.evaluate([X, ROWS]) == flat.evaluate([X, ROWS])
        assert all(each is params for each in given)
        assert_same(nested, flat)
        nested.set_params("best")

    def test_a_callable_gradient_and_updates(self):
        means = [np.zeros(()), np.zeros(())]
        nested, flat = pair(loss=lambda *a: nested_loss(*a)[0], flat_loss=lambda *a: flat_loss(*a)[0])
        nested = fa.ADAGRAD(
            lambda *a: nested_loss(*a)[0],
            tree_of(*arrays()),
            gradient=lambda *a: nested_loss(*a)[1],
            updates=[(means[0], lambda params, x, i: params["layers"][0]["b"].mean())],
            learning_rate=0.1,
        )
        flat = fa.ADAGRAD(
            lambda *a: flat_loss(*a)[0],
            flat_of(arrays()),
            gradient=lambda *a: flat_loss(*a)[1],
            updates=[(means[1], lambda params, x, i: params["layers/0/b"].mean())],
            learning_rate=0.1,
        )
        for opt in (nested, flat):
            opt.minimize([X, ROWS], max_epochs=2, rng=0)
        assert_same(nested, flat)
        assert means[0] == means[1] != 0

    @pytest.mark.parametrize("algo", ["adagrad", "esgd"])
    def test_autograd(self, algo):
        anp = pytest.importorskip("autograd.numpy", reason="needs the extra autograd")

        def value(W0, b0, W1, b1, table, x, i):
            return anp.mean((anp.tanh(x @ W0 + b0) @ W1 + b1 - table[i]) ** 2)

        fed = {"hv_rng": 0} if algo == "esgd" else {}
        nested, flat = pair(
            algo,
            lambda params, x, i: value(*leaves_of(params), x, i),
            lambda params, *a: value(*params.values(), *a),
            **fed,
        )
        for opt in (nested, flat):
            opt.minimize([X, ROWS], max_epochs=2, rng=0)
        assert_same(nested, flat)

    @pytest.mark.parametrize("hv", ["differences", "callable"])
    def test_hessian_products(self, hv):
        def dense(gradients):
            *others, rows = gradients
            table = np.zeros(SHAPES[-1])
            np.add.at(table, rows.indices, rows.values)
            return [*others, table]

        def nested_dense(params, x, i):
            value, gradients = forward(*leaves_of(params), x, i)
            return value, tree_of(*dense(gradients))

        def flat_dense(params, x, i):
            value, gradients = forward(*params.values(), x, i)
            return value, flat_of(dense(gradients))

        def halves(params, vectors, x, i):
            return tree_of(*(v / 2 for v in leaves_of(vectors)))

        def flat_halves(params, vectors, x, i):
            return {name: v / 2 for name, v in vectors.items()}

        ways = ("differences", "differences") if hv == "differences" else (halves, flat_halves)
        nested, flat = pair("esgd", nested_dense, flat_dense, hv_rng=0)
        nested.hv, flat.hv = ways
        for opt in (nested, flat):
            opt.minimize([X, ROWS], max_epochs=2, rng=0)
        assert_same(nested, flat)
        assert nested.draw_vectors()["layers"][0]["W"].tolist() == flat.draw_vectors()["layers/0/W"].tolist()

    def test_finding_a_rate(self):
        nested, flat = pair(loss=nested_loss, flat_loss=flat_loss)
        found, expected = (
            fa.find_learning_rate(opt, [X, ROWS], steps=10, rng=0, per_decade=1) for opt in (nested, flat)
        )
        assert found.losses.tolist() == expected.losses.tolist()
        assert_same(nested, flat)

    def test_minimize(self):
        params, flat = tree_of(*arrays()), flat_of(arrays())
        found = fa.minimize(nested_loss, [X, ROWS], params=params, max_epochs=2, rng=0, learning_rate=0.1)
        assert found == fa.minimize(flat_loss, [X, ROWS], params=flat, max_epochs=2, rng=0, learning_rate=0.1)
        assert leaves_of(params)[0].tobytes() == flat["layers/0/W"].tobytes()


class TestSetting:
    @pytest.mark.parametrize("form", FORMS)
    def test_values(self, form):
        opt, _ = pair()
        opt.set_params(FORMS[form](*arrays(5)))
        assert [a.tolist() for a in opt.params.values()] == [a.tolist() for a in arrays(5)]

    def test_nested_lists_for_arrays(self):
        opt = fa.SGD(params={"a": {"b": np.zeros((2, 2))}, "c": [np.zeros(1)]})
        opt.set_params({"a": {"b": [[1, 2], [3, 4]]}, "c": [[5]]})
        assert [a.tolist() for a in opt.params.values()] == [[[1, 2], [3, 4]], [5]]

    def test_refusals_change_nothing(self):
        opt = fa.SGD(params={"a": {"b": np.zeros(2)}, "c": np.zeros(1)})
        for targets, error, said in [
            ({"a": {"b": [1, 2]}}, ValueError, r"targets must have the names of params; missing: \['c'\]"),
            ({"a": {"b": [1, 2, 3]}, "c": [1]}, ValueError, "target for 'a/b' must have shape"),
            ({"a": [1, 2], "c": [1]}, TypeError, "targets at 'a' must be a dict like params"),
        ]:
            with pytest.raises(error, match=said):
                opt.set_params(targets)
        assert [a.tolist() for a in opt.params.values()] == [[0, 0], [0]]


def saved(opt):
    file = io.BytesIO()
    opt.save(file)
    file.seek(0)
    return file


class TestCopies:
    @pytest.mark.parametrize("source", ["nested", "flat"])
    @pytest.mark.parametrize("target", ["nested", "flat"])
    def test_files_go_by_names(self, source, target):
        made = dict(zip(["nested", "flat"], pair(momentum=0.9), strict=True))
        made[source].step(FORMS["by names"](*arrays(1)))
        other = fa.ADAGRAD(
            params=(tree_of if target == "nested" else FORMS["by names"])(*arrays(3)), learning_rate=0.1, momentum=0.9
        )
        assert other.load(saved(made[source])) == []
        assert_same(other, made[source])

    @pytest.mark.parametrize(
        "way",
        [lambda opt: opt.twin(), copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))],
        ids=["twin", "deep", "pickle"],
    )
    def test_copies_go_on_alone_in_the_same_structure(self, way):
        nested, flat = pair(loss=nested_loss, flat_loss=flat_loss)
        for opt in (nested, flat):
            opt.minimize([X, ROWS], max_epochs=2, rng=0)
        before = [a.tobytes() for a in nested.params.values()]
        other, expected = way(nested), way(flat)
        for opt in (other, expected):
            opt.minimize([X, ROWS], max_epochs=2, rng=0)
        assert_same(other, expected)
        assert [a.tobytes() for a in nested.params.values()] == before

    def test_read_only_arrays_of_a_pickle_are_copied(self):
        nested, flat = pair()
        state = nested.__getstate__()
        for array in nested.params.values():
            array.flags.writeable = False
        other = fa.ADAGRAD.__new__(fa.ADAGRAD)
        other.__setstate__(state)
        for opt, form in ((other, tree_of), (flat, FORMS["by names"])):
            opt.step(form(*arrays(1)))
        assert_same(other, flat)

    def test_twins_with_given_parameters(self):
        opt, _ = pair()
        twin = opt.twin(tree_of(*arrays(7)))
        assert twin.params["table"].tolist() == arrays(7)[-1].tolist()
        with pytest.raises(
            ValueError, match=r"params must be nested as they are here, .*'W': 'layers/0/W'.*, not {'layers"
        ):
            opt.twin(flat_of(arrays(7)))
        with pytest.raises(ValueError, match="params must be named as they are here"):
            opt.twin({"layers": arrays(7)[:4], "table": arrays(7)[4]})

    def test_a_task_for_comparisons(self):
        task = Task(params=tree_of(*arrays()), loss=nested_loss, train=[X, ROWS])
        copied = task.copied()
        assert [a.tolist() for a in leaves_of(copied)] == [a.tolist() for a in arrays()]
        assert not any(map(np.shares_memory, leaves_of(copied), leaves_of(task.params)))


def test_what_is_shown():
    opt = fa.ADAGRAD(params={"a": {"b": np.ones(2)}}, learning_rate=0.5)
    assert repr(opt) == "ADAGRAD(learning_rate=0.5; 2 float64; step 0)"
    assert "a/b" in opt._repr_html_()
