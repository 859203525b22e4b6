"""What `set_params` takes: the structure of the parameters, or a list of arrays in their order."""

import numpy as np
import pytest

import fastadagrad as fa

W, B = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [7.0, 8.0]


def make(kind):
    w, b = np.zeros((2, 3), np.float32), np.zeros(2)
    return (w, b), fa.SGD(params={"dict": {"W": w, "b": b}, "list": [w, b], "tuple": (w, b)}[kind])


@pytest.mark.parametrize("kind", ["dict", "list", "tuple"])
@pytest.mark.parametrize(
    "targets", [[np.array(W), np.array(B)], (np.array(W), np.array(B)), [W, B], (tuple(map(tuple, W)), tuple(B))]
)
def test_a_list_in_the_order_of_the_parameters(kind, targets):
    (w, b), opt = make(kind)
    opt.set_params(targets)
    assert (w.tolist(), b.tolist()) == (W, B)


def test_a_dict_of_nested_lists():
    (w, b), opt = make("dict")
    opt.set_params({"b": B, "W": W})
    assert (w.tolist(), b.tolist()) == (W, B)


@pytest.mark.parametrize("targets", [[1.0, 2.0], [[1.0, 2.0]], ([1.0, 2.0],), [np.array([1, 2])], np.array([1, 2])])
def test_one_array_alone_or_in_a_list(targets):
    x = np.zeros(2)
    fa.SGD(params=x).set_params(targets)
    assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("shape", "targets", "expected"),
    [
        ((1,), [5.0], [5.0]),
        ((1,), [[5.0]], [5.0]),
        ((1, 1), [[5.0]], [[5.0]]),
        ((1, 1), [[[5.0]]], [[5.0]]),
        ((1, 2), [[5.0, 6.0]], [[5.0, 6.0]]),
        ((1, 2), [[[5.0, 6.0]]], [[5.0, 6.0]]),
        ((), 5.0, 5.0),
        ((), [5.0], 5.0),
    ],
)
def test_shapes_tell_an_array_from_a_list_of_one(shape, targets, expected):
    x = np.zeros(shape)
    fa.SGD(params=x).set_params(targets)
    assert x.tolist() == expected


@pytest.mark.parametrize(
    ("kind", "targets", "error", "message"),
    [
        ("dict", [W], ValueError, "targets must hold 2 arrays, one a parameter, not 1"),
        ("dict", [W, B, B], ValueError, "targets must hold 2 arrays, one a parameter, not 3"),
        ("list", [W], ValueError, "targets must hold 2 arrays, one a parameter, not 1"),
        ("dict", [B, W], ValueError, r"target for 'W' must have shape \(2, 3\), not \(2,\)"),
        ("dict", {"W": W}, ValueError, r"missing: \['b'\]"),
        ("dict", np.zeros(2), TypeError, "targets must be a dict like params"),
        ("list", np.zeros(2), TypeError, "targets must be a list like params"),
        ("list", {"param0": W, "param1": B}, TypeError, "targets must be a list like params"),
        ("dict", [W, ["a", "b"]], TypeError, "target for 'b' must hold real numbers"),
    ],
)
def test_what_does_not_fit_changes_nothing(kind, targets, error, message):
    (w, b), opt = make(kind)
    with pytest.raises(error, match=message):
        opt.set_params(targets)
    assert not w.any()
    assert not b.any()


@pytest.mark.parametrize("targets", [[[1.0, 2.0], [3.0]], [1.0, 2.0, 3.0], [3.0], [[[1.0, 2.0]]], [[1.0], [2.0]]])
def test_what_does_not_fit_an_array_alone(targets):
    x = np.zeros(2)
    with pytest.raises((ValueError, TypeError), match="target"):
        fa.SGD(params=x).set_params(targets)
    assert not x.any()
