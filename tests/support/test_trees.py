"""Trees of mappings, lists and tuples: names, structure, and what is refused with the way to it."""

from collections import OrderedDict, namedtuple
from types import MappingProxyType

import pytest

from fastadagrad.support.read_only import ReadOnly
from fastadagrad.support.trees import in_structure, is_nested, leaves, leaves_by_shape, named, shape_of

Layer = namedtuple("Layer", "W b")


def is_value(x):
    return isinstance(x, float)


# tree, names of its leaves, and its shape
TREES = {
    "dict of dicts": (
        {"l": {"W": 1.0, "b": 2.0}, "s": 3.0},
        ["l/W", "l/b", "s"],
        {"l": {"W": None, "b": None}, "s": None},
    ),
    "list of dicts": ([{"W": 1.0}, {"W": 2.0, "b": 3.0}], ["0/W", "1/W", "1/b"], [{"W": None}, {"W": None, "b": None}]),
    "list of tuples": ([(1.0, 2.0), (3.0,)], ["0/0", "0/1", "1/0"], [[None, None], [None]]),
    "named tuples": ({"a": Layer(1.0, Layer(2.0, 3.0))}, ["a/0", "a/1/0", "a/1/1"], {"a": [None, [None, None]]}),
    "deep": ({"a": {"b": {"c": [[1.0]]}}}, ["a/b/c/0/0"], {"a": {"b": {"c": [[None]]}}}),
    "keys with /": ({"a/b": 1.0, "a": {"c": 2.0}}, ["a/b", "a/c"], {"a/b": None, "a": {"c": None}}),
    "other mappings": (MappingProxyType({"a": OrderedDict(b=1.0)}), ["a/b"], {"a": {"b": None}}),
}
EACH = pytest.mark.parametrize(("tree", "names", "shape"), TREES.values(), ids=TREES)


@EACH
def test_names_and_shape(tree, names, shape):
    found = named(tree, is_value, "params")
    assert list(found) == names
    assert list(found.values()) == leaves(tree) == [float(i) for i in range(1, 1 + len(names))]
    assert shape_of(tree, is_value) == shape
    assert is_nested(tree, is_value)


@EACH
def test_other_values_in_its_structure_and_back(tree, names, shape):
    rebuilt = in_structure(tree, names)
    assert leaves(rebuilt) == names
    assert leaves_by_shape(shape, rebuilt, "values", "params") == names
    fixed = in_structure(tree, names, ReadOnly, lambda _, members: tuple(members))
    assert leaves_by_shape(shape, fixed, "values", "params") == names


def test_kinds_of_containers():
    tree = {"a": [Layer(1.0, (2.0,))], "b": OrderedDict(c=3.0)}
    assert in_structure(tree, "xyz") == {"a": [Layer("x", ("y",))], "b": {"c": "z"}}
    assert type(in_structure(tree, "xyz")["a"][0]) is Layer
    assert in_structure(1.0, ["x"]) == "x"


@pytest.mark.parametrize("values", ["x", "xyz"])
def test_other_numbers_of_values_are_refused(values):
    with pytest.raises(ValueError, match=r"the tree has (more|fewer) leaves"):
        in_structure({"a": [1.0, 2.0]}, values)


@pytest.mark.parametrize("tree", [1.0, [1.0, 2.0], (), {}, {"a": 1.0}, [[1, 2], [[3]]], {"a": [1, "b"]}, [None]])
def test_what_is_not_nested(tree):
    assert not is_nested(tree, is_value)


@pytest.mark.parametrize("tree", [[[]], {"a": ()}, {"a": {}}, [{"b": 1}], [[1, 2.0]], [[[], 1]]])
def test_what_is(tree):
    assert is_nested(tree, is_value)


def test_lists_without_a_value_are_leaves():
    assert named({"a": {"b": [1, 2], "c": "xy", "d": None}}, is_value, "params") == {
        "a/b": [1, 2],
        "a/c": "xy",
        "a/d": None,
    }


def endless():
    tree = {"a": {"b": [1.0]}}
    tree["a"]["b"].append(tree["a"])
    return tree


def endless_from_the_first():
    tree = []
    tree += [tree, 1.0]
    return {"a": tree}


def test_a_list_of_itself_alone_is_a_leaf():
    tree = []
    tree.append([tree])
    assert not is_nested([tree], is_value)


REFUSED = {
    "empty dict": ({"a": {"b": {}}}, ValueError, "params: 'a/b' is an empty dict, .*; leave it out"),
    "empty list": ([1.0, []], ValueError, "params: '1' is an empty list, .*; leave it out"),
    "number for a key": ({"a": {0: 1.0}}, TypeError, r"names, not 0 within 'a'; use str\(key\), or a list"),
    "outermost key": ({(1, 2): {"a": 1.0}}, TypeError, r"params must have strings for names, not \(1, 2\); use"),
    "collision": ({"a/b": 1.0, "a": {"b": 2.0}}, ValueError, "two would be named 'a/b', by a key with '/' in it"),
    "collision below": ({"x": [{"a": {"b/c": 1.0}, "a/b": {"c": 2.0}}]}, ValueError, "named 'x/0/a/b/c'"),
    "endless from the first": (endless_from_the_first(), ValueError, "params: 'a/0' is a list that holds itself"),
    "endless": (endless(), ValueError, "params: 'a/b/1' is a dict that holds itself; pass a finite tree"),
}


@pytest.mark.parametrize(("tree", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_refused_trees(tree, error, said):
    with pytest.raises(error, match=said):
        named(tree, is_value, "params")


OTHERS = {
    "missing": ({"l": [{"W": 1}, 2], "s": {}}, ValueError, r"missing: \['s/a'\], unknown: \[\]"),
    "extra": ({"l": [{"W": 1, 7: 2}, 2], "s": {"a": 3}}, ValueError, r"missing: \[\], unknown: \['l/0/7'\]"),
    "both": ({"l": [{"w": 1}, 2], "s": {"a": 3}}, ValueError, r"missing: \['l/0/W'\], unknown: \['l/0/w'\]"),
    "shorter": ({"l": [{"W": 1}], "s": {"a": 3}}, ValueError, "values at 'l' must hold 2 members, as in params, not 1"),
    "longer": ({"l": [{"W": 1}, 2, 3], "s": {"a": 3}}, ValueError, "values at 'l' must hold 2 members, .*, not 3"),
    "list for a dict": (
        {"l": [[1], 2], "s": {"a": 3}},
        TypeError,
        "values at 'l/0' must be a dict like params, not list",
    ),
    "None for a dict": (
        {"l": [{"W": 1}, 2], "s": None},
        TypeError,
        "values at 's' must be a dict like params, not None",
    ),
    "dict for a list": (
        {"l": {"0": 1}, "s": {"a": 3}},
        TypeError,
        "values at 'l' must be a list like params, not dict",
    ),
    "dict for a leaf": (
        {"l": [{"W": 1}, {}], "s": {"a": 3}},
        TypeError,
        "values at 'l/1' must be one array, as in params",
    ),
    "dict for another leaf": ({"l": [{"W": {}}, 2], "s": {"a": 3}}, TypeError, "values at 'l/0/W' must be one array"),
    "something else": (5, TypeError, "values must be a dict like params, not int"),
}


@pytest.mark.parametrize(("values", "error", "said"), OTHERS.values(), ids=OTHERS)
def test_values_in_another_structure(values, error, said):
    with pytest.raises(error, match=said):
        leaves_by_shape({"l": [{"W": None}, None], "s": {"a": None}}, values, "values", "params")
