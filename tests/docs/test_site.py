"""Pages of the site that tell of names, tests and targets: what they name is there, and what is there is named.

`.ci/docs` builds the site, runs its examples and follows its links; `.ci/check_site` looks for every public name in
what was built.
"""

import ast
import re

import pytest
from pages import DOCS, codes, section, table
from places import ROOT, TOOLS
from public_surface import FILE

import fastadagrad as fa
from fastadagrad.peers import PEERS

REFERENCE = "\n".join(path.read_text() for path in sorted((DOCS / "reference").glob("*.md")))
ALIASES = ("adaptive", "base", "dataset", "first_order", "linear")


def public_names():
    """Names that the reference has a page or an entry for: members of classes are on the page of their class."""
    for line in FILE.read_text().splitlines():
        if not line.startswith("fastadagrad "):
            name = line.split("(")[0].split(":")[0].split(" = ")[0].removeprefix("fastadagrad.")
            owner, _, last = name.rpartition(".")
            if not owner.rpartition(".")[2][:1].isupper():
                yield owner, last


@pytest.mark.parametrize(("owner", "name"), sorted(set(public_names())))
def test_public_names_are_in_the_reference(owner, name):
    """In a list of its page, as the last part of a path, or in the table of names at other paths."""
    if owner in ALIASES:
        (row,) = [line for line in REFERENCE.splitlines() if line.startswith(f"| `fastadagrad.{owner}` |")]
        assert name in codes(row)
        assert getattr(getattr(fa, owner, None) or __import__(f"fastadagrad.{owner}").linear, name) is getattr(fa, name)
    else:
        pattern = rf"^(   ([\w.]+\.)?|\.\. py:data:: |.*py:module}} [\w.]+\.){name}$"
        assert re.search(pattern, REFERENCE, re.MULTILINE), f"docs/reference/ lacks {name}"


def test_every_command_is_in_the_reference():
    commands = {line.split()[1] for line in FILE.read_text().splitlines() if re.match(r"fastadagrad \w+ ", line)}
    assert {*re.findall(r"^:::\{command-help\} (\w+)$", REFERENCE, re.MULTILINE)} == commands


def functions(path):
    return {each.name: each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.FunctionDef)}


PROMISES = [
    row
    for part in ("Bits", "What is exact up to rounding", "Failures", "Costs", "Speeds")
    for row in table("promises.md", part)
]


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: codes(row[-1])[0])
def test_promises_are_shown_by_tests_that_are_there(row):
    (shown_by,) = codes(row[-1])
    path, _, name = shown_by.partition("::")
    found = functions(ROOT / path)
    assert name in found
    if path.startswith("bench/"):
        calls = [each for each in ast.walk(found[name]) if isinstance(each, ast.Call)]
        helpers = {each.func.id for each in calls if isinstance(each.func, ast.Name)} & {*found}
        targets = {
            each.args[0].value
            for tree in [found[name], *(found[helper] for helper in helpers)]
            for each in ast.walk(tree)
            if isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr in ("at_least", "at_most")
            and isinstance(each.args[0], ast.Constant)
        } - {None}
        told = [float(number) for number in re.findall(r"(?<=at most )[\d.]+|[\d.]+(?=x)", row[1])]
        assert told
        assert {*told} >= {float(target) for target in targets}


def test_peers_that_are_told_of():
    """The table of formulas is that of `fa.like`; nothing else is known of fastadagrad itself than its defaults."""
    lines = (DOCS / "migrating" / "index.md").read_text().split("in where e stands")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    own = {"learning_rate": 1e-4, "rms_regularizer": 1e-8}
    for peer, formula, e, start, rate in rows:
        given = own if peer == "fastadagrad" else PEERS[peer]
        assert formula == ("sqrt(G + e)" if given.get("epsilon_inside") else "sqrt(G) + e")
        assert float(e) == given["rms_regularizer"]
        assert float(start) == given.get("initial_accumulator_value", 0)
        assert rate == "none" or float(rate) == given["learning_rate"]
        assert (rate == "none") == ("learning_rate" not in given)
    assert {row[0] for row in rows} == {"fastadagrad", *PEERS} - {"fbgemm-rowwise"}


def test_the_table_of_benchmarks_is_the_readmes():
    text = (DOCS / "benchmarks.md").read_text()
    start, stop = (re.search(rf':{which}: "(.*)"', text)[1] for which in ("start-after", "end-before"))
    included = (ROOT / "README.md").read_text().split(start.replace("\\n", "\n"))[1].split(stop)[0]
    assert "| work | fastadagrad |" in included
    assert len(re.findall(r"^\|", included, re.MULTILINE)) > 20


def test_pages_of_the_gallery_are_those_that_are_named():
    files = {path.stem for path in (DOCS / "gallery").glob("*.py")}
    assert files == {*re.findall(r'"(plot_\w+)\.py"', (DOCS / "conf.py").read_text())}
    named = {
        name for path in DOCS.glob("*.md") for name in re.findall(r"auto_examples/(plot_\w+)\.rst", path.read_text())
    }
    assert named <= files


@pytest.mark.parametrize("row", table("promises.md", "Counts"), ids=lambda row: codes(row[1])[0])
def test_counts_are_of_programs_that_take_these_options(row):
    _, command, counted, where = row
    program, *options = codes(command)[0].split()
    known = (TOOLS / program).read_text() + (TOOLS / "wild.py").read_text()
    assert all(f'"{option}"' in known for option in options if option.startswith("--"))
    assert re.search(r"\d", counted)
    assert re.fullmatch(r".+, \d+ cores, [A-Z][a-z]+ 20\d\d", where)


def test_headings_of_promises():
    text = (DOCS / "promises.md").read_text()
    assert len(re.findall(r"^\| .*::", text, re.MULTILINE)) == len(PROMISES)
    assert section("promises.md", "Failures")
