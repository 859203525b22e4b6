"""Sphinx's configuration: `.ci/docs` builds the site, runs its examples and follows its links.

Pages are Markdown, which a code host shows as it is. The reference is made of the docstrings.
"""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import sphinx_gallery.sorting
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from fastadagrad.cli import main
from fastadagrad.version import __version__

project = "fastadagrad"
author = "The fastadagrad developers"
project_copyright = f"%Y, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery"]  # sphinx-gallery makes pages in auto_examples of what is in gallery
templates_path = ["_templates"]
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
default_role = "py:obj"
smartquotes = False  # "element" is what one writes
suppress_warnings = ["config.cache"]  # the order of the gallery is a function, which is not kept between builds

myst_enable_extensions = ["colon_fence", "attrs_inline"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # numpydoc's Parameters have the types
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
doctest_test_doctest_blocks = ""  # pytest runs the examples of the docstrings

linkcheck_ignore = [r"https?://"]

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": sphinx_gallery.sorting.ExplicitOrder(
        [
            "plot_path.py",
            "plot_rates.py",
            "plot_embeddings.py",
            "plot_digits.py",
            "plot_methods.py",
            "plot_processes.py",
        ]
    ),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": 0,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "fastadagrad"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_sidebars: dict[str, list[str]] = {page: [] for page in ("index", "guide", "quickstart", "auto_examples/**")}
html_theme_options: dict[str, Any] = {
    "logo": {"text": "fastadagrad"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# Files beside docs/ that pages link to, and the pages of the site that have their text.
PAGES = {"../CONTRIBUTING.md": "contributing.md", "../CHANGELOG.md": "changelog.md"}


def link_to_pages(app: Sphinx, name: str, content: list[str]) -> None:
    """Let links to files outside of docs/ lead to the pages that include them."""
    for file, page in PAGES.items():
        content[0] = content[0].replace(f"]({file}", f"]({page}")


def part_references(app: Sphinx, what: str, name: str, found: object, options: object, lines: list[str]) -> None:
    """Make a paragraph of each reference in a docstring, whose authors' initials would number it."""
    if "References" in lines:
        start = lines.index("References") + 2
        stop = next((n for n in range(start, len(lines)) if not lines[n].strip()), len(lines))
        parted = [re.sub(r"^([A-Z])\. ", r"\n\\\1. ", line) for line in lines[start:stop]]
        lines[start:stop] = "\n".join(parted).strip().split("\n")


class RunFences(SphinxTransform):
    """Mark fences of the language pycon as doctests, which the doctest builder runs."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        for node in self.document.findall(nodes.literal_block):
            if node.get("language") == "pycon":
                node["testnodetype"] = "doctest"
                node["groups"] = ["default"]
                node["options"] = {}
                # Doctests in Markdown end with an empty line, which nobody needs to see.
                text = node.astext().rstrip("\n")
                node.rawsource, node.children = text, [nodes.Text(text)]


class CommandHelp(Directive):
    """What a command of fastadagrad prints with --help."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
            main([*self.arguments, "--help"])
        text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
        return [nodes.literal_block(text, text, language="text", classes=["wrapped"])]


def stay(app: Sphinx, module: str, attribute: str) -> str | None:
    """Show no source of what is public in a module whose other names are public elsewhere: links back would mix up."""
    return module if module == "fastadagrad.methods" else None


def setup(app: Sphinx) -> None:
    """Add what is ours."""
    app.connect("source-read", link_to_pages)
    app.connect("autodoc-process-docstring", part_references, priority=400)  # before numpydoc
    app.connect("viewcode-follow-imported", stay)
    app.add_transform(RunFences)
    app.add_directive("command-help", CommandHelp)
