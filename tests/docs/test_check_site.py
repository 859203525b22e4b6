"""`.ci/check_site` finds links that lead nowhere, what is loaded from elsewhere, and names that the reference lacks."""

import subprocess
import sys
import zlib

import pytest
from places import ROOT
from public_surface import FILE

SURFACE = FILE.read_text().splitlines()
COMMANDS = [line for line in SURFACE if line.startswith("fastadagrad ")]
NAMES = [line.split("(")[0].split(":")[0].split(" = ")[0] for line in SURFACE if line not in COMMANDS]


def checked(folder, body="", names=NAMES, commands=COMMANDS):
    """Status of the script on a site of two pages, and what it says."""
    (folder / "reference").mkdir()
    (folder / "index.html").write_text(f'<h1 id="top">A</h1><a href="reference/commands.html#one">one</a>{body}')
    (folder / "reference" / "commands.html").write_text(f'<p id="one">{" ".join(commands)}</p>')
    lines = "".join(f"{name} py:data 1 index.html -\n" for name in names)
    head = b"# Sphinx inventory version 2\n# Project: x\n# Version: 1\n# compressed\n"
    (folder / "objects.inv").write_bytes(head + zlib.compress(lines.encode()))
    script = [sys.executable, ROOT / ".ci" / "check_site", folder]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_site_that_is_whole(tmp_path):
    status, said = checked(tmp_path, '<a href="https://example.org/gone">elsewhere</a><a href="#top">up</a>')
    assert status == 0, said
    assert f"2 links within the site, 0 broken; {len(SURFACE)} public names, 0 not in the reference" in said


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('<a href="gone.html">x</a>', "index.html links to gone.html: there is no such file"),
        ('<a href="#gone">x</a>', "index.html links to #gone: there is no such place in the file"),
        (
            '<a href="reference/commands.html#two">x</a>',
            "index.html links to reference/commands.html#two: there is no such place in the file",
        ),
        ('<img src="gone.png">', "index.html links to gone.png: there is no such file"),
        ('<script src="https://example.org/x.js"></script>', "index.html loads https://example.org/x.js"),
    ],
    ids=["file", "place", "place in another file", "picture", "script from elsewhere"],
)
def test_a_link_that_leads_nowhere(tmp_path, body, message):
    status, said = checked(tmp_path, body)
    assert (status, said.count("\n")) == (1, 2)
    assert message in said


def test_a_name_that_is_not_in_the_reference(tmp_path):
    status, said = checked(tmp_path, names=[name for name in NAMES if name != "fastadagrad.build"])
    assert status == 1
    assert "the reference lacks fastadagrad.build\n" in said
    assert "1 not in the reference" in said


def test_an_option_that_is_not_in_the_reference(tmp_path):
    status, said = checked(tmp_path, commands=[line for line in COMMANDS if "--hash-bits" not in line])
    assert status == 1
    assert "reference/commands.html lacks 'fastadagrad fit --hash-bits'" in said
