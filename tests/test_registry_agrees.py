"""What there is of a method stands in several places: all of them know the same methods and hyperparameters."""

import ast
import doctest
import inspect
import pkgutil
import re
import typing
from dataclasses import fields
from importlib import import_module

import adagrad_options
import digest_cases
import numpy as np
import pytest
import typed_keywords
from oracle import DEFAULTS
from oracles import ORACLES
from places import ROOT

import fastadagrad as fa
from fastadagrad.engine.options import Conduct, Hyper, Options
from fastadagrad.engine.registry import RegisteredRule
from fastadagrad.kernels import rules
from fastadagrad.kernels.rules import form_of, places, trait
from fastadagrad.optimizer import adaptive, methods
from fastadagrad.optimizer.documents import sections_of
from fastadagrad.optimizer.registering import check

GUIDE = ROOT / "docs" / "guide.md"
REGISTRY = {name: method for name, method in methods.METHODS.items() if not isinstance(method.rule, RegisteredRule)}
CLASSES = {method.__name__ for method in REGISTRY.values()}
ORDER = ("Parameters", "Attributes", "Raises", "Warnings", "See Also", "Notes", "References", "Examples")  # numpydoc's
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


@EVERY
def test_a_rule_has_what_one_of_a_users_own_must_have(name):
    check(RegisteredRule(REGISTRY[name].rule), f"rule {name!r}")


def test_every_method_has_an_oracle():
    assert_same(ORACLES, CLASSES, "METHODS in tests/tools/family.py, or in measuring.py,")


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


def test_oracles_take_the_options_of_all_methods():
    """And each has another value than its default in a case of AdaGrad, and in one of those of digests."""
    own, arranging = {*vars(fa.ADAGRAD.rule.Hyperparameters())}, {"lazy", "frozen"}
    options = {*vars(Options()), "max_global_norm"} - arranging
    assert_same({*DEFAULTS} - own, options, "DEFAULTS in tests/tools/oracle.py")
    for cases, what in ((adagrad_options.OPTIONS, "adagrad_options.py"), (digest_cases.OPTIONS, "digest_cases.py")):
        tried = {name for case in cases.values() for name, value in case.items() if value != DEFAULTS.get(name)}
        assert not options - tried, f"tests/tools/{what} has no case with {', '.join(sorted(options - tried))}"


def stub_classes():
    """Arguments of each constructor as type checkers know them, and those that are keywords alone."""
    for node in ast.parse(typed_keywords.STUB.read_text()).body:
        if isinstance(node, ast.ClassDef):
            (constructor,) = node.body
            arguments = constructor.args
            yield node.name, [a.arg for a in arguments.args[1:]], [a.arg for a in arguments.kwonlyargs]


def expected_keywords(method):
    """By the rule and the options, without the code that makes signatures."""
    form = form_of(method.rule, method.rule.Hyperparameters())
    common = {*vars(Options()), *vars(Conduct()), "groups"}
    if not trait(form, "shares"):
        common -= {"accumulator"}
    if places(form):
        common -= {"momentum", "nesterov", "decoupled_weight_decay", "l1", "l2"}
    if not trait(form, "penalised"):
        common -= {"l1", "l2"}
    if trait(form, "measured"):
        common -= {"decoupled_weight_decay"}
    made = {"gradient", "comm", "reduction", *method._making[len(fa.Optimizer._making) :]}
    return common | {*vars(method.rule.Hyperparameters())} | made


@EVERY
def test_typed_keywords(name):
    """Those that type checkers know, those that `inspect.signature` tells of, and those that there are."""
    method = REGISTRY[name]
    typed = {each: (positional, keywords) for each, positional, keywords in stub_classes()}
    assert_same(typed, CLASSES, "adaptive.pyi, which python tests/tools/typed_keywords.py writes,")
    positional, keywords = typed[method.__name__]
    assert positional == ["loss", "params", "inputs", "updates", "monitors", "monitor_gradients"]
    expected = expected_keywords(method)
    parameters = inspect.signature(method).parameters.values()
    assert_same(keywords, expected, f"{method.__name__} in fastadagrad/optimizer/adaptive.pyi")
    assert_same([p.name for p in parameters if p.kind is p.KEYWORD_ONLY], expected, f"the signature of {name}")
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == positional


