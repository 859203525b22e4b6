"""Trees of mappings, lists and tuples: the names of what they hold, and other values in their structure.

A name joins the keys and positions on the way to a leaf by "/": ``{"layers": [{"W": x}]}`` has the leaf ``layers/0/W``.
Whatever is no mapping, list or tuple is a leaf; `named` is told which lists are leaves, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .asking import shown

Shape = dict[str, Any] | list[Any] | None  # of a tree: None in the place of each leaf


def is_nested(tree: Any, is_value: Callable[[Any], bool]) -> bool:
    """Whether a container holds a container; see `named`."""
    members = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list | tuple) else ()
    return any(_opens(member, is_value) for member in members)


def named(tree: Any, is_value: Callable[[Any], bool], what: str) -> dict[str, Any]:
    """The leaves of a tree by their names, in order.

    Parameters
    ----------
    tree : dict, list or tuple
    is_value : callable
        Whether an object is of the kind that leaves should be. A list or a tuple without any is a leaf, unless it is
        empty.
    what : str
        What the tree is called in errors.

    Raises
    ------
    TypeError
        For a key that is no string.
    ValueError
        For an empty container, one that holds itself, or two leaves of the same name.

    Examples
    --------
    >>> named({"layers": [{"W": 1.5}, [2, 3]], "b": 0.5}, lambda x: isinstance(x, float), "numbers")
    {'layers/0/W': 1.5, 'layers/1': [2, 3], 'b': 0.5}
    """
    found: dict[str, Any] = {}
    _open(tree, (), {id(tree)}, found, is_value, what)
    return found


def _opens(tree: Any, is_value: Callable[[Any], bool], around: frozenset[int] = frozenset()) -> bool:
    """Whether an object is a container, and not a leaf; `around` has the identities of the lists that it is within."""
    if isinstance(tree, list | tuple):
        if id(tree) in around:
            return False
        inside = around | {id(tree)}
        return not tree or any(is_value(member) or _opens(member, is_value, inside) for member in tree)
    return isinstance(tree, Mapping)


def _open(
    tree: Any,
    path: tuple[str, ...],
    around: set[int],
    found: dict[str, Any],
    is_value: Callable[[Any], bool],
    what: str,
) -> None:
    """Add the leaves of a container to `found`; `around` has the identities of this container and of those around."""
    name = _name(path)
    if not tree:
        raise ValueError(
            f"{what}: {name!r} is an empty {type(tree).__name__}, which has nothing to update; leave it out"
        )
    for key, member in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
        if isinstance(tree, Mapping) and not isinstance(key, str):
            within = f" within {name!r}" if path else ""
            raise TypeError(
                f"{what} must have strings for names, not {shown(key)}{within}; use str(key), or a list for what is "
                "numbered"
            )
        on = (*path, str(key))
        if id(member) in around:
            raise ValueError(
                f"{what}: {_name(on)!r} is a {type(member).__name__} that holds itself; pass a finite tree"
            )
        if _opens(member, is_value):
            _open(member, on, around | {id(member)}, found, is_value, what)
        elif _name(on) in found:
            raise ValueError(
                f"{what}: two would be named {_name(on)!r}, by a key with '/' in it and by keys one within the other; "
                "give one of the keys another name"
            )
        else:
            found[_name(on)] = member


def _name(path: Sequence[str]) -> str:
    return "/".join(path)


def leaves(tree: Any) -> list[Any]:
    """What a tree holds, in order.

    >>> leaves({"a": [1, (2, 3)], "b": 4})
    [1, 2, 3, 4]
    """
    if isinstance(tree, Mapping):
        return [leaf for member in tree.values() for leaf in leaves(member)]
    if isinstance(tree, list | tuple):
        return [leaf for member in tree for leaf in leaves(member)]
    return [tree]


def _same_kind(tree: Sequence[Any], members: list[Any]) -> Any:
    """A sequence of these members, of the type of another."""
    kind: Any = type(tree)
    return kind(*members) if hasattr(tree, "_fields") else kind(members)


def in_structure(
    tree: Any,
    values: Sequence[Any],
    mapping: Callable[[dict[str, Any]], Any] = dict,
    sequence: Callable[[Sequence[Any], list[Any]], Any] = _same_kind,
) -> Any:
    """Other values, in order, in the structure of a tree.

    Parameters
    ----------
    tree : object
    values : sequence
        As many as the tree has leaves.
    mapping : callable, optional
        Makes a container of a dict, in the place of each mapping.
    sequence : callable, optional
        Makes a container in the place of each list or tuple, of that and of the new members.

    Examples
    --------
    >>> in_structure({"a": [1, (2, 3)], "b": 4}, "wxyz")
    {'a': ['w', ('x', 'y')], 'b': 'z'}
    """
    rest = iter(values)
    made = _rebuilt(tree, rest, mapping, sequence)
    if next(rest, rest) is not rest:
        raise ValueError(f"the tree has fewer leaves than the {len(values)} values")
    return made


def _rebuilt(tree: Any, rest: Iterator[Any], mapping: Callable[..., Any], sequence: Callable[..., Any]) -> Any:
    if isinstance(tree, Mapping):
        return mapping({key: _rebuilt(member, rest, mapping, sequence) for key, member in tree.items()})
    if isinstance(tree, list | tuple):
        return sequence(tree, [_rebuilt(member, rest, mapping, sequence) for member in tree])
    try:
        return next(rest)
    except StopIteration:
        raise ValueError("the tree has more leaves than there are values") from None


def shape_of(tree: Any, is_value: Callable[[Any], bool]) -> Shape:
    """The shape of a tree that `named` has let pass.

    >>> shape_of({"a": [1, (2, 3)], "b": 4}, lambda x: isinstance(x, int))
    {'a': [None, [None, None]], 'b': None}
    """
    if not _opens(tree, is_value):
        return None
    if isinstance(tree, Mapping):
        return {key: shape_of(member, is_value) for key, member in tree.items()}
    return [shape_of(member, is_value) for member in tree]


def leaves_by_shape(shape: Shape, values: Any, what: str, like: str) -> list[Any]:
    """What `values` holds in the places where a tree of this shape has its leaves, in the tree's order.

    Parameters
    ----------
    shape : Shape
    values : object
        What lies in the place of a leaf may be anything but a dict.
    what, like : str
        What the values and the tree are called in errors.

    Raises
    ------
    TypeError
        For a container of another kind.
    ValueError
        For keys that are missing or unknown, or a list of another length.

    Examples
    --------
    >>> leaves_by_shape({"a": [None, None], "b": None}, {"b": 3, "a": (1, 2)}, "values", "params")
    [1, 2, 3]
    """
    found: list[Any] = []
    _collect(shape, values, (), found, what, like)
    return found


def _collect(shape: Shape, values: Any, path: tuple[str, ...], found: list[Any], what: str, like: str) -> None:
    kind = type(values)
    if type(shape) is dict:
        if not (kind is dict or isinstance(values, Mapping)):
            raise TypeError(f"{what}{_at(path)} must be a dict like {like}, not {kind.__name__}")
        if values.keys() != shape.keys():
            missing = [_name((*path, key)) for key in shape if key not in values]
            unknown = [_name((*path, str(key))) for key in values if key not in shape]
            raise ValueError(f"{what} must have the names of {like}; missing: {missing}, unknown: {unknown}")
        for key, part in shape.items():
            value = values[key]
            if part is None and type(value) is not dict:  # the usual case, without another call
                found.append(value)
            else:
                _collect(part, value, (*path, key), found, what, like)
    elif type(shape) is list:
        if not (kind is list or kind is tuple or isinstance(values, list | tuple)):
            raise TypeError(f"{what}{_at(path)} must be a list like {like}, not {kind.__name__}")
        if len(values) != len(shape):
            raise ValueError(f"{what}{_at(path)} must hold {len(shape)} members, as in {like}, not {len(values)}")
        for i, part in enumerate(shape):
            _collect(part, values[i], (*path, str(i)), found, what, like)
    elif isinstance(values, dict):  # one of another kind of mapping is left to those who look at the values
        raise TypeError(f"{what}{_at(path)} must be one array, as in {like}, not a {kind.__name__}")
    else:
        found.append(values)


def _at(path: Sequence[str]) -> str:
    return f" at {_name(path)!r}" if path else ""
