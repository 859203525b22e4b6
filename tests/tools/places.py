"""Where things are that tests read."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tests" / "tools"
RECORDED = ROOT / "tests" / "recorded"
SHARED = ROOT.parent / "shared" / "data"  # beside a checkout, where there is one
A9A = SHARED / "a9a.train.svm.gz"
