"""How many branches of the code the quick tests take, of all but the kernels, which are compiled.

``python tests/tools/branch_coverage.py`` runs them (pytest-cov is needed), and prints the files of which the least is
covered, then the sums. Code that runs in processes of its own, as most of the command line does, is not counted.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from places import ROOT

FEWEST = 15  # files


def counted(folder):
    """Run the tests; what coverage.py reports of them, or None if they did not run, and whether all passed."""
    report = Path(folder, "coverage.json")
    measured = ["--cov=fastadagrad", "--cov-branch", f"--cov-report=json:{report}"]
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", *measured], cwd=ROOT
    )
    return json.loads(report.read_text()) if report.exists() else None, not tests.returncode


def shown(summary):
    branches, lines = summary["num_branches"], summary["num_statements"]
    taken = f"{summary['covered_branches']:,} of {branches:,} branches ({summary['covered_branches'] / branches:.1%})"
    return f"{taken}, {summary['covered_lines']:,} of {lines:,} statements ({summary['covered_lines'] / lines:.1%})"


def main():
    with tempfile.TemporaryDirectory() as folder:
        found, passed = counted(folder)
    if found is None:
        return 1
    with_branches = [
        (path, file["summary"]) for path, file in found["files"].items() if file["summary"]["num_branches"]
    ]
    for path, summary in sorted(with_branches, key=lambda each: each[1]["percent_covered"])[:FEWEST]:
        print(f"{path}: {shown(summary)}")
    print(shown(found["totals"]))
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
