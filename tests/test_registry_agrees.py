"""What there is of a method stands in several places: all of them know the same methods and hyperparameters."""

import pkgutil
import re
import typing
from dataclasses import fields
from importlib import import_module

import digest_cases
import pytest
from oracle import DEFAULTS
from oracles import ORACLES
from places import ROOT

import fastadagrad as fa
from fastadagrad.engine.options import Conduct, Hyper, Options
from fastadagrad.engine.registry import RegisteredRule
from fastadagrad.kernels import rules
from fastadagrad.kernels.rules import trait
from fastadagrad.optimizer import adaptive, methods

GUIDE = ROOT / "docs" / "guide.md"
REGISTRY = {name: method for name, method in methods.METHODS.items() if not isinstance(method.rule, RegisteredRule)}
CLASSES = {method.__name__ for method in REGISTRY.values()}
EVERY = pytest.mark.parametrize("name", REGISTRY)


def assert_same(found, expected, what):
    """Name what is missing, and what there should not be."""
    missing, unknown = sorted({*expected} - {*found}), sorted({*found} - {*expected})
    assert not missing, f"{what} lacks {', '.join(missing)}"
    assert not unknown, f"{what} has {', '.join(unknown)}, which no method of the library is or has"


def table_of_guide(heading):
    """Cells of the table with these first columns."""
    lines = iter(GUIDE.read_text().splitlines())
    next(line for line in lines if line.startswith(heading))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_every_rule_is_registered_by_the_name_of_its_file():
    found = {module.name for module in pkgutil.iter_modules(rules.__path__) if not module.name.startswith("_")}
    assert_same(REGISTRY, found, "the registry")
    for name, method in REGISTRY.items():
        assert method.rule is import_module(f"{rules.__name__}.{name}")
        assert method.rule.name == name


def test_every_method_is_public():
    assert_same(adaptive.__all__, CLASSES, "fastadagrad.adaptive.__all__")
    public = (getattr(fa, name) for name in fa.__all__)
    optimizers = {each.__name__ for each in public if isinstance(each, type) and issubclass(each, fa.Optimizer)}
    assert_same(optimizers, CLASSES | {"Optimizer"}, "fastadagrad.__all__")
    for method in REGISTRY.values():
        assert getattr(fa, method.__name__) is getattr(adaptive, method.__name__) is method


def test_every_method_has_an_oracle():
    assert_same(ORACLES, CLASSES, "tests/tools/oracles.py")


def test_every_method_has_digests():
    assert_same(digest_cases.methods(), REGISTRY, "tests/tools/digest_cases.py")


@EVERY
def test_oracles_take_the_hyperparameters_of_their_methods(name):
    """Own ones, with the same defaults, as an option that an oracle lacks is compared with nothing."""
    rule, oracle = REGISTRY[name].rule, ORACLES[REGISTRY[name].__name__]
    own = {field.name: field.default for field in fields(rule.Hyperparameters)}
    common = {*vars(Options()), "max_global_norm"}
    known = DEFAULTS if REGISTRY[name] is fa.ADAGRAD else oracle.own
    assert_same({*known} - common, own, f"the oracle of {name}")
    other = {key: (known[key], default) for key, default in own.items() if known[key] != default}
    assert not other, f"the oracle of {name} has other defaults than the rule: {other}"


def test_typed_keywords():
    kinds = [Options, Conduct, *(method.rule.Hyperparameters for method in REGISTRY.values())]
    expected = {}
    for kind in kinds:
        for key, annotation in typing.get_type_hints(kind).items():
            assert expected.setdefault(key, annotation) == annotation, f"{key} has two types"
    del expected["frozen"]  # of a group only
    found = typing.get_type_hints(Hyper)
    groups = found.pop("groups")
    assert typing.get_args(groups)[0] is str
    assert_same(found, expected, "the typed keywords, fastadagrad.engine.options.Hyper,")
    assert found == expected


def test_table_of_methods_in_the_guide():
    told = {}
    for names, classes, *_ in table_of_guide("| name | class |"):
        told |= dict(zip(names.split(", "), re.findall("`(.+?)`", classes), strict=True))
    assert_same(told, REGISTRY, "the table of methods in docs/guide.md")
    assert told == {name: method.__name__ for name, method in REGISTRY.items()}


def test_table_of_hyperparameters_in_the_guide():
    """Those of all methods, and ADAGRAD's own."""
    told = {name for names, *_ in table_of_guide("| name | default |") for name in re.findall("`(.+?)`", names)}
    kinds = (Options, Conduct, fa.ADAGRAD.rule.Hyperparameters)
    expected = {field.name for kind in kinds for field in fields(kind)} - {"frozen"} | {"groups"}
    assert_same(told, expected, "the table of hyperparameters in docs/guide.md")


@EVERY
def test_docstrings(name):
    """A class tells of what is its own, and `build` of its name."""
    method = REGISTRY[name]
    told = re.findall(r"\w+", method.__doc__)
    assert_same({*told} & {*vars(method.rule.Hyperparameters())}, vars(method.rule.Hyperparameters()), method.__name__)
    assert f'"{name}"' in fa.build.__doc__
    for option in trait(method.rule, "fixed"):
        assert f"`{option}`" in method.__doc__
