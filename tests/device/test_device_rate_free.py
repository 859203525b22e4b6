"""Methods that measure all parameters, on device arrays: the bits of the plain formula, from the kernels' PTX."""

import numpy as np
import pytest
from measuring import METHODS, VARIANTS
from oracle import bits_differ, spread

import fastadagrad as fa

F4 = np.float32
QUICK = {("DoG", "plain", F4), ("DAdaptAdaGrad", "plain", F4)}


@pytest.mark.parametrize(
    ("name", "variant", "dtype"),
    [
        pytest.param(*each, dtype, marks=[] if (*each, dtype) in QUICK else pytest.mark.slow)
        for each in VARIANTS
        for dtype in (F4, np.float64)
    ],
)
def test_bits(gpu, name, variant, dtype):
    """One array alone, and many of any shape at once."""
    oracle_class, variants = METHODS[name]
    rng = np.random.default_rng(7)
    for shapes in [[(70,)], [(), (0,), (5,), (4097,)]]:
        params = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        arrays = [gpu.array(p) for p in params]
        oracle = oracle_class(params, **variants[variant])
        opt = getattr(fa, name)(params=arrays, **variants[variant])
        for _ in range(3):
            gradients = [spread(rng, p.shape, dtype) for p in params]
            opt.step([gpu.array(g) for g in gradients])
            oracle.step(gradients)
        assert tuple(opt.learned.values()) == oracle.learned
        for i, array in enumerate(arrays):
            assert bits_differ(array.numpy(), oracle.p[i]) == 0
            slots = opt.state[f"param{i}"]
            for slot, expected in zip(oracle.slots, oracle.state(i), strict=True):
                assert bits_differ(slots[slot].to_host(), expected) == 0


def test_rows_are_written_out_and_files_go_to_the_host(gpu, tmp_path):
    rng = np.random.default_rng(0)
    p = rng.standard_normal((6, 2))
    array, indices, values = gpu.array(p), np.array([4, 1, 4]), rng.standard_normal((3, 2))
    opt, host = fa.DoG(params=array, lazy="dense"), fa.DoG(params=p, lazy="dense")
    opt.step(fa.Rows(gpu.array(indices), gpu.array(values)))
    opt.save(tmp_path / "file")
    host.load(tmp_path / "file")
    assert host.learned == opt.learned != {"distance": 0.0, "sum_of_squares": 0.0}
    for _ in range(2):
        opt.step(fa.Rows(gpu.array(indices), gpu.array(values)))
        host.step(fa.Rows(indices, values))
    assert bits_differ(array.numpy(), p) == 0


def test_not_finite(gpu):
    array = gpu.array(np.ones(3))
    opt = fa.DoG(params=array)
    with pytest.raises(FloatingPointError, match="param0"):
        opt.step(gpu.array(np.array([1e200, 1, 1])))
    assert (array.numpy() == 1).all()
    assert opt.learned["distance"] == 0
