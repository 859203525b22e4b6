"""The kinds of files whose saving is simulated: contents that are numbered, so that it can be told which a file has."""

import functools

import numpy as np
from durable_disk import ROOT

import fastadagrad as fa
from fastadagrad.support import outputs

PATH = f"{ROOT}/model"
SIZES = [0, 1, 300, 511, 512, 513, 900, 1024, 1500, 2048, 2600]
_RANDOM = np.random.default_rng(0)
CONTENTS = [bytes([k]) * 16 + _RANDOM.bytes(SIZES[k % len(SIZES)]) for k in range(22)]
NUMBERS = {content: k for k, content in enumerate(CONTENTS)}


class Contents:
    """Files of plain bytes, of which number k is CONTENTS[k]."""

    count = len(CONTENTS)

    def write(self, k, choices):
        content, parts = CONTENTS[k], 1 + choices.below(3)
        with outputs.replacing(PATH) as file:
            for i in range(parts):
                file.write(content[len(content) * i // parts : len(content) * (i + 1) // parts])

    def number(self, content):
        return NUMBERS.get(content)


@functools.cache
def _optimizer(k):
    opt = fa.ADAGRAD(params={"w": np.full(3, float(k)), "number": np.full(1, float(k))}, learning_rate=0.0)
    opt.step({"w": np.full(3, k + 1.0), "number": np.ones(1)})
    return opt


class Optimizers:
    """Files of optimizers, of which number k has a parameter k."""

    count = 12

    def write(self, k, choices):
        _optimizer(k).save(PATH)

    def number(self, content):
        """The number of the file at the path, as `load` reads it."""
        other = fa.ADAGRAD(params={"w": np.ones(3), "number": np.ones(1)})
        try:
            other.load(PATH, hyper=True)
        except ValueError:
            return None
        k = int(other.params["number"][0])
        same = (other.params["w"] == k).all() and (other.state["w"]["accumulator"] == (k + 1.0) ** 2).all()
        return k if same else None


@functools.cache
def _model(k):
    X = np.random.default_rng(k).normal(size=(20, 2))
    return fa.LinearModel(max_epochs=1, learning_rate=0.1, average=False).fit(X, X[:, 0] > 0)


class Models:
    """Files of linear models, each with its own weights."""

    count = 8

    def write(self, k, choices):
        _model(k).save(PATH)

    def number(self, content):
        try:
            found = fa.LinearModel.load(PATH).coef_
        except ValueError:
            return None
        return next((k for k in range(self.count) if (found == _model(k).coef_).all()), None)


KINDS = {"contents": Contents(), "optimizers": Optimizers(), "models": Models()}
