"""The README's example runs, commands in documents are commands, and files named there exist; CI runs their blocks."""

import re
import shlex
from pathlib import Path

import pytest
from places import ROOT

from fastadagrad import cli

README = ROOT / "README.md"


def test_the_example_runs():
    (example,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})


def commands(text):
    """What follows the name of the command line, in blocks for bash and within sentences."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    parts = [part for line in lines for part in line.split("&&")]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for words in map(shlex.split, parts + re.findall(r"`(fastadagrad [^`]*)`", prose)):
        if words and Path(words[0]).name == "fastadagrad":
            yield words[1:]


@pytest.mark.parametrize("path", [README, *sorted(ROOT.glob("docs/**/*.md"))], ids=lambda path: path.name)
def test_commands_have_the_options_that_documents_give_them(path, capsys):
    found = list(commands(path.read_text()))
    for command, *words in found:
        for name in command.split("|"):
            with pytest.raises(SystemExit):
                cli.main([name, "--help"])
            options = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out))
            assert {word for word in words if word.startswith("--")} <= options, (command, words)
    assert found or path.name not in ("README.md", "guide.md")


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_are_there(name):
    """By the end of their path, as rooms go without saying; `x.py` is one that is to be written."""
    roots = ("fastadagrad", "kernels", "tests", "bench", "docs", "examples")
    patterns = ["*.*", *(f"{root}/**/*.*" for root in roots)]
    there = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}
    for path in {*re.findall(r"`([\w/]+\.(?:py|md|txt))`", (ROOT / name).read_text())}:
        if not path.endswith("rules/x.py"):
            assert any(f"/{each}".endswith(f"/{path}") for each in there), f"{name} names {path}"
    for folder in {*re.findall(r"`([\w/]+)/`", (ROOT / name).read_text())}:
        assert any(f"/{folder}/" in f"/{each}" for each in there), f"{name} names {folder}/"
