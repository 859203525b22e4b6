"""The examples find what they look for."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
from gpu import why_no_hardware
from places import ROOT

from fastadagrad.host import bucket

EXAMPLES = ROOT / "examples"


def run(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]()


def test_rosenbrock():
    for value, distance, steps in run("rosenbrock").values():
        assert value < 1e-20
        assert distance < 1e-9
        assert steps <= 5000


def test_matrix_factorization():
    opt, before, after, y = run("matrix_factorization")
    assert set(after) == {"loss", "err", "|u|<0.1", "|v|<0.1", "grad(u)", "grad(v)"}
    singular = np.linalg.svd(y, compute_uv=False)
    least = (singular[3:] ** 2).sum() / y.size  # of any product of this rank
    assert least < after["err"] < 2 * least
    assert after["loss"] < 0.25 * before["loss"]
    assert after["grad(v)"] < 1e-4 * before["grad(v)"]
    assert after["|u|<0.1"] > before["|u|<0.1"]  # sparse, as |u| is penalised
    assert opt.best.monitors == after
    assert opt.stopped_because == "patience"


def test_jax_mlp():
    pytest.importorskip("jax", reason="needs the extra jax")
    pytest.importorskip("sklearn", reason="needs the extra fit")
    accuracy, opt = run("jax_mlp")
    assert list(opt.params) == ["hidden/0/W", "hidden/0/b", "hidden/1/W", "hidden/1/b", "output/W", "output/b"]
    assert {str(array.dtype) for array in opt.params.values()} == {"float32"}
    assert accuracy > 0.95
    assert opt.history[-1].train["accuracy"] > 0.98
    assert opt.best.loss == min(epoch.valid["loss"] for epoch in opt.history)


def test_torch_mlp(monkeypatch):
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    pytest.importorskip("sklearn", reason="needs the extra fit")
    accuracy, opt, model = run("torch_mlp")
    assert accuracy > 0.95
    assert opt.history[-1].train["accuracy"] > 0.98
    named = dict(model.named_parameters())
    assert all(opt.params[name] is tensor for name, tensor in named.items())
    seen = []  # addresses of the gradients that a step reads
    check = bucket.gradient_refusal
    monkeypatch.setattr(
        bucket, "gradient_refusal", lambda name, g, *others: (seen.append(g.ctypes.data), check(name, g, *others))[1]
    )
    before = {name: (tensor.data_ptr(), tensor.detach().clone()) for name, tensor in named.items()}
    model.zero_grad()
    model(torch.ones(3, 64)).square().sum().backward()
    opt.step({name: tensor.grad for name, tensor in named.items()})
    assert seen == [tensor.grad.data_ptr() for tensor in named.values()]
    for name, tensor in named.items():
        assert tensor.data_ptr() == before[name][0]
        assert not torch.equal(tensor.detach(), before[name][1])


class TestCuPyLogistic:
    """What the example computes, by NumPy; CuPy needs a real GPU, and `test_device_trees` has an interpreted one."""

    example = staticmethod(lambda: runpy.run_path(str(EXAMPLES / "cupy_logistic.py")))

    def test_by_numpy(self):
        reached, best, opt = self.example()["main"](np)
        assert reached > best - 0.01
        assert opt.steps == 500

    def test_by_cupy(self):
        cupy = pytest.importorskip("cupy", reason="needs CuPy and a GPU: pip install cupy-cuda13x")
        if why_no_hardware() is not None:
            pytest.skip(why_no_hardware())
        reached, best, opt = self.example()["main"](cupy)
        assert reached > best - 0.01
        assert all(isinstance(array, cupy.ndarray) for array in opt.params.values())

    def test_without_a_gpu_it_ends_and_says_so(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        with pytest.raises(SystemExit, match="this example needs a GPU and CuPy"):
            self.example()["gpu_or_exit"]()


def test_numba_cuda_logistic_ends_without_a_gpu_and_says_so(monkeypatch):
    """Its kernels are compiled in `test_cuda_update`."""
    monkeypatch.setitem(sys.modules, "numba_cuda", None)
    with pytest.raises(SystemExit, match="this example needs a GPU and numba-cuda"):
        runpy.run_path(str(EXAMPLES / "numba_cuda_logistic.py"))["gpu_or_exit"]()


def test_digits_network():
    pytest.importorskip("autograd")
    pytest.importorskip("sklearn")
    accuracy, opt = run("digits_network")
    assert accuracy > 0.95
    assert opt.history[-1].train["accuracy"] > 0.99
    assert opt.best.loss == min(epoch.valid["loss"] for epoch in opt.history)


def test_recommender():
    errors, biases, factors, speed = run("recommender")
    assert errors["biases only"] < 0.85 * errors["global mean"]
    assert errors["biases and factors"] < 0.75 * errors["biases only"]
    floor = errors["the scores before noise"]
    assert floor < errors["biases and factors"] < 1.1 * floor
    for opt in (biases, factors):
        assert opt.stopped_because == "patience"
        assert opt.best.loss == min(epoch.valid["loss"] for epoch in opt.history)
    assert np.count_nonzero(factors.state["p"]["accumulator"]) == factors.params["p"].size  # every user has had a step
    assert speed > 0


RELATED = """read write, true false, seconds timeout, int float, host port, encode decode, input output, file files,
left right, start end, error exception, thread lock, socket connection, first last"""


@pytest.mark.slow
def test_word_vectors():
    example = runpy.run_path(str(EXAMPLES / "word_vectors.py"))
    words, vectors, opt = example["main"](min_count=20, window=5, epochs=10)
    assert opt.best.loss < 0.3 * opt.history[0].valid["loss"]
    losses = [epoch.train["loss"] for epoch in opt.history]
    assert losses == sorted(losses, reverse=True)
    pairs = [pair.split() for pair in RELATED.split(",") if set(pair.split()) <= set(words)]
    assert len(pairs) > 9  # the texts are those of the version of Python at hand
    assert np.mean([b in example["nearest"](a, words, vectors, 10) for a, b in pairs]) > 0.75
    a, b = np.random.default_rng(0).integers(len(words), size=(2, 10_000))
    by_chance = np.einsum("nk,nk->n", vectors[a], vectors[b])
    i, j = np.array([[words.index(word) for word in pair] for pair in pairs]).T
    related = np.einsum("nk,nk->n", vectors[i], vectors[j])
    assert related.mean() > by_chance.mean() + 3 * by_chance.std()


def test_pairs_of_words_weigh_one_over_their_distance():
    example = runpy.run_path(str(EXAMPLES / "word_vectors.py"))
    words, i, j, x = example["count_pairs"](["red, the green red", "blue RED rare"], 1, 2)
    assert words == ["red", "green", "blue", "rare"]
    counted = {(words[k], words[m]): weight for k, m, weight in zip(i, j, x, strict=True)}
    one_way = {("red", "green"): 2, ("blue", "red"): 1, ("red", "rare"): 1, ("blue", "rare"): 0.5}
    assert counted == {**one_way, **{(b, a): weight for (a, b), weight in one_way.items()}, ("red", "red"): 1}
    assert example["count_pairs"](["red green", "green blue"], 2, 2)[0] == ["green"]


def test_the_picture_of_words_is_legible(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    example = runpy.run_path(str(EXAMPLES / "word_vectors.py"))
    words = [*dict.fromkeys(word for members in example["TOPICS"].values() for word in members.split())]
    figure = Figure(figsize=(12, 9), layout="constrained")
    example["draw"](figure, words, np.random.default_rng(0).standard_normal((len(words), 50)))
    figure.savefig(tmp_path / "words.png")
    texts = figure.axes[0].texts
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
    assert len(texts) / 2 > 0.6 * len(words)  # a dot and a word each; the rest found no place
    assert (tmp_path / "words.png").stat().st_size > 10_000


LONG = {"recommender", "torch_mlp", "word_vectors"}  # run as functions above
NEEDED = {
    "jax_mlp": ("jax", "the extra jax"),
    "mpi_logistic": ("mpi4py", "the extra mpi"),
    "torch_mlp": ("torch", "the extra torch"),
}
OF_GPUS = {
    "cupy_logistic": ("cupy", "CuPy: pip install cupy-cuda13x"),
    "numba_cuda_logistic": ("numba_cuda", 'numba-cuda: pip install "numba-cuda[cu13]" "numpy<2.5"'),
}
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", [pytest.param(x, marks=[pytest.mark.slow] * (x in LONG)) for x in SCRIPTS])
def test_example_runs_as_a_script(name):
    if name in NEEDED:
        module, what = NEEDED[name]
        pytest.importorskip(module, reason=f"needs {what}")
    if name in OF_GPUS:
        module, what = OF_GPUS[name]
        pytest.importorskip(module, reason=f"needs a GPU and {what}")
        if why_no_hardware() is not None:
            pytest.skip(why_no_hardware())
    done = subprocess.run([sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) >= 1
