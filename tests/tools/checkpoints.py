"""What tests of `save` and `load` train, and what has to come back of it."""

import io
import zipfile

import numpy as np

import fastadagrad as fa

X = np.random.default_rng(7).standard_normal((23, 3))


Y = X @ np.array([1.0, -2.0, 0.5]) + 0.1


NAMES = {"w/eights": (3,), "b iás\n": (), "": (2, 0), "param/x": (2,)}


def loss(p, x, y):
    error = x @ p["w/eights"] + p["b iás\n"] - y
    gradients = {name: np.zeros(shape) for name, shape in NAMES.items()}
    gradients |= {"w/eights": 2 * error @ x / len(x), "b iás\n": np.array(2 * error.mean())}
    return (error**2).mean(), gradients


class Model:
    """All that must come back: momentum given to iterate only, a schedule, a shuffled Dataset of its own."""

    RUN = {"momentum": 0.9, "validate_every": 2, "patience": 1}  # noqa: RUF012

    def __init__(self, rng=3, saver=None, **dataset):
        self.params = {name: np.zeros(shape) for name, shape in NAMES.items()}
        self.data = fa.Dataset([X, Y], **{"name": "training", "batch_size": 5, "rng": rng, **dataset})
        self.seen = np.zeros(())
        self.opt = fa.ADAGRAD(
            loss,
            self.params,
            learning_rate=lambda t: 0.2 / (1 + t) ** 0.2,
            updates=[(self.seen, lambda p, x, y: saver(self) or self.seen + 1)] if saver else [],
        )

    def train(self, **limits):
        return list(self.opt.iterate(self.data, (X, Y), **{**self.RUN, **limits}))

    def everything(self):
        state = {name: {slot: a.tobytes() for slot, a in slots.items()} for name, slots in self.opt.state.items()}
        return {
            "params": [array.tobytes() for array in self.params.values()],
            "state": state,
            "counts": (self.opt.steps, self.opt.skipped, self.opt.stopped_because),
            "best": (self.opt.best, [a.tobytes() for a in self.opt._session.ledger.best_arrays]),
            "history": self.opt.history,
        }


def trained(params, *, steps=3, algo="adagrad", **hyper):
    opt = fa.build(algo, params=params, **hyper)
    for step in range(steps):
        opt.step({name: np.full(a.shape, 1.0 + step, a.dtype) for name, a in params.items()})
    return opt


def bytes_of(opt, *names):
    return [(opt.params[name].tobytes(), [a.tobytes() for a in opt.state[name].values()]) for name in names]


def contents_of(opt):
    """All that an optimizer saves, by the names of the members of its file, which has the time of day in it, too."""
    file = io.BytesIO()
    opt.save(file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
