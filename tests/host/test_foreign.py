"""Arrays of other libraries in the host's memory: gradients, rows and parameters without a copy.

That nothing is copied is shown by addresses, and by writing through one name and reading through the other.
"""

import copy
import gc
import io
import pickle
import weakref

import numpy as np
import pytest
from lent import ByDLPack, ByInterface, Elsewhere, address

import fastadagrad as fa
from fastadagrad.engine.place import array_of
from fastadagrad.host import bucket, sparse_gradients
from fastadagrad.host.foreign import as_host_array

LENDERS = pytest.mark.parametrize("lent", [ByDLPack, ByInterface])


def ones(shape=3, dtype=np.float32):
    return np.ones(shape, dtype)


def stepped(gradient, shape=3, **hyper):
    w = np.zeros(shape, np.float32)
    fa.ADAGRAD(params=w, learning_rate=0.5, **hyper).step(gradient)
    return w.tobytes()


@pytest.fixture
def seen(monkeypatch):
    """Addresses of the gradients that a step has been made with."""
    addresses = []

    def watched(name, gradient, *others):
        addresses.append(gradient.ctypes.data)
        return refusal(name, gradient, *others)

    refusal = bucket.gradient_refusal
    monkeypatch.setattr(bucket, "gradient_refusal", watched)
    return addresses


class TestViews:
    @LENDERS
    def test_the_same_memory(self, lent):
        array = ones()
        view = as_host_array(lent(array))
        assert type(view) is np.ndarray
        assert view.ctypes.data == address(array)
        array[1] = 7
        assert view.tolist() == [1, 7, 1]

    @LENDERS
    def test_a_view_keeps_the_memory(self, lent):
        array = ones().view(type("Watched", (np.ndarray,), {}))  # which can be referred to weakly
        watch, view = weakref.ref(array), as_host_array(lent(array))
        del array
        gc.collect()
        assert watch() is not None
        assert view.tolist() == [1, 1, 1]
        del view
        gc.collect()
        assert watch() is None

    @pytest.mark.parametrize("value", [None, [1.0], (1.0,), 1.0, np.float64(1.0), "abc", {"a": 1.0}, object()])
    def test_what_is_no_array(self, value):
        assert as_host_array(value) is None
        assert array_of("this", value) is None

    def test_memory_of_something_else_is_not_looked_into(self):
        assert as_host_array(Elsewhere(ones())) is None

    def test_what_cannot_be_read_says_why(self):
        class Broken(ByDLPack):
            def __dlpack__(self, **kwargs):
                raise BufferError("it has been given away")

        with pytest.raises(TypeError, match=r"gradient of 'param0': this Broken cannot be read .* given away"):
            stepped(Broken(ones()))


class Claiming:
    """An object that says where its memory lies, and how much there is."""

    def __init__(self, *claims, **claim):
        self.array = np.ones(3)
        honest = {"data": (address(self.array), False), "shape": (3,), "typestr": "<f8", "version": 3}
        self.claims = [{**honest, **each} for each in claims or [claim]]

    @property
    def __array_interface__(self):
        self.claims.append(self.claims.pop(0))
        return self.claims[-1]


class TestLies:
    """Objects that lie of their memory: what can be found out is found out before the memory is read."""

    @pytest.mark.parametrize(
        ("claim", "said"),
        [
            ({"data": (0xDEAD0000, False)}, "there is no memory where it says that it lies, from 0xdead0000"),
            ({"data": (0, False)}, "cannot be read as an array"),
            ({"shape": (1 << 40,)}, "there is no memory"),
            ({"typestr": "O"}, "it holds Python objects"),
            ({"data": b"1234567", "typestr": "|u1", "shape": (8,)}, "it says that it has 8 bytes, and there are 7"),
            ({"data": None}, "cannot be read as an array"),
            ({"data": 3}, "cannot be read as an array"),
            ({"typestr": "<f9"}, "cannot be read as an array"),
            ({"shape": (-3,)}, "cannot be read as an array"),
            ({"shape": "3"}, "cannot be read as an array"),
        ],
        ids=str,
    )
    def test_are_refused(self, claim, said):
        opt = fa.ADAGRAD(params=np.zeros(3))
        for refused in (
            lambda: opt.step(Claiming(**claim)),
            lambda: fa.ADAGRAD(params=Claiming(**claim)),
            lambda: opt.set_params(Claiming(**claim)),
            lambda: opt.set_params([Claiming(**claim)]),
            lambda: fa.ADAGRAD(lambda w: (1.0, Claiming(**claim)), np.zeros(3)).minimize(max_updates=1),
            lambda: fa.ADAGRAD(lambda w: [Claiming(**claim)], np.zeros(3), gradient=lambda w: w).evaluate(None),
        ):
            with pytest.raises(TypeError, match=said):
                refused()
        assert opt.steps == 0

    def test_the_memory_is_asked_for_once(self):
        other = np.full(3, 7.0)
        lies = Claiming({}, {"data": (address(other), False)})
        assert as_host_array(lies).tolist() == [1, 1, 1]
        assert as_host_array(lies).tolist() == [7, 7, 7]

    def test_of_bytes(self):
        found = as_host_array(Claiming(data=np.arange(3.0).tobytes()))
        assert found.tolist() == [0, 1, 2]

    def test_a_subclass_that_lies_of_itself(self):
        class Lying(np.ndarray):
            shape = property(lambda self: (3,))
            dtype = property(lambda self: np.dtype(float))

        lying = np.zeros(1000, np.float32).view(Lying)
        opt = fa.ADAGRAD(params=np.ones(3))
        with pytest.raises(TypeError, match="must be a plain"):
            opt.step(lying)
        with pytest.raises(ValueError, match=r"must have shape \(3,\), not \(1000,\)"):
            opt.set_params(lying)
        with pytest.raises(ValueError, match="must be a plain"):
            fa.ADAGRAD(params=lying)


