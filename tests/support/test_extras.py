"""What is optional: imported, or named with the command that installs it."""

import re
import sys

import pytest
from places import ROOT

from fastadagrad.support import extras

LARGE = ("jax", "mpi", "optax", "torch")  # extras that are not installed for the tests
NEW = ("safetensors",)  # that environments made before it was among the tests' lack


@pytest.mark.parametrize("module", extras._BROUGHT_BY)
def test_what_is_missing_is_named(module, monkeypatch):
    if extras._BROUGHT_BY[module][1] in LARGE:
        pytest.importorskip(module, reason=f"needs the extra {extras._BROUGHT_BY[module][1]}, which no other brings")
    if module in NEW:
        pytest.importorskip(module, reason=f"needs the extra {module}, which the extra test brings: install it anew")
    assert extras.needed(module, "this") is sys.modules[module]
    monkeypatch.setitem(sys.modules, module, None)
    package, extra = extras._BROUGHT_BY[module]
    said = re.escape(f'a test needs {package}: pip install "fastadagrad[{extra}]"')
    with pytest.raises(RuntimeError, match=f"^{said}$"):
        extras.needed(module, "a test")


@pytest.mark.parametrize("module", extras._BROUGHT_BY_NONE)
def test_what_no_extra_brings_is_named_with_its_own_command(module, monkeypatch):
    assert not any(extras._BROUGHT_BY_NONE[module][0] in line for line in (ROOT / "pyproject.toml").read_text().split())
    monkeypatch.setitem(sys.modules, module, None)
    package, given = extras._BROUGHT_BY_NONE[module]
    assert given.startswith(f'"{package}[cu13]"')
    with pytest.raises(RuntimeError, match=f"^{re.escape(f'a test needs {package}: pip install {given}')}$"):
        extras.needed(module, "a test")


def test_what_is_installed():
    assert extras.is_installed("numpy")
    assert not extras.is_installed("a_module_that_nobody_has")


def test_the_extras_bring_it():
    text = (ROOT / "pyproject.toml").read_text()
    for package, extra in extras._BROUGHT_BY.values():
        [line] = re.findall(rf"^{extra} = \[(.*)\]$", text, re.M)
        assert f'"{package}>=' in line
