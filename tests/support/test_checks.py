import math
from fractions import Fraction

import numpy as np
import pytest
from wild import raising

import fastadagrad as fa
from fastadagrad.compare import compare
from fastadagrad.data import loading
from fastadagrad.data.columns import checked_bits
from fastadagrad.support.asking import shown
from fastadagrad.support.checks import checked_share, whole_number

NONE = [True, np.True_, 2.0, np.float64(2), math.nan, math.inf, "2", b"2", None, Fraction(2), 2j, [2], np.array([2])]


def loss(w):
    return float(w @ w), 2 * w


def iterated(**limits):
    return fa.ADAGRAD(loss, np.ones(2)).iterate(**limits)


TAKERS = {  # by the name of what is to be a whole number, and what is too small
    "max_updates": (iterated, -1),
    "max_epochs": (iterated, -1),
    "train_batches": (iterated, 0),
    "valid_batches": (iterated, 0),
    "iteration_size": (lambda **given: fa.Dataset(np.ones(3), **given), 0),
    "patience": (lambda **given: fa.ADAGRAD(params=np.ones(2), **given), -1),
    "validate_every": (lambda **given: fa.ADAGRAD(params=np.ones(2), **given), 0),
    "threads": (lambda **given: fa.ADAGRAD(params=np.ones(2), **given), 0),
    "batch_size": (fa.LinearModel, 0),
    "seed": (fa.LinearModel, -1),
    "hash_bits": (fa.LinearModel, 0),
    "n_features": (lambda **given: loading.load("iris", **given), 0),
    "ndim": (lambda **given: fa.compiled_update(**given), -1),
    "steps": (lambda **given: fa.find_learning_rate(fa.ADAGRAD(loss, np.ones(2)), **given), 0),
    "per_decade": (lambda **given: fa.find_learning_rate(fa.ADAGRAD(loss, np.ones(2)), **given), 0),
    "seeds": (lambda **given: compare("quadratic", ["sgd"], **given), 0),
    "jobs": (lambda **given: compare("quadratic", ["sgd"], **given), -1),
}


@pytest.mark.parametrize("name", TAKERS)
def test_whoever_takes_a_whole_number_says_so_in_the_same_words(name):
    take, too_small = TAKERS[name]
    for value in (2.0, True, "2", math.nan, np.float32(2)):
        with pytest.raises(TypeError, match=rf"^{name} must be a whole number .*, not {shown(value)[:3]}"):
            take(**{name: value})
    for value in (too_small, np.int64(too_small), -(10**5000)):
        with pytest.raises(ValueError, match=rf"^{name} must be a whole number of at least .*, not "):
            take(**{name: value})


@pytest.mark.parametrize("name", ["iteration_size", "hash_bits", "ndim", "steps", "per_decade"])
def test_numbers_that_no_machine_counts_to(name):
    for value in (2**63, np.uint64(2**64 - 1), 10**5000):
        with pytest.raises(ValueError, match=rf"^{name} must be a whole number of at most [0-9]+, not "):
            TAKERS[name][0](**{name: value})


def test_threads_that_no_machine_starts(tmp_path):
    (tmp_path / "data.svm").write_text("1 1:0.5\n0 2:1\n")
    for value in (1025, 2**63, 10**5000):
        with pytest.raises(ValueError, match=r"^threads must be a whole number of at most 1024, not "):
            fa.Stream(tmp_path / "data.svm", threads=value)
    assert len(fa.Stream(tmp_path / "data.svm", threads=1024).table().labels) == 2


PATHS = {
    "source": (fa.Stream, loading.load),
    "out": (lambda path: compare("quadratic:10", "sgd", rates=[0.1], seeds=1, epochs=1, jobs=0, out=path),),
    "path": tuple(getattr(fa.SGD(params=np.ones(2)), name) for name in ("export", "save", "load")),
    "checkpoint": (lambda path: fa.SGD(loss, np.ones(2)).minimize(max_epochs=1, checkpoint=path),),
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("error", [AttributeError, KeyError, OverflowError])
def test_a_path_that_does_not_say_where(name, error):
    for take in PATHS[name]:
        with pytest.raises(TypeError, match=rf"^{name} cannot be read: {error.__name__}: .*a lie"):
            take(raising(error, "__fspath__"))


def test_a_path_of_bytes():
    class Bytes:
        def __fspath__(self):
            return b"name"

    for name, takers in PATHS.items():
        for take in takers:
            with pytest.raises(TypeError, match=rf"^{name} must be of a string, not of bytes$"):
                take(Bytes())


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_what_is_no_whole_number(value):
    with pytest.raises(TypeError, match=r"^it must be a whole number, not "):
        whole_number("it", value)


@pytest.mark.parametrize("kind", [int, np.int8, np.uint64, np.int32, np.array])
def test_whole_numbers(kind):
    found = whole_number("it", kind(5), 5, 5)
    assert (found, type(found)) == (5, int)
    for least, most, bound in ((6, None, "least 6"), (1, 4, "most 4"), (6, 7, "least 6"), (None, 4, "most 4")):
        with pytest.raises(ValueError, match=f"^it must be a whole number of at {bound}, not "):
            whole_number("it", kind(5), least, most)


def test_bounds():
    assert whole_number("it", -3) == -3
    assert whole_number("it", 10**5000) == 10**5000
    with pytest.raises(ValueError, match="it must be a whole number of at most 31, not an integer of 16610 bits"):
        whole_number("it", 10**5000, 1, 31)
    assert checked_bits(None) is None


@pytest.mark.parametrize("value", [0, 1, -0.5, 2.0, math.nan, math.inf, 10**400])
def test_shares_are_between_0_and_1(value):
    assert checked_share("part", np.float32(0.5)) == 0.5
    with pytest.raises(ValueError, match=r"^part must be between 0 and 1, and neither, not "):
        checked_share("part", value)
    with pytest.raises(TypeError, match=r"^part must be a number, not '0.5'$"):
        checked_share("part", "0.5")
