"""What is optional: imported, or named with the command that installs it."""

import re
import sys

import pytest
from places import ROOT

from fastadagrad.support import extras


@pytest.mark.parametrize("module", extras._BROUGHT_BY)
def test_what_is_missing_is_named(module, monkeypatch):
    assert extras.needed(module, "this") is sys.modules[module]
    monkeypatch.setitem(sys.modules, module, None)
    package, extra = extras._BROUGHT_BY[module]
    said = re.escape(f'a test needs {package}: pip install "fastadagrad[{extra}]"')
    with pytest.raises(RuntimeError, match=f"^{said}$"):
        extras.needed(module, "a test")


def test_the_extras_bring_it():
    text = (ROOT / "pyproject.toml").read_text()
    for package, extra in extras._BROUGHT_BY.values():
        [line] = re.findall(rf"^{extra} = \[(.*)\]$", text, re.M)
        assert f'"{package}>=' in line
