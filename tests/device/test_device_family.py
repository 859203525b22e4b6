"""Methods beside AdaGrad on device arrays: the bits of the plain formula, from the kernels' PTX."""

import numpy as np
import pytest
from family import METHODS, ONE_OF_EACH, VARIANTS, oracle_of, product_of
from oracle import bits_differ, spread
from sparse import sparse_step

import fastadagrad as fa

F4 = np.float32


def marked(name, variant, dtype):
    quick = dtype is F4 and variant in ONE_OF_EACH
    return pytest.param(name, variant, dtype, marks=[] if quick else pytest.mark.slow)


CASES = [
    *(marked(*each, F4) for each in VARIANTS),
    *(marked(*each, np.float64) for each in VARIANTS if each[1] in ONE_OF_EACH),
]


def step(opt, name, gradients, place):
    """A step with arrays that `place` brings to where the parameters are."""
    products = [[place(product_of(g)) for g in gradients]] if name == "ESGD" else []
    opt.step([place(g) for g in gradients], *products)


def assert_equal_bits(opt, name, array, oracle):
    assert bits_differ(array.numpy(), oracle.p) == 0
    slots = opt.state[name]
    own = [slots[slot].to_host() for slot in slots if slot != "velocity"]
    for slot, expected in zip(own, oracle.slots, strict=True):
        assert bits_differ(slot, expected) == 0
    if "velocity" in slots:
        assert bits_differ(slots["velocity"].to_host(), oracle.v) == 0


@pytest.mark.parametrize(("name", "variant", "dtype"), CASES)
def test_bits(gpu, name, variant, dtype):
    """One array, of whole vectors and a rest; one that is not aligned; and many of any shape at once."""
    hyper = METHODS[name][1][variant]
    rng = np.random.default_rng(7)
    for shapes, offset in [([(70,)], 0), ([(9,)], dtype().itemsize), ([(), (0,), (5,), (3, 33)], 0)]:
        params = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        arrays = [gpu.array(p, offset=offset) for p in params]
        oracles, opt = [oracle_of(name, p, **hyper) for p in params], getattr(fa, name)(params=arrays, **hyper)
        for _ in range(4):
            gradients = [spread(rng, p.shape, dtype) for p in params]
            step(opt, name, gradients, gpu.array)
            for oracle, g in zip(oracles, gradients, strict=True):
                oracle.step(g)
        for i, (array, oracle) in enumerate(zip(arrays, oracles, strict=True)):
            assert_equal_bits(opt, f"param{i}", array, oracle)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [F4, np.float64])
@pytest.mark.parametrize(("name", "variant"), [each for each in VARIANTS if each[1] in ONE_OF_EACH])
def test_rows(gpu, name, variant, dtype):
    hyper = {key: value for key, value in METHODS[name][1][variant].items() if key != "max_gradient_norm"}
    rng = np.random.default_rng(8)
    p = rng.standard_normal((20, 5)).astype(dtype)
    array = gpu.array(p)
    oracle, opt = oracle_of(name, p, **hyper), getattr(fa, name)(params=array, lazy="touched", **hyper)
    for _ in range(3):
        rows, named, dense = sparse_step(rng, p)
        products = [gpu.array(product_of(dense))] if name == "ESGD" else []
        opt.step(fa.Rows(gpu.array(rows.indices), gpu.array(rows.values)), *products)
        oracle.step(dense[named], named)
    assert_equal_bits(opt, "param0", array, oracle)


@pytest.mark.parametrize("name", ["Adam", *(pytest.param(x, marks=pytest.mark.slow) for x in METHODS if x != "Adam")])
def test_files_go_to_the_host(gpu, name, tmp_path):
    p = np.random.default_rng(0).standard_normal(6)
    array, host, g = gpu.array(p), p.copy(), np.arange(6.0) - 2
    opt, other = getattr(fa, name)(params=[array]), getattr(fa, name)(params=[host])
    step(opt, name, [g], gpu.array)
    opt.save(tmp_path / "file")
    other.load(tmp_path / "file")
    step(opt, name, [g], gpu.array)
    step(other, name, [g], np.asarray)
    assert bits_differ(array.numpy(), host) == 0