class TestGradients:
    @LENDERS
    def test_a_step_has_the_bits_and_reads_that_very_memory(self, lent, seen):
        gradient = np.array([0.5, -2.0, 3.0], np.float32)
        found = stepped(lent(gradient))
        assert seen == [address(gradient)]
        assert found == stepped(gradient.copy())

    @LENDERS
    def test_among_others(self, lent):
        params = [np.zeros(3, np.float32), np.zeros(2), np.zeros(3, np.float32)]
        opt = fa.ADAGRAD(params=params, learning_rate=0.5, max_global_norm=1.0)
        opt.step([lent(ones()), ones(2, float), ones()])
        expected = [np.zeros(3, np.float32), np.zeros(2), np.zeros(3, np.float32)]
        fa.ADAGRAD(params=expected, learning_rate=0.5, max_global_norm=1.0).step([ones(), ones(2, float), ones()])
        assert [a.tobytes() for a in params] == [a.tobytes() for a in expected]

    @LENDERS
    def test_of_methods_that_measure_first(self, lent):
        w, expected = np.zeros(3), np.zeros(3)
        fa.DoG(params=w).step(lent(ones(3, float)))
        fa.DoG(params=expected).step(ones(3, float))
        assert w.tobytes() == expected.tobytes() != np.zeros(3).tobytes()

    @LENDERS
    def test_single_updates_and_products(self, lent):
        opt = fa.SGD(params=np.zeros(2), learning_rate=0.5)
        [(_, update)] = opt.get_updates()
        update(lent(ones(2, float)))
        assert opt.params["param0"].tolist() == [-0.5, -0.5]

    def test_read_only_ones(self):
        gradient = ones()
        gradient.flags.writeable = False
        assert stepped(ByInterface(gradient)) == stepped(ones())

    def test_nothing_is_kept_of_it_after_the_step(self):
        class Watched(np.ndarray):
            pass

        for value in (1.0, np.nan):
            gradient = (ones() * np.float32(value)).view(Watched)
            watch = weakref.ref(gradient)
            opt = fa.ADAGRAD(params=np.zeros(3, np.float32), nonfinite="skip")
            opt.step(ByInterface(gradient))
            del gradient
            gc.collect()
            assert watch() is None, value

    @pytest.mark.parametrize(
        ("gradient", "error", "said"),
        [
            (
                ones(3, float),
                TypeError,
                r"dtype float32, not float64; pass numpy.asarray\(gradient\).astype\(float32\)",
            ),
            (ones(4), ValueError, r"must have shape \(3,\), not \(4,\)"),
            (ones(6)[::2], ValueError, r"C-contiguous.*pass numpy.ascontiguousarray\(numpy.asarray\(gradient\)\)"),
            (np.array([1, np.inf, 1], np.float32), FloatingPointError, "must be finite"),
        ],
    )
    @LENDERS
    def test_refusals_change_nothing(self, lent, gradient, error, said):
        w = np.zeros(3, np.float32)
        opt = fa.ADAGRAD(params=w)
        with pytest.raises(error, match=f"gradient of 'param0' {said}|{said}"):
            opt.step(lent(gradient))
        assert (w.tolist(), opt.steps) == ([0, 0, 0], 0)

    def test_the_memory_of_a_parameter_is_noticed(self):
        w = np.zeros(4, np.float32)
        opt = fa.ADAGRAD(params=w[:3])
        with pytest.raises(ValueError, match="overlaps the memory of a parameter"):
            opt.step(ByDLPack(w[1:]))

    def test_subclasses_of_numpys_are_refused_as_before(self):
        with pytest.raises(TypeError, match=r"must be a plain numpy\.ndarray, not MaskedArray"):
            stepped(np.ma.masked_array(ones()))

    def test_from_a_loss(self):
        w = np.zeros(3)
        opt = fa.SGD(lambda w: (ByDLPack(np.array(((w - 1) ** 2).sum())), ByDLPack(2 * (w - 1))), w, learning_rate=0.25)
        opt.minimize(max_updates=1)
        assert w.tolist() == [0.5, 0.5, 0.5]


