"""Arguments of all kinds in calls of everything public, not of optimizers alone, as the recorded surface lists it.

``python tests/tools/wild_surface.py --calls 100000 --seed 1`` makes so many calls, in processes of some hundred each. A
call is a sensible one, in which an argument or two are others, missing, or of an unknown name.
"""

import functools
import inspect
import io
import random
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import scipy.sparse
from checkpoints import contents_of
from public_surface import MODULES, is_new, names_of
from wild import CONTRACT, Source, described, main, values
from wild_budgets import BUDGETS, tamed

import fastadagrad as fa
from fastadagrad.compare import Problem, Task

RULES = "plain arithmetic for whoever writes a rule, which is compiled"
EXEMPT = {  # public callables that are not called here, and why
    "fastadagrad.CompiledUpdate": "made by compiled_update alone",
    "fastadagrad.CudaUpdate": "made by compiled_update alone",
    "fastadagrad.CudaUpdate.scalars": "the one of CompiledUpdate, and there is none without a compiler of CUDA kernels",
    "fastadagrad.CudaUpdate.slots": "the one of CompiledUpdate, and there is none without a compiler of CUDA kernels",
    "fastadagrad.Shard": "made by shard alone",
    "fastadagrad.Optimizer.plot": "drawn by matplotlib, whose errors these are",
    "fastadagrad.RateSearch.plot": "drawn by matplotlib, whose errors these are",
    "fastadagrad.register": "takes a module or class of code, of which all is trusted; see test_refused_rules",
    "fastadagrad.compare.AlgoPerf": "a record of results, made by algoperf",
    "fastadagrad.compare.Comparison": "a record of results, made by compare",
    "fastadagrad.compare.Verdict": "a record of results, made by compare",
    "fastadagrad.RateSearch": "a record of results, made by find_learning_rate",
    "fastadagrad.compare.algoperf": "its arguments are those of compare, with studies for seeds",
}
X, Y = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32), np.arange(12) % 2


@functools.cache
def model(loss="auto"):
    """A linear model that goes on: `partial_fit` was called."""
    return fa.LinearModel(loss, learning_rate=0.1).partial_fit(X, Y, classes=[0, 1])


@functools.cache
def saved():
    file = io.BytesIO()
    model().save(file)
    return file.getvalue()


def files():
    """Small files of examples, in the current folder."""
    Path("data.svm").write_text("1 1:0.5 3:2\n0 2:1\n1 1:1 2:3\n0 3:0.5\n")
    Path("data.csv").write_text("a,b,label\n1,2,0\n3,4,1\n5,6,0\n")


class Alone:
    """The only process of a communicator."""

    rank, size = 0, 1
    all_of = exchange = exchanged = complete = None


def loss(params, *batch):
    """Half the squared size of arrays of any structure."""
    if isinstance(params, dict):
        return sum(float(np.sum(p * p)) for p in params.values()) / 2, {name: p.copy() for name, p in params.items()}
    return float(np.sum(params * params)) / 2, params.copy()


def optimizer():
    opt = fa.ADAGRAD(loss, {"a": np.ones((5, 2)), "b": np.ones(3)}, learning_rate=0.1)
    opt.step({"a": fa.Rows(np.array([1]), np.ones((1, 2))), "b": np.ones(3)})
    return opt


def dataset():
    return fa.Dataset([X, Y], batch_size=5, rng=0)


def task():
    return Task(params=np.ones(2), loss=lambda w: (float(w @ w), 2 * w), epochs=1)


def estimator(name):
    from fastadagrad import sklearn

    return getattr(sklearn, name)(max_iter=1, learning_rate=0.1).fit(X, Y)


def used(call, then):
    """A function that also does something with the result."""

    @functools.wraps(call)
    def both(*arguments, **keywords):
        then(call(*arguments, **keywords))

    return both


def _stepped(opt):
    opt.step(np.ones(3))


def _listed(found):
    list(found)


def _of_method(cls):
    taken = {"params": np.ones(3), "loss": loss, "learning_rate": 0.1, "threads": 1, "nonfinite": "raise", "groups": {}}
    return used(cls, (lambda opt: opt.reset()) if cls is fa.ESGD else _stepped), taken


def _fit(of):
    return lambda: (of().fit, {"X": X, "y": Y, "sample_weight": np.ones(12)})