@pytest.mark.parametrize("path", typed_keywords.FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_files_for_type_checkers(path):
    """With types and defaults, too."""
    text = typed_keywords.FILES[path]()
    assert path.read_text() == text, "run python tests/tools/typed_keywords.py, which writes it anew from the rules"


def test_typed_keywords_of_any_method():
    kinds = [Options, Conduct, *(method.rule.Hyperparameters for method in REGISTRY.values())]
    expected = {}
    for kind in kinds:
        for key, annotation in typing.get_type_hints(kind).items():
            assert expected.setdefault(key, annotation) == annotation, f"{key} has two types"
    found = typing.get_type_hints(Hyper)
    groups = found.pop("groups")
    assert typing.get_args(groups)[0] is str
    assert_same(found, expected, "the typed keywords, fastadagrad.engine.typed_keywords.Hyper,")
    assert found == expected


NOT_NEUTRAL = {
    "accumulator": "row",
    "lazy": "dense",
    "nonfinite": "skip",
    "threads": 1,
    "patience": 3,
    "validate_every": 3,
    "learning_rate": 0.5,
    "groups": {"param0": {"learning_rate": 0.5}},
}


@EVERY
def test_the_signature_names_what_is_taken(name):
    """A keyword is in it if and only if it may have another value than that which does nothing."""
    method, known = REGISTRY[name], [*vars(Options()), *vars(Conduct()), "groups"]
    taken = inspect.signature(method).parameters
    for key in known:
        value = NOT_NEUTRAL.get(key, True if key in ("nesterov", "frozen", "deferred") else 0.25)
        if key in taken:
            method(params=np.zeros((2, 2)), **{key: value})
        else:
            with pytest.raises(ValueError, match=key):
                method(params=np.zeros((2, 2)), **{key: value})
    for other in {key for each in REGISTRY.values() for key in vars(each.rule.Hyperparameters())} - {*taken}:
        with pytest.raises(TypeError, match=f"unexpected keyword '{other}'"):
            method(params=np.zeros((2, 2)), **{other: 1})


@EVERY
def test_defaults_of_the_signature(name):
    method = REGISTRY[name]
    defaults = {p.name: p.default for p in inspect.signature(method).parameters.values() if p.name != "params"}
    told, left_out = method(params=np.zeros(2), **defaults), method(params=np.zeros(2))
    assert dict(told.hyper) == dict(left_out.hyper)
    assert {key: left_out.hyper[key] for key in defaults if key in left_out.hyper} == {
        key: value for key, value in defaults.items() if key in left_out.hyper
    }


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
    """A class tells of all that its signature has, and `build` of its name."""
    method = REGISTRY[name]
    told = dict(re.findall(r"^(\w+) : (.+)\n    \S", sections_of(method.__doc__)["Parameters"], re.MULTILINE))
    parameters = inspect.signature(method).parameters
    assert_same(told, parameters, f"Parameters in the docstring of {method.__name__}")
    assert list(told) == list(parameters)
    for field in fields(method.rule.Hyperparameters):
        assert re.fullmatch(rf"{field.type.__name__}, default (\S+)", told[field.name]), field.name
        assert float(ast.literal_eval(told[field.name].rpartition(" ")[2])) == field.default
    assert f'"{name}"' in fa.build.__doc__, f"the docstring of build, in optimizer/building.py, lacks {name}"
    for option in trait(method.rule, "fixed"):
        assert f"`{option}`" in method.__doc__


def test_examples_of_methods_run_once():
    """In the docstrings of the classes, which pytest --doctest-modules runs."""
    found = {test.name: test for test in doctest.DocTestFinder(exclude_empty=True).find(adaptive) if test.examples}
    assert_same(found, {f"{adaptive.__name__}.{each}" for each in CLASSES}, "examples in docstrings")
    for method in REGISTRY.values():
        assert f"fa.{method.__name__}(" in method.rule.example
        assert ">>>" not in method.rule.__doc__
        lines = [each for each in method.__doc__.splitlines() if each.startswith((">>>", "..."))]
        assert lines[2:] == [each for each in method.rule.example.splitlines() if each.startswith((">>>", "..."))]


@EVERY
def test_formula_and_reference_of_a_rule_are_told_by_its_class(name):
    method = REGISTRY[name]
    summary, formula, *_ = method.rule.__doc__.split("\n\n")
    told = sections_of(method.__doc__)
    assert told[""].startswith(f"{summary}\n\n.. code-block:: text\n\n{formula}")
    assert told["References"] == sections_of(method.rule.__doc__)["References"]
    assert [*told][1:] == [each for each in ORDER if each in told]
    assert {"Parameters", "Raises", "References", "Examples"} <= {*told}
    assert max(map(len, method.__doc__.splitlines())) <= 120
