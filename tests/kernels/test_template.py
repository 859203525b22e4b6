"""The rule to copy is a whole one: a copy of it is registered, and steps by its formula in every kind of driver."""

import ast
import doctest
import importlib.util
import inspect
import re

import numpy as np
import pytest
from oracle import bits_differ, spread

import fastadagrad as fa
from fastadagrad.device.arrays import to_host
from fastadagrad.kernels.rules import TRAITS, _template
from fastadagrad.optimizer.documents import sections_of
from fastadagrad.optimizer.methods import METHODS, method_named

SOURCE = inspect.getsource(_template)
HYPER = {"learning_rate": 0.1, "halflife": 1.0, "rms_regularizer": 0.5}


@pytest.fixture
def template(tmp_path):
    """Its name, with a copy of the file registered as a user's module is."""
    path = tmp_path / "rule_of_mine.py"
    path.write_text(SOURCE.replace("from . import", "from fastadagrad.kernels.rules import"))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert fa.register(module) is module
    yield module.name
    del METHODS[module.name]


def formula(p, mean_size, g):
    c = p.dtype.type
    mean_size = c(0.5) * mean_size + c(0.5) * np.abs(g)
    return p - c(0.1) * g / (mean_size + c(0.5)), mean_size


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("there", [False, True], ids=["host", "GPU"])
def test_dense_steps(gpu, template, there, dtype):
    place = gpu.array if there else np.array
    rng = np.random.default_rng(0)
    p, mean_size = rng.standard_normal((7, 5)).astype(dtype), np.zeros((7, 5), dtype)
    w = place(p)
    opt = fa.build(template, params=w, **HYPER)
    for _ in range(5):
        g = spread(rng, p.shape, dtype)
        opt.step(place(g))
        p, mean_size = formula(p, mean_size, g)
    slot = opt.state["param0"]["mean_size"]
    assert bits_differ(w.numpy() if there else w, p) == 0
    assert bits_differ(to_host(slot) if there else slot, mean_size) == 0


def test_rows_and_nopython_updates(template):
    rng = np.random.default_rng(1)
    w = rng.standard_normal((9, 3))
    p, mean_size, q = w.copy(), np.zeros_like(w), w.copy()
    opt = fa.build(template, params=w, lazy="touched", **HYPER)
    kit = fa.compiled_update(template, ndim=2, dtype=np.float64, **HYPER)
    slots = kit.slots(q)
    for t in range(5):
        rows = rng.permutation(9)[:4]
        values = rng.standard_normal((4, 3))
        opt.step(fa.Rows(rows, values))
        part, sizes = q[rows], tuple(slot[rows] for slot in slots)
        kit.update(part, values, sizes, kit.scalars(t))
        q[rows] = part
        for slot, new in zip(slots, sizes, strict=True):
            slot[rows] = new
        p[rows], mean_size[rows] = formula(p[rows], mean_size[rows], values)
    assert bits_differ(w, p) == bits_differ(q, p) == bits_differ(slots[0], mean_size) == 0


def test_its_example_and_its_documents(template):
    told = sections_of(method_named(template).__doc__)
    assert [*told] == ["", "Parameters", "Raises", "References", "Examples"]
    for name in vars(_template.Hyperparameters()):
        assert f"{name} : float, default " in told["Parameters"]
    example = doctest.DocTestParser().get_doctest(told["Examples"], {}, "example", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(example) == (0, len(example.examples))


def test_it_tells_of_every_trait():
    """With what holds for a rule that says nothing, and of the parts that a rule may have besides."""
    told = dict(re.findall(r"^# (\w+) = (\S+) ", SOURCE, re.MULTILINE))
    assert {name: ast.literal_eval(value) for name, value in told.items()} == TRAITS
    parts = re.findall(r"^# (\w+)\((.+?)\) ", SOURCE, re.MULTILINE)
    assert [name for name, _ in parts] == ["place", "refusal", "form", "measure", "learn"]


def test_every_part_is_explained():
    """In whole sentences, just before it."""
    parts = re.findall(r"^#(.+)\n(?:@.+\n)?(?:def |class )?(\w+)", SOURCE, re.MULTILINE)
    explained = {name for text, name in parts if text.endswith((".", "below."))}
    assert {"name", "example", "slots", "squares", "Hyperparameters", "Scalars"} <= explained
    assert {"scalar_values", "initial", "accumulate", "scale", "delta"} <= explained