SPARSE = scipy.sparse.csr_matrix(X)
# For names of the surface: the function to call, and arguments with which it works.
SENSIBLE = {
    "Dataset": lambda: (
        used(fa.Dataset, _listed),
        {"inputs": [X], "batch_size": 5, "axis": 0, "rng": 0, "shuffle": True},
    ),
    "Dataset.batches": lambda: (used(dataset().batches, _listed), {"random": None}),
    "Dataset.check": lambda: (dataset().check, {"state": dataset().state()}),
    "Dataset.end_epoch": lambda: (dataset().end_epoch, {}),
    "Dataset.iterate": lambda: (used(dataset().iterate, _listed), {"shuffle": True}),
    "Dataset.limited_to": lambda: (dataset().limited_to, {"iteration_size": 2}),
    "Dataset.rest": lambda: (used(dataset().rest, _listed), {}),
    "Dataset.restore": lambda: (dataset().restore, {"state": dataset().state()}),
    "Dataset.shuffle": lambda: (dataset().shuffle, {}),
    "Dataset.state": lambda: (dataset().state, {}),
    "ESGD.draw_vectors": lambda: (fa.ESGD(params=np.ones(3)).draw_vectors, {}),
    "Optimizer": lambda: (fa.Optimizer, {"loss": loss, "params": np.ones(3)}),
    "Optimizer.evaluate": lambda: (optimizer().evaluate, {"dataset": None}),
    "Optimizer.flush": lambda: (optimizer().flush, {}),
    "Optimizer.get_updates": lambda: (used(optimizer().get_updates, _listed), {"batch_size": 3, "learning_rate": 0.1}),
    "Optimizer.iterate": lambda: (used(optimizer().iterate, _listed), {"max_epochs": 2, "max_updates": 3, "rng": 0}),
    "Optimizer.load": lambda: (optimizer().load, {"path": io.BytesIO(_file(optimizer())), "strict": True}),
    "Optimizer.minimize": lambda: (optimizer().minimize, {"max_epochs": 2, "validate_every": 1, "l2": 0.1}),
    "Optimizer.read_rows": lambda: (optimizer().read_rows, {"name": "a", "indices": np.array([0, 3])}),
    "Optimizer.reset": lambda: (optimizer().reset, {}),
    "Optimizer.export": lambda: (optimizer().export, {"path": Path("params.safetensors")}),
    "Optimizer.save": lambda: (optimizer().save, {"path": io.BytesIO()}),
    "Optimizer.set_params": lambda: (optimizer().set_params, {"targets": [np.ones((5, 2)), np.ones(3)]}),
    "Optimizer.step": lambda: (optimizer().step, {"gradients": [np.ones((5, 2)), np.ones(3)]}),
    "Optimizer.twin": lambda: (optimizer().twin, {"params": {"a": np.ones((5, 2)), "b": np.ones(3)}}),
    "Rows": lambda: (
        used(fa.Rows, lambda rows: optimizer().step([rows, np.ones(3)])),
        {"indices": np.array([0, 3]), "values": np.ones((2, 2)), "assume_unique": False},
    ),
    "Shard.copy": lambda: (fa.shard((5, 2), np.float64, Alone()).copy, {}),
    "Stream": lambda: (used(fa.Stream, lambda stream: stream.table()), {"source": "data.svm", "threads": 1}),
    "Stream.table": lambda: (fa.Stream("data.csv", target="label").table, {}),
    "build": lambda: (used(fa.build, _stepped), {"algo": "sgd", "loss": loss, "params": np.ones(3), "momentum": 0.5}),
    "compiled_update": lambda: (
        fa.compiled_update,
        {"algo": "sgd", "dtype": np.float64, "ndim": 1, "target": "cpu", "momentum": 0.5},
    ),
    "CompiledUpdate.scalars": lambda: (fa.compiled_update("sgd").scalars, {"t": 0}),
    "CompiledUpdate.slots": lambda: (fa.compiled_update("adagrad").slots, {"p": np.ones(3)}),
    "find_learning_rate": lambda: (
        fa.find_learning_rate,
        {
            "opt": fa.SGD(lambda w: (float(w @ w), 2 * w), np.ones(3)),
            "lowest": 0.01,
            "highest": 1.0,
            "per_decade": 1,
            "steps": 3,
        },
    ),
    "like": lambda: (fa.like, {"peer": "torch"}),
    "minimize": lambda: (
        fa.minimize,
        {"loss": lambda w: (float(w @ w), 2 * w), "params": np.ones(3), "algo": "sgd", "max_updates": 2},
    ),
    "LinearModel": lambda: (
        used(fa.LinearModel, lambda m: m.fit(X, Y)),
        {
            "loss": "logistic",
            "method": "adagrad",
            "learning_rate": 0.1,
            "max_epochs": 1,
            "batch_size": 1,
            "scale": "auto",
            "validation": 0.2,
            "seed": 0,
            "average": "auto",
            "l2": 0.0,
            "dtype": np.float32,
        },
    ),
    "LinearModel.decision_function": lambda: (model().decision_function, {"X": X}),
    "LinearModel.evaluate": lambda: (model().evaluate, {"X": X, "y": Y}),
    "LinearModel.evaluation_of": lambda: (model().evaluation_of, {"scores": np.ones(12), "labels": Y}),
    "LinearModel.fit": lambda: (
        fa.LinearModel(max_epochs=1, learning_rate=0.1).fit,
        {"X": X, "y": Y, "valid": (X, Y), "sample_weight": np.ones(12), "comm": Alone()},
    ),
    "LinearModel.labels_of": lambda: (model().labels_of, {"scores": np.ones(3)}),
    "LinearModel.load": lambda: (fa.LinearModel.load, {"path": io.BytesIO(saved()), "learning_rate": 0.1}),
    "LinearModel.partial_fit": lambda: (
        fa.LinearModel.load(io.BytesIO(saved())).partial_fit,
        {"X": X, "y": Y, "classes": [0, 1], "sample_weight": np.ones(12)},
    ),
    "LinearModel.predict": lambda: (model().predict, {"X": SPARSE}),
    "LinearModel.predict_proba": lambda: (model().predict_proba, {"X": X}),
    "LinearModel.probabilities_of": lambda: (model().probabilities_of, {"scores": np.ones(3)}),
    "LinearModel.save": lambda: (model().save, {"path": io.BytesIO()}),
    "compare.Comparison.as_json": lambda: (compared().as_json, {}),
    "compare.Problem": lambda: (used(Problem, lambda p: p.make(0)), {"name": "p", "make": lambda seed: task()}),
    "compare.Task": lambda: (
        used(Task, lambda t: (t.copied(), t.training(0))),
        {"params": np.ones(2), "loss": loss, "train": [X], "batch_size": 4, "epochs": 1},
    ),
    "compare.Task.copied": lambda: (task().copied, {}),
    "compare.Task.training": lambda: (task().training, {"seed": 0}),
    "compare.Task.validation": lambda: (task().validation, {}),
    "compare.compare": lambda: (
        fa_compare(),
        {
            "problems": "quadratic:10",
            "methods": "sgd",
            "rates": [0.1],
            "seeds": 1,
            "epochs": 1,
            "jobs": 0,
            "out": "out",
            "report": False,
            "tau": 0.01,
            "extend": False,
        },
    ),
    "scipy.method": lambda: (import_module("fastadagrad.scipy").method, {"name": "adagrad"}),
    "sklearn.AdaGradClassifier": lambda: _estimated("AdaGradClassifier"),
    "sklearn.AdaGradRegressor": lambda: _estimated("AdaGradRegressor"),
    "methods.method_named": lambda: (import_module("fastadagrad.methods").method_named, {"algo": "adagrad"}),
    "shard": lambda: (
        used(fa.shard, lambda shard: shard[[0]]),
        {"shape": (5, 2), "dtype": np.float64, "comm": Alone(), "path": "table"},
    ),
    "sources.load": lambda: (
        import_module("fastadagrad.sources").load,
        {"source": "data.svm", "dtype": np.float32, "zero_based": "auto", "labelled": True, "n_features": 5},
    ),
}
for _name in ("AdaGradClassifier", "AdaGradRegressor"):
    for _method in ("predict", *(["decision_function"] if _name.endswith("Classifier") else [])):
        SENSIBLE[f"sklearn.{_name}.{_method}"] = lambda n=_name, m=_method: (getattr(estimator(n), m), {"X": X})
    for _method in ("fit", "partial_fit"):
        SENSIBLE[f"sklearn.{_name}.{_method}"] = lambda n=_name, m=_method: (
            getattr(estimator(n), m),
            {"X": X, "y": Y, "sample_weight": np.ones(12)},
        )
    for _method in ("densify", "sparsify"):
        SENSIBLE[f"sklearn.{_name}.{_method}"] = lambda n=_name, m=_method: (getattr(estimator(n), m), {})


