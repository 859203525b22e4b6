"""Public names, what they are called with, and the options of commands are those that the committed text tells of."""

import difflib

from public_surface import FILE, surface


def test_public_surface():
    before, now = FILE.read_text().splitlines(), surface().splitlines()
    changed = [line for line in difflib.unified_diff(before, now, lineterm="", n=0) if line[:1] in "+-"][2:]
    assert not changed, "\n".join(
        [
            "what users see has changed; where that is meant, run python tests/tools/public_surface.py, and tell of it "
            "in CHANGELOG.md:",
            *changed,
        ]
    )


def test_the_text_tells_of_all_that_is_public():
    text = FILE.read_text()
    for part in (
        "fastadagrad.ADAGRAD(loss",
        "fastadagrad.Optimizer.step(self",
        "fastadagrad.linear.LinearModel(loss",
        "fastadagrad.LinearModel.load(path",
        "fastadagrad.compare.compare(",
        "fastadagrad.kernels.rules.adam: adam, {",
        "fastadagrad fit --hash-bits",
        "fastadagrad predict --proba",
    ):
        assert f"\n{part}" in f"\n{text}", part
