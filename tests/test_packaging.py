"""What packagers, indexes and a public CI read: version, metadata, README's links, extras, sessions, workflows."""

import re
import runpy
import tomllib

import pytest
from places import ROOT

import fastadagrad

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
README = (ROOT / "README.md").read_text("utf-8")
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
LINK = re.compile(r"\]\(([^()]+)\)")


def test_there_is_one_version():
    """In fastadagrad/version.py; the citation and the newest section of the changelog agree."""
    [cited] = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert cited == fastadagrad.__version__
    assert sections[0] == "Unreleased" or re.fullmatch(
        rf"{re.escape(fastadagrad.__version__)} - \d{{4}}-\d\d-\d\d", sections[0]
    )
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "fastadagrad.version.__version__"}


@pytest.fixture(scope="module")
def setup():
    return runpy.run_path(str(ROOT / "setup.py"))


def outside_of_code(text):
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)


def test_links_of_the_readme_lead_somewhere_on_an_index(setup):
    place = "https://host.test/owner/fastadagrad"
    text = setup["described"](README, place)
    links = LINK.findall(outside_of_code(text))
    assert len(links) == len(LINK.findall(outside_of_code(README))) > 5
    for link in links:
        assert link.startswith(("https://", "#")), link
        path = re.fullmatch(rf"{place}/(blob|raw)/v{re.escape(fastadagrad.__version__)}/([^#]+)(#.*)?", link)
        assert path is None or (ROOT / path[2]).is_file(), link
        assert path is None or (path[1] == "raw") == path[2].endswith(".png"), link
    assert "![Loss that each method has left to gain" in text  # the picture is one still
    assert re.findall(r"^```.*?^```", text, re.M | re.S) == re.findall(r"^```.*?^```", README, re.M | re.S)


def test_without_an_address_there_is_no_link_that_leads_nowhere(setup):
    text = setup["described"](README, "")
    assert {link[:6] for link in LINK.findall(outside_of_code(text))} == {"https:"}
    assert "See the guide." in text
    assert setup["addresses"]("") == {}


def test_addresses_lead_to_pages_of_the_version(setup):
    found = setup["addresses"]("https://host.test/owner/fastadagrad")
    assert {"Source", "Documentation", "Changelog", "Issues"} == {*found}
    assert setup["version"]() == fastadagrad.__version__
    for path in setup["PAGES"].values():
        assert (ROOT / path).is_file()


def test_classifiers_name_the_versions_of_python():
    versions = {x.rsplit(" ", 1)[1] for x in PROJECT["project"]["classifiers"] if "Python :: 3." in x}
    assert PROJECT["project"]["requires-python"] == ">=" + min(versions, key=lambda v: int(v[2:]))
    tried = re.findall(r'python: \["(.+?)", "(.+?)"\]', (ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    assert {version for pair in tried for version in pair} == {"3.11", "3.13"} <= versions
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]
    assert (ROOT / "fastadagrad/py.typed").is_file()


def distributions_of(extra):
    """Names of all that an extra brings, by others of ours too."""
    found = set()
    for requirement in EXTRAS[extra]:
        own = re.match(r"fastadagrad\[(.+)\]", requirement)
        if own:
            found |= set().union(*map(distributions_of, own[1].split(",")))
        else:
            found.add(re.match(r"[\w.-]+", requirement)[0])
    return found


def test_only_the_extras_for_cuda_bring_its_toolkit():
    of_cuda = {
        extra
        for extra in EXTRAS
        if any(re.match("nvidia|cuda|numba-cuda", distribution) for distribution in distributions_of(extra))
    }
    assert of_cuda == {"cuda", "test-cuda"}


def test_the_rooms_of_the_package_are_all_packaged():
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for room in ("fastadagrad", "kernels")
        for path in (ROOT / room).rglob("__init__.py")
    }
    there = {("fastadagrad." if name.startswith("kernels") else "") + name for name in there}
    assert there == {*PROJECT["tool"]["setuptools"]["packages"]}


def sessions():
    text = (ROOT / "noxfile.py").read_text("utf-8")
    return set(re.findall(r"^@nox\.session\ndef (\w+)\(", text, re.M))


def test_workflows_run_sessions_that_there_are():
    ran = set()
    for path in WORKFLOWS:
        text = path.read_text("utf-8")
        named = set(re.findall(r"nox -s (\w+)", text))
        named |= {x for group in re.findall(r"session: \[?([\w, ]+)", text) for x in group.split(", ")}
        assert named
        ran |= named
    assert ran == sessions() == {"tests", "cuda", "cuda_jit", "slow", "coverage", "lint", "types", "docs", "build"}


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".pre-commit-config.yaml"], ids=lambda path: path.name)
def test_yaml_is_read(path):
    yaml = pytest.importorskip("yaml", reason="needs the extra test")
    found = yaml.safe_load(path.read_text("utf-8"))
    if "jobs" in found:
        for job in found["jobs"].values():
            assert job["runs-on"]
            assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    else:
        assert {repo["repo"] for repo in found["repos"]} == {"local"}


def test_publishing_needs_no_password():
    text = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    assert "id-token: write" in text
    assert "environment:" in text
    assert "secrets." not in text