def fa_compare():
    from fastadagrad.compare import compare

    return compare


@functools.cache
def compared():
    return fa_compare()("quadratic:10", "sgd", rates=[0.1], seeds=1, epochs=1, jobs=0, out="kept", report=False)


def _estimated(name):
    from fastadagrad import sklearn

    taken = {"learning_rate": 0.1, "max_iter": 1, "penalty": "l2", "alpha": 0.1, "tol": 0.0, "random_state": 0}
    return used(getattr(sklearn, name), lambda made: made.fit(X, Y)), {**taken, "average": False, "method_params": {}}


def _file(opt):
    file = io.BytesIO()
    opt.save(file)
    return file.getvalue()


def _minimizer(function):
    def f(x):
        return float(x @ x)

    return function, {
        "fun": f,
        "x0": np.ones(2),
        "jac": lambda x: 2 * x,
        "maxiter": 2,
        "bounds": None,
        "tol": 0.1,
        "callback": None,
        "args": (),
        "learning_rate": 0.1,
    }


@functools.cache
def callables():
    """All public functions, classes and methods: (name without "fastadagrad.", value), each once."""
    found = {}
    for path in (*MODULES, "fastadagrad.methods", "fastadagrad.sources"):
        module = import_module(path)
        names = {"fastadagrad.methods": ["method_named"], "fastadagrad.sources": ["load"]}.get(path) or names_of(module)
        for name in names:
            value = getattr(module, name)
            if callable(value) and value not in found.values():
                where = f"{path}.{name}".removeprefix("fastadagrad.")
                found[where] = value
                if isinstance(value, type):
                    for each in sorted({n for base in value.__mro__ for n in vars(base) if not n.startswith("_")}):
                        own = inspect.getattr_static(value, each)
                        if is_new(value, each) and (inspect.isfunction(own) or isinstance(own, classmethod)):
                            found[f"{where}.{each}"] = own
    return found


