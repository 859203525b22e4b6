"""The page about running PTX: its tables are those of the code, and its examples run."""

import doctest
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from pages import DOCS, table
from places import ROOT
from ptx.command import sets, subset
from ptx.operands import SPECIAL

PAGE = DOCS / "howto" / "ptx.md"


def unescaped(rows):
    return [tuple(cell.replace("\\|", "|") for cell in row) for row in rows]


def test_the_subset():
    assert unescaped(table("howto/ptx.md", "The subset")) == subset()


def test_names_in_the_subset():
    assert table("howto/ptx.md", "Names in the subset") == sets()


def test_special_registers():
    (told,) = re.findall(r"^Special registers are .*?\.$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    bases = re.findall(r"`%(\w+)`", told)
    axes = re.findall(r"`(\.[xyz])`", told)
    masks = [f"lanemask{end}" for end in re.findall(r"`(_\w+)`", told)]
    assert {base + axis for base in bases[:4] for axis in axes} | {*bases[4:], *masks} == SPECIAL


def test_examples_in_python(monkeypatch):
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert tried > 10
    assert failed == 0


def test_examples_of_the_command(tmp_path):
    """As pasted, but for the interpreter, and where the checkout is."""
    (block,) = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    block = block.replace(".venv/bin/python", sys.executable).replace("tests/tools/ptx", str(ROOT / "tests/tools/ptx"))
    command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "<kernel scale(u64 x, u64 y, f32 factor, u32 n)>"
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.arange(100) / 2)


@pytest.mark.parametrize("page", ["howto/index.md"])
def test_the_page_is_in_the_contents(page):
    assert "](ptx.md)" in (DOCS / page).read_text()
    assert re.search(r"\{toctree\}.*^ptx$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
