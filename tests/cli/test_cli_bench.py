"""`fastadagrad bench`, on the host and on a GPU that the interpreter stands in for."""

import json

import pytest
from gpu import why_no_hardware

from fastadagrad.cli import main

QUICK = ["bench", "--quick", "--rounds", "1"]
CONTENDERS = {"copy", "fastadagrad", "default check", "assume_unique"}


def lines(capsys, *arguments):
    assert main([*QUICK, "--json", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(line["seconds"] > 0 for line in found["lines"])
    assert {line["contender"] for line in found["lines"]} >= CONTENDERS
    return found


def test_on_the_host(capsys):
    found = lines(capsys)
    assert found["place"] == "host"
    assert [line["share"] for line in found["lines"] if line["contender"] == "copy"] == [None, None, 1, 1, 1]


def test_table(capsys):
    assert main(QUICK) == 0
    out = capsys.readouterr().out
    assert "host; medians of 1 turns" in out
    assert "100 rows of 1,000 x 64" in out


def test_on_a_gpu(capsys, gpu):
    assert lines(capsys, "--cuda")["place"] == "GPU of compute capability {}.{}".format(*gpu.capability)
    assert gpu.launched


def test_what_is_wrong_is_not_timed(capsys, gpu, monkeypatch):
    monkeypatch.setattr(gpu, "launch", lambda *arguments: None)
    assert main([*QUICK, "--cuda"]) == 2
    assert "not given the bits of the formula" in capsys.readouterr().err


def test_rounds(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--rounds", "0"])
    assert "at least 1, not '0'" in capsys.readouterr().err


@pytest.mark.skipif(why_no_hardware() is None, reason="there is a GPU")
def test_without_one(capsys):
    assert main([*QUICK, "--cuda"]) == 2
    assert "device arrays need" in capsys.readouterr().err
