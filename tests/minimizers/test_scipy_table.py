"""The table of what users of SciPy expect, in docs/conventions.md, has the rows that are tested, and no others."""

import re

import test_scipy_arguments
import test_scipy_results
from places import ROOT

PARTS = test_scipy_arguments, test_scipy_results


def test_the_table_has_these_rows():
    """Each row of the document is a test here, and each test is a row."""
    text = (ROOT / "docs" / "conventions.md").read_text()
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (told,) = [part for part in section if part.startswith("SciPy\n")]
    lines = [line for line in told.splitlines() if line.startswith("|")]
    assert lines[0] == "| what users of SciPy expect | what they get |"
    found = [tuple(re.split(r" (?<!\\)\| ", line[2:-2])) for line in lines[2:]]
    shown = [row for module in PARTS for row in module.ROWS.values()]
    assert found == [(a.replace("|", r"\|"), b.replace("|", r"\|")) for a, b in shown]
    assert len(found) == sum(name.startswith("test_") for module in PARTS for name in vars(module))
