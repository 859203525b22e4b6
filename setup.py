"""Metadata that depends on the repository's address, which pyproject.toml cannot say.

Whoever builds a release gives that address in FASTADAGRAD_REPOSITORY. The project's links are made from it, and so are
the links of README.md to other files, which would lead nowhere on a package index. Without an address the project has
no links, and of those of README.md only the words remain.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A link or a picture that leads to a file beside README.md.
RELATIVE = re.compile(r"(!?)\[([^][]*)\]\((?![a-z]+:|#)([^()]+)\)")
PAGES = {"Documentation": "docs/guide.md", "Changelog": "CHANGELOG.md"}


def version() -> str:
    """Return the version that stands in fastadagrad/version.py."""
    [found] = re.findall(r'^__version__ = "(.+)"$', (HERE / "fastadagrad/version.py").read_text("utf-8"), re.M)
    return str(found)


def described(readme: str, repository: str) -> str:
    """Return README.md as a package index shows it, with links to the files of this version."""

    def absolute(found: re.Match[str]) -> str:
        picture, words, path = found.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}[{words}]({repository}/{kind}/v{version()}/{path})" if repository else words

    return RELATIVE.sub(absolute, readme)


def addresses(repository: str) -> dict[str, str]:
    """Return the project's links; there are none without an address."""
    if not repository:
        return {}
    pages = {name: f"{repository}/blob/v{version()}/{path}" for name, path in PAGES.items()}
    return {"Source": repository, **pages, "Issues": f"{repository}/issues"}


if __name__ == "__main__":
    from setuptools import setup

    place = os.environ.get("FASTADAGRAD_REPOSITORY", "").rstrip("/")
    setup(
        long_description=described((HERE / "README.md").read_text("utf-8"), place),
        long_description_content_type="text/markdown",
        project_urls=addresses(place),
    )
