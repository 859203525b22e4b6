"""Parameters on a GPU as a tree, and the example for CuPy with other device arrays: the same bits as on the host."""

import runpy

import numpy as np
from places import ROOT

import fastadagrad as fa

SHAPES = {"layers/0/W": (3, 4), "layers/0/b": (4,), "layers/1/0": (4, 2), "table": (6, 2)}


def arrays(seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES.values()]


def tree_of(W, b, other, table):
    return {"layers": [{"W": W, "b": b}, (other,)], "table": table}


def flat_of(values):
    return dict(zip(SHAPES, values, strict=True))


def test_trees(gpu):
    start, first, second = arrays(0), arrays(1), arrays(2)
    on_gpu = [gpu.array(array) for array in start]
    hyper = {"learning_rate": 0.1, "max_global_norm": 0.5, "groups": {"layers/1/0": {"momentum": 0.9}}}
    opt, flat = fa.ADAGRAD(params=tree_of(*on_gpu), **hyper), fa.ADAGRAD(params=flat_of(start), **hyper)
    opt.step(tree_of(*map(gpu.array, first)))
    opt.step(flat_of(map(gpu.array, second)))
    flat.step(flat_of(first))
    flat.step(flat_of(second))
    assert list(opt.params) == [*SHAPES]
    assert [array.numpy().tobytes() for array in on_gpu] == [array.tobytes() for array in start]
    twin = opt.twin()
    opt.set_params(tree_of(*first))
    assert [array.numpy().tobytes() for array in on_gpu] == [array.tobytes() for array in first]
    copies = [np.asarray(each.to_host()) for each in twin.params.values()]
    assert [array.tobytes() for array in copies] == [array.tobytes() for array in start]


def test_the_example_for_cupy(gpu):
    example = runpy.run_path(str(ROOT / "examples" / "cupy_logistic.py"))
    X, y, _ = example["problem"](np, samples=100)
    loss = example["loss_of"](np)

    def on_gpu(params, x, y):
        value, gradients = loss({name: array.numpy() for name, array in params.items()}, x, y)
        return value, {name: gpu.array(gradient) for name, gradient in gradients.items()}

    params = {"w": np.zeros(20), "b": np.zeros(())}
    arrays = {name: gpu.array(array) for name, array in params.items()}
    fa.ADAGRAD(on_gpu, arrays, learning_rate=0.1).minimize([(X, y)], max_epochs=5)
    fa.ADAGRAD(loss, params, learning_rate=0.1).minimize([(X, y)], max_epochs=5)
    assert {name: array.numpy().tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in params.items()
    }
