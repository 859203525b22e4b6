"""What a user is told of compilation: through the log, and without one only where somebody waits."""

import logging
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest

from fastadagrad.support import log


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """As in a process of its own that has configured no logging, with somebody at the terminal."""
    monkeypatch.setattr(log, "_waited", 0.0)
    monkeypatch.setattr(log, "_told", False)
    monkeypatch.setattr(log, "LOADING", 0.02)
    monkeypatch.setattr(log, "PATIENCE", 0.1)
    monkeypatch.setattr(log, "is_interactive", lambda: True)
    monkeypatch.setattr(log, "is_configured", lambda: False)  # pytest has handlers of its own


def dispatcher(misses=1, overloads=()):
    return SimpleNamespace(overloads=[*overloads], stats=SimpleNamespace(cache_misses=misses))


def compile_for(seconds, what="the kernel", **kwargs):
    with log.compilation(dispatcher(**kwargs), what):
        time.sleep(seconds)


LINE = (
    "fastadagrad: compiling the kernel, which takes seconds the first time only: the code is kept on the disk "
    '("fastadagrad warmup" compiles ahead)\n'
)


def test_who_waits_for_long_is_told_once(capsys):
    compile_for(0.3)
    assert capsys.readouterr() == ("", LINE)
    compile_for(0.3, "another kernel")
    assert capsys.readouterr() == ("", "")


def test_who_waits_briefly_is_told_nothing(capsys):
    compile_for(0.04)
    assert capsys.readouterr() == ("", "")


def test_brief_times_add_up(capsys):
    for _ in range(3):
        compile_for(0.06)
    assert capsys.readouterr().err == LINE


def test_code_from_the_disk_does_not_count(capsys):
    for _ in range(3):
        compile_for(0.06, misses=0)
    assert capsys.readouterr().err == ""
    compile_for(0.3, overloads=[1])
    assert capsys.readouterr().err == ""


def test_what_is_known_to_be_compiled(capsys):
    with log.compiling("the kernel"):
        time.sleep(0.3)
    assert capsys.readouterr().err == LINE


def test_nobody_is_there(capsys, monkeypatch):
    monkeypatch.setattr(log, "is_interactive", lambda: False)
    compile_for(0.3)
    assert capsys.readouterr() == ("", "")


def test_who_has_configured_the_log_finds_it_there(capsys, caplog, monkeypatch):
    monkeypatch.setattr(log, "is_configured", lambda: True)
    with caplog.at_level(logging.INFO, "fastadagrad"):
        compile_for(0.3)
    assert capsys.readouterr().err == ""
    assert caplog.messages[0] == "compiling the kernel: takes seconds, the first time only"
    assert caplog.messages[1].startswith("compiled the kernel in 0.")


def test_an_error_of_the_compiler_ends_the_watch(capsys):
    with pytest.raises(ZeroDivisionError), log.compilation(dispatcher(), "the kernel"):
        1 / 0  # noqa: B018
    time.sleep(0.15)
    assert capsys.readouterr().err == ""


PROGRAM = """
    import sys
    {before}
    from fastadagrad.support import log
    print(log.is_interactive(), log.is_configured())
"""


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", "False False"),
        ("sys.ps1 = '>>> '", "True False"),
        ("sys.modules['ipykernel'] = sys", "True False"),
        ("sys.stderr = None", "False False"),
        ("sys.stderr.close()", "False False"),
        ("import logging; logging.basicConfig()", "False True"),
        ("import logging; logging.disable()", "False True"),
        ("import logging; logging.getLogger('fastadagrad').setLevel('ERROR')", "False True"),
    ],
)
def test_who_is_there_and_what_is_configured(before, expected):
    program = textwrap.dedent(PROGRAM).format(before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
