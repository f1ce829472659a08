"""The documents say what the code does: routes, commands, names, log lines, links, targets."""

import ast
import inspect
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import setuptools

from provd.plugin import api
from provd.rest.root import build_api

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("docs/*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def rows(text):
    """Give the cells of each row of the tables in `text`, without back-ticks around a cell."""
    for line in FENCE.sub("", text).splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def routes():
    needs = inspect.signature(build_api).parameters
    return build_api(**{**dict.fromkeys(needs, object()), "status": dict}).routes


def code_rows():
    return {
        (method, route.path, action.access or "none")
        for route in routes()
        for method, action in route.actions.items()
    }


def documented_rows():
    return [
        (cells[0], cells[1].strip("`"), cells[2].strip("`"))
        for cells in rows(read("docs/rest.md"))
        if len(cells) == 4 and cells[1].startswith("`/0.2")
    ]


def test_every_route_is_documented_with_its_methods_and_acl():
    assert code_rows() - set(documented_rows()) == set()


def test_the_rest_page_names_no_route_that_does_not_exist():
    documented = documented_rows()
    assert set(documented) - code_rows() == set()
    assert len(documented) == len(set(documented))


def test_every_group_of_routes_has_an_example_of_its_own():
    sections = re.split(r"^##+ ", read("docs/rest.md"), flags=re.MULTILINE)
    groups = [section for section in sections if "| Method | Route |" in section]
    assert len(groups) == 8
    for section in groups:
        examples = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        assert any("api " in example for example in examples), section.splitlines()[0]


def test_every_path_in_an_example_is_a_route():
    patterns = [
        re.compile(re.sub(r"<\w+>", "[^/]+", route.path.removeprefix("/0.2"))) for route in routes()
    ]
    used = set()
    for page in PAGES:
        used.update(re.findall(r"\bapi [A-Z]+ (/\S*)", page.read_text(encoding="utf-8")))
    assert len(used) > 10
    for path in used:
        bare = path.rstrip("`")
        assert any(pattern.fullmatch(bare) for pattern in patterns), path


def test_every_name_of_the_plugin_api_is_documented():
    named = set(re.findall(r"`(\w+)`", read("docs/plugins.md")))
    assert set(api.__all__) - named == set()


@pytest.fixture(scope="module")
def commands():
    """The console scripts of setup.py, as setuptools would be told of them."""
    told = {}
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(setuptools, "setup", told.update)
    monkeypatch.chdir(ROOT)
    try:
        runpy.run_path(str(ROOT / "setup.py"))
    finally:
        monkeypatch.undo()
    return [line.partition(" = ")[0] for line in told["entry_points"]["console_scripts"]]


def test_every_command_is_shown_in_use(commands):
    shown = "\n".join(
        block for page in PAGES for block in FENCE.findall(page.read_text(encoding="utf-8"))
    )
    assert len(commands) >= 3
    for command in commands:
        assert re.search(rf"(?:^|/|\s){re.escape(command)} \w", shown, re.MULTILINE), command


def targets():
    return set(re.findall(r"^([\w-]+):(?!=)", read("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/run.md"])
def test_every_make_target_that_is_named_exists(name):
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", read(name), re.MULTILINE))
    assert named
    assert named - targets() == set()


def anchors(page):
    """Return the fragments that links may name: headings as GitHub and MyST turn them."""
    headings = re.findall(
        r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE
    )
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        name, _, fragment = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.is_file(), target
        if fragment:
            assert fragment in anchors(path), target


def test_every_page_is_in_the_table_of_contents():
    for folder, options, others in (
        ("docs", {":maxdepth:", "1"}, {"phones/index"}),
        ("docs/phones", {":hidden:"}, set()),
    ):
        index = read(f"{folder}/index.md")
        toctree = re.search(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)[1]
        listed = set(toctree.split()) - options
        pages = {page.stem for page in (ROOT / folder).glob("*.md")} - {"index"}
        assert listed == pages | others


def texts_of_the_code():
    """Give every text that the daemon or Twisted may print, with `…` for what is filled in."""
    for path in (ROOT / "provd").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%[-.\d]*[a-z]", "…", node.value)
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                )


FOREIGN = (
    "file is not a database",  # SQLite
    "Couldn't listen on 0.0.0.0:69: [Errno 13] Permission denied",  # Twisted and the kernel
)


def log_lines():
    """Give the log lines that docs/run.md explains."""
    text = read("docs/run.md")
    for cells in rows(text[text.index("## Logs") :]):
        if cells[0].startswith("`") and len(cells) == 2:
            yield cells[0].strip("`")
        elif len(cells) == 3:
            yield from re.findall(r"^`([^`]+)`", cells[1])


def test_every_log_line_that_is_explained_is_one_of_ours():
    texts = set(texts_of_the_code())
    lines = list(log_lines())
    assert len(lines) > 30
    for line in lines:
        pieces = [piece for piece in re.split("…|None", line) if piece.strip(" :,")]
        assert pieces, line
        pattern = re.compile(".*".join(re.escape(piece) for piece in pieces), re.DOTALL)
        assert any(map(pattern.search, texts)) or any(map(pattern.search, FOREIGN)), line


def test_the_package_is_built_by_pinned_tools():
    project = tomllib.loads(read("pyproject.toml"))
    pins = set(re.findall(r"^([\w-]+==\S+)", read("requirements/build.txt"), re.MULTILINE))
    required = set(project["build-system"]["requires"])
    assert required
    assert required <= pins
    assert required <= set(
        re.findall(r"^([\w-]+==\S+)", read("requirements/dev.txt"), re.MULTILINE)
    )
    assert "--require-hashes -r requirements/build.txt" in read("docs/run.md")
