"""What may be registered as a parameter, under which name, and in which structure."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastadagrad as fa
from fastadagrad.engine.parameters import Parameters


class Subclass(np.ndarray):
    pass


def read_only():
    w = np.ones(3)
    w.flags.writeable = False
    return w


def unaligned():
    return np.zeros(25, np.uint8)[1:].view(np.float64)


# What is passed, the error, and a part of its message that says what came or how to mend it.
REFUSED = {
    "read-only": (read_only, ValueError, "read-only"),
    "strided": (lambda: np.ones(6)[::2], ValueError, "ascontiguousarray"),
    "reversed": (lambda: np.ones(6)[::-1], ValueError, "ascontiguousarray"),
    "broadcast": (lambda: as_strided(np.ones(1), (4,), (0,)), ValueError, "ascontiguousarray"),
    "Fortran": (lambda: np.ones((2, 3), order="F"), ValueError, "ascontiguousarray"),
    "unaligned": (unaligned, ValueError, "aligned"),
    "foreign-endian": (lambda: np.ones(3, np.dtype("f8").newbyteorder()), ValueError, "byte order"),
    "masked": (lambda: np.ma.ones(3), ValueError, "MaskedArray"),
    "subclass": (lambda: Subclass((2, 2)), ValueError, "Subclass"),
    "long double": (lambda: np.ones(3, np.longdouble), ValueError, "astype"),
    "int": (lambda: np.ones(3, int), ValueError, "astype"),
    "complex": (lambda: np.ones(3, complex), ValueError, "astype"),
    "object": (lambda: np.ones(3, object), ValueError, "astype"),
    "scalar": (lambda: np.float64(1), TypeError, "asarray"),
    "float": (lambda: 1.0, TypeError, "asarray"),
    "nested list": (lambda: [1.0, 2.0], TypeError, "asarray"),
    "None": (lambda: None, TypeError, "asarray"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("structure", ["list", "tuple", "dict"])
def test_refused_with_name_and_fix(case, structure):
    make, error, part = REFUSED[case]
    params = {"first": np.ones(2), "bad one": make()}
    if structure != "dict":
        params = {"list": list, "tuple": tuple}[structure](params.values())
    with pytest.raises(error) as caught:
        fa.ADAGRAD(params=params)
    assert ("'bad one'" if structure == "dict" else "'param1'") in str(caught.value)
    assert part in str(caught.value)


def test_matrix_is_refused():
    with pytest.warns(PendingDeprecationWarning):
        w = np.matrix([[1.0]])
    with pytest.raises(ValueError, match=r"'param0'.*matrix"):
        fa.ADAGRAD(params=w)


def overlapping():
    base = np.zeros(10)
    return {
        "the same twice": {"a": base, "b": base},
        "one inside another": {"a": base, "b": base[3:5]},
        "partly": {"a": base[:6], "z": np.ones(2), "b": base[5:]},
        "other dtype": {"a": base, "b": base[4:5].view(np.float32)},
        "through a reshaped view": {"a": base.reshape(2, 5), "b": base[9:]},
    }


@pytest.mark.parametrize("case", overlapping())
def test_overlapping(case):
    with pytest.raises(ValueError, match=r"'a'.*'b'|'b'.*'a'"):
        fa.ADAGRAD(params=overlapping()[case])


def test_neighbours_and_empty_arrays_do_not_overlap():
    base, empty = np.zeros(10), np.zeros((0, 3))
    assert len(Parameters([base[:5], base[5:], empty, empty, base[2:2]])) == 5


@pytest.mark.parametrize(
    ("params", "error"), [(None, TypeError), ([], ValueError), ({}, ValueError), ({1: np.ones(2)}, TypeError)]
)
def test_no_parameters_or_no_names(params, error):
    with pytest.raises(error, match="params"):
        fa.ADAGRAD(params=params)


def test_a_writable_memmap_is_a_parameter(tmp_path):
    w = np.memmap(tmp_path / "w", np.float64, "w+", shape=(4,))
    opt = fa.ADAGRAD(params=w, learning_rate=0.5)
    opt.step(np.ones(4))
    w.flush()
    assert np.fromfile(tmp_path / "w").tolist() == w.tolist()
    assert (np.asarray(w) < -0.4).all()
    with pytest.raises(ValueError, match="read-only"):
        fa.ADAGRAD(params=np.memmap(tmp_path / "w", np.float64, "r"))


@pytest.mark.parametrize(
    ("structure", "names"),
    [
        (lambda a, b: [a, b], ["param0", "param1"]),
        (lambda a, b: (a, b), ["param0", "param1"]),
        (lambda a, b: {"z": a, "a/ü\n": b}, ["z", "a/ü\n"]),
    ],
)
def test_names_and_the_users_own_arrays(structure, names):
    a, b = np.ones(2), np.ones((2, 3), np.float32)
    opt = fa.ADAGRAD(params=structure(a, b))
    assert list(opt.params) == list(opt.state) == names
    assert opt.params[names[0]] is a
    assert opt.params[names[1]] is b
    assert type(opt.gradients) is not list
    with pytest.raises(TypeError):
        opt.params["new"] = a
    with pytest.raises(TypeError):
        opt.state[names[0]]["accumulator"] = a
    with pytest.raises(ValueError, match="read-only"):
        opt.state[names[0]]["accumulator"][...] = 0


def test_one_array_is_given_and_taken_bare():
    w = np.ones(2)
    opt = fa.ADAGRAD(params=w)
    assert list(opt.params) == ["param0"]
    assert type(opt.gradients) is np.ndarray
    assert opt.gradients.shape == w.shape


STRUCTURES = {
    "array for a list": (lambda a: [a], lambda g: g, TypeError),
    "dict for a list": (lambda a: [a], lambda g: {"param0": g}, TypeError),
    "array for a dict": (lambda a: {"w": a}, lambda g: g, TypeError),
    "list too short for a dict": (lambda a: {"w": a, "v": a.copy()}, lambda g: [g], ValueError),
    "list for an array": (lambda a: a, lambda g: [g], TypeError),
    "one too few": (lambda a: [a, a.copy()], lambda g: [g], ValueError),
    "one too many": (lambda a: [a], lambda g: [g, g], ValueError),
    "missing name": (lambda a: {"w": a, "v": a.copy()}, lambda g: {"w": g}, ValueError),
    "extra name": (lambda a: {"w": a}, lambda g: {"w": g, "v": g}, ValueError),
    "misspelt name": (lambda a: {"w": a}, lambda g: {"W": g}, ValueError),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_gradients_in_another_structure(case):
    params, gradients, error = STRUCTURES[case]
    w = np.ones(3)
    opt = fa.ADAGRAD(params=params(w))
    with pytest.raises(error, match="gradient"):
        opt.step(gradients(np.ones(3)))
    assert opt.steps == 0
    assert (w == 1).all()
    assert (opt.state[next(iter(opt.params))]["accumulator"] == 0).all()


def test_the_order_of_a_dict_of_gradients_does_not_matter():
    params = {"a": np.zeros(2), "b": np.zeros(2)}
    fa.ADAGRAD(params=params, learning_rate=1).step({"b": np.zeros(2), "a": np.ones(2)})
    assert params["a"].round(6).tolist() == [-1, -1]
    assert params["b"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"layer": {"W": np.ones(2)}}, ["layer/W"]),
        ({"layer": [np.ones(2), np.ones(1)]}, ["layer/0", "layer/1"]),
        ([np.ones(2), (np.ones(2),)], ["0", "1/0"]),
        ({"a": {"b": {"c": np.ones(2)}}}, ["a/b/c"]),
    ],
)
def test_nested_parameters_are_named_by_the_way_to_them(params, names):
    assert list(fa.ADAGRAD(params=params).params) == names