class TestRows:
    @LENDERS
    def test_indices_and_values(self, lent, monkeypatch):
        given = []
        checked = sparse_gradients.form_refusal
        monkeypatch.setattr(
            sparse_gradients, "form_refusal", lambda *a: (given.append(a[2].ctypes.data), checked(*a))[1]
        )
        indices, values = np.array([4, 1, 4]), np.arange(6, dtype=np.float32).reshape(3, 2)
        found = stepped(fa.Rows(lent(indices), lent(values)), (5, 2))
        assert given == [address(values)]
        assert found == stepped(fa.Rows(indices, values), (5, 2))

    @LENDERS
    def test_of_int32(self, lent):
        indices = np.array([2, 0], np.int32)
        assert stepped(fa.Rows(lent(indices), lent(ones((2, 2)))), (5, 2)) == stepped(
            fa.Rows(indices, ones((2, 2))), (5, 2)
        )

    @LENDERS
    def test_reading_rows(self, lent):
        opt = fa.SGD(params=np.arange(6.0).reshape(3, 2))
        assert opt.read_rows("param0", lent(np.array([2, 0]))).tolist() == [[4, 5], [0, 1]]

    def test_refusals(self):
        with pytest.raises(TypeError, match=r"values must have dtype float32.*pass numpy.asarray\(values\).astype"):
            stepped(fa.Rows(np.array([1]), ByDLPack(ones((1, 2), float))), (5, 2))
        with pytest.raises(TypeError, match="int32 or int64, not float32"):
            stepped(fa.Rows(ByDLPack(ones(1)), ones((1, 2))), (5, 2))


class TestParameters:
    @LENDERS
    def test_they_are_updated_in_place(self, lent):
        array = np.zeros(3)
        owner = lent(array)
        opt = fa.SGD(params=owner, learning_rate=0.5)
        opt.step(np.array([1.0, 2.0, 3.0]))
        assert array.tolist() == [-0.5, -1.0, -1.5]
        assert opt.params["param0"] is owner

    @LENDERS
    def test_the_owner_is_kept_alive(self, lent):
        opt = fa.SGD(params=lent(np.zeros(3)), learning_rate=0.5)
        gc.collect()
        for _ in range(3):
            opt.step(np.ones(3))
        assert opt.params["param0"].array.tolist() == [-1.5, -1.5, -1.5]

    def test_beside_numpys(self):
        params = {"a": ByDLPack(np.zeros(2)), "b": np.zeros(2)}
        opt = fa.SGD(params=params, learning_rate=0.5)
        opt.step({"a": np.ones(2), "b": ByDLPack(np.ones(2))})
        assert params["a"].array.tolist() == params["b"].tolist() == [-0.5, -0.5]

    @pytest.mark.parametrize(
        ("array", "said"),
        [
            (
                np.zeros(3, np.int64),
                "must be float32, float64, float16 or bfloat16, not int64; pass one of dtype float32",
            ),
            (np.zeros(6)[::2], "must be C-contiguous, its strides are .*; pass a contiguous copy"),
        ],
    )
    @LENDERS
    def test_refusals(self, lent, array, said):
        with pytest.raises(ValueError, match=f"parameter 'param0' {said}"):
            fa.SGD(params=lent(array))

    def test_read_only_ones_are_refused(self):
        array = np.zeros(3)
        array.flags.writeable = False
        with pytest.raises(ValueError, match=r"parameter 'param0' is read-only .* pass numpy.array\(array\)"):
            fa.SGD(params=ByInterface(array))

    def test_one_that_has_been_moved_is_noticed(self):
        owner = ByInterface(np.zeros(3))
        opt = fa.SGD(params=owner)
        owner.array = np.zeros(3)
        with pytest.raises(ValueError, match="'param0' was moved in memory"):
            opt.save(io.BytesIO())

    def test_memory_that_two_share_is_noticed(self):
        array = np.zeros(3)
        with pytest.raises(ValueError, match="share memory"):
            fa.SGD(params=[ByDLPack(array), array])

    @LENDERS
    def test_files_and_best_parameters(self, lent):
        array = np.zeros(3)
        opt = fa.SGD(lambda w: (float(((array - 1) ** 2).sum()), 2 * (array - 1)), lent(array), learning_rate=0.25)
        opt.minimize(max_epochs=2)
        assert (array.tolist(), opt.best.loss) == ([0.75] * 3, 0.1875)
        file = io.BytesIO()
        opt.save(file)
        file.seek(0)
        other = np.zeros(3)
        fa.SGD(params=lent(other), learning_rate=0.25).load(file)
        assert other.tolist() == array.tolist()
        opt.set_params(lent(np.full(3, 5.0)))
        assert array.tolist() == [5.0] * 3

    def test_monitored_numbers(self):
        opt = fa.SGD(lambda w: (1.0, w), np.zeros(1), monitors={"m": lambda w: ByDLPack(np.array([2.5]))})
        assert opt.evaluate(None) == {"loss": 1.0, "m": 2.5}