@functools.cache
def cases():
    """For each public callable that is called here, how; for others that are missing, none."""
    found = {}
    for name, value in callables().items():
        if f"fastadagrad.{name}" in EXEMPT:
            continue
        if name in SENSIBLE:
            found[name] = SENSIBLE[name]
        elif isinstance(value, type) and issubclass(value, fa.Optimizer):
            found[name] = functools.partial(_of_method, value)
        elif name.startswith("scipy."):
            found[name] = functools.partial(_minimizer, value)
    return found


HEAVY = {"compare.compare": 0.1, "LinearModel": 0.5, "compare.Comparison.as_json": 0.02}


UNCHANGED = {
    "partial_fit",
    "fit",
    "predict",
    "evaluate",
    "restore",
    "check",
    "step",
    "load",
    "set_params",
    "twin",
    "save",
}


def kept(function):
    """What the owner of a method keeps, where a refused call of the method must leave it as it is."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type) or getattr(function, "__name__", "") not in UNCHANGED:
        return None
    if isinstance(owner, fa.Optimizer):
        return contents_of(owner)
    if isinstance(owner, fa.Dataset):
        return repr(owner.state())
    return [np.asarray(getattr(owner, name, 0)).tobytes() for name in ("coef_", "intercept_", "classes_")]


def call(number, seed):
    """Make call `number` of those of a seed; what is wrong with it, in words, or None."""
    rng = random.Random(f"surface/{seed}/{number}")
    name = rng.choice([*cases()])
    if rng.random() > HEAVY.get(name, 1.0):
        return None
    files()
    source, what = Source(rng), name
    function, arguments = cases()[name]()
    try:
        arguments = dict(arguments)
        for _ in range(rng.choice([1, 1, 1, 2])):
            key = rng.choice([*arguments, *others(function)] or ["odd"])
            how = rng.random()
            if how < 0.9:
                arguments[key] = tamed(key, source())
            elif how < 0.95:
                arguments.pop(key if key not in BUDGETS else "odd", None)
            else:
                arguments[rng.choice(["odd", "learning_rat", "self"])] = values(rng)
            what = f"{name}, {key}"
    except CONTRACT:
        return None  # there is no such value
    return broken(what, function, arguments)


def broken(what, function, arguments):
    """What is wrong with a call, in words, or None; `what` tells which call it is."""
    before = kept(function)
    try:
        function(**arguments)
    except CONTRACT:
        if kept(function) != before:
            return f"{what}: refused, and something has been changed"
    except Exception as error:
        return f"{what}: {described(error)}"
    return None


def others(function):
    """Names of arguments that a sensible call leaves out."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"]


if __name__ == "__main__":
    sys.exit(main(__doc__, __file__, call))