class TestTorch:
    """The extra `torch` brings what these tests need."""

    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch", reason="needs the extra torch")

    def test_views(self, torch):
        tensor = torch.ones(3, requires_grad=True)
        view = as_host_array(tensor)
        assert view.ctypes.data == tensor.data_ptr()
        assert view.flags.writeable

    def test_a_step_reads_that_very_memory(self, torch, seen):
        gradient = torch.tensor([0.5, -2.0, 3.0])
        found = stepped(gradient)
        assert seen == [gradient.data_ptr()]
        assert found == stepped(np.array([0.5, -2.0, 3.0], np.float32))

    def test_rows(self, torch):
        indices, values = torch.tensor([4, 1, 4]), torch.arange(6.0).reshape(3, 2)
        assert stepped(fa.Rows(indices, values), (5, 2)) == stepped(fa.Rows(indices.numpy(), values.numpy()), (5, 2))

    def test_parameters(self, torch):
        w = torch.zeros(3, requires_grad=True)
        where = w.data_ptr()
        opt = fa.SGD(params=w, learning_rate=0.5)
        ((w - 1) ** 2).sum().backward()
        opt.step(w.grad)
        assert w.data_ptr() == where
        assert w.tolist() == [1.0, 1.0, 1.0]
        assert opt.params["param0"] is w

    def test_a_loss_with_gradients_of_torch(self, torch):
        def loss(w, x):
            value = ((w - x) ** 2).mean()
            return value, torch.autograd.grad(value, w)[0]

        w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        opt = fa.SGD(loss, w, learning_rate=0.5)
        _, valid = opt.minimize([torch.ones(4, 2)], max_epochs=60)
        assert valid["loss"] < 1e-6

    def test_copies(self, torch):
        w = torch.zeros(3, requires_grad=True)
        opt = fa.SGD(params=w, learning_rate=0.5)
        for other in (opt.twin(), copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
            own = other.params["param0"]
            assert type(own) is torch.Tensor
            assert own.requires_grad
            other.step(torch.ones(3))
            assert (own.tolist(), w.tolist()) == ([-0.5] * 3, [0.0] * 3)

    @pytest.mark.parametrize("kind", ["bfloat16", "sparse"])
    def test_what_numpy_has_not(self, torch, kind):
        gradient = torch.ones(3).bfloat16() if kind == "bfloat16" else torch.ones(3).to_sparse()
        with pytest.raises(TypeError, match="gradient of 'param0': this Tensor cannot be read as an array of NumPy's"):
            stepped(gradient)

    def test_of_another_layout(self, torch):
        with pytest.raises(ValueError, match="parameter 'param0' must be C-contiguous"):
            fa.SGD(params=torch.zeros(2, 3).T)


class TestJax:
    """The extra `jax` brings what these tests need."""

    @pytest.fixture
    def jax(self):
        return pytest.importorskip("jax", reason="needs the extra jax")

    def test_a_step_reads_that_very_memory(self, jax, seen):
        gradient = jax.numpy.array([0.5, -2.0, 3.0])
        found = stepped(gradient)
        assert seen == [gradient.unsafe_buffer_pointer()]
        assert found == stepped(np.array([0.5, -2.0, 3.0], np.float32))

    def test_rows(self, jax):
        indices, values = jax.numpy.array([4, 1, 4]), jax.numpy.arange(6.0).reshape(3, 2)
        expected = stepped(fa.Rows(np.asarray(indices), np.asarray(values)), (5, 2))
        assert stepped(fa.Rows(indices, values), (5, 2)) == expected

    def test_parameters_are_refused_with_what_to_do(self, jax):
        with pytest.raises(ValueError, match=r"parameter 'param0' is read-only .* pass numpy.array\(array\)"):
            fa.SGD(params=jax.numpy.zeros(3))

    def test_a_loss(self, jax):
        grad = jax.value_and_grad(lambda w: ((w - 1) ** 2).sum())
        w = np.zeros(3, np.float32)
        _, valid = fa.SGD(grad, w, learning_rate=0.25).minimize(max_epochs=20)
        assert valid["loss"] < 1e-9
