"""The documents say what is so: those that are made from the code are up to date, and what is cited is listed."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import textwrap

import pytest

from flaskmail import hookspecs
from flaskmail.config import documents, load
from flaskmail.expressions import documents as expressions
from flaskmail.hookspecs import HOOKS
from flaskmail.jmap.datatype import Prop

CITATION = re.compile(r"\bRFCs? ?(\d{3,5})\b")
LISTED = re.compile(r"^\| (?:RFC )?(\d{3,5}) \| (.+) \| (yes|partial: .+|no: .+) \|$", re.MULTILINE)
QUOTE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def pages(root):
    return [root / "README.md", root / "CHANGELOG.md", *sorted((root / "docs").rglob("*.md"))]


def test_the_example_file_is_what_the_code_makes(root):
    assert (root / "config.example.toml").read_text(encoding="utf-8") == documents.example(), "run: make docs"


def test_the_page_about_settings_is_what_the_code_makes(root):
    assert (root / "docs/configuration.md").read_text(encoding="utf-8") == documents.page(), "run: make docs"


def test_the_tables_of_expressions_are_what_the_code_makes(root):
    page = (root / "docs/expressions.md").read_text(encoding="utf-8")
    assert "| `trim`(" in page
    assert "| `remote_ip` |" in page
    assert page == expressions.filled(page), "run: make docs"
    assert page == expressions.filled(page.replace("`trim`(", "`trom`("))


def test_every_rfc_that_the_code_cites_is_in_the_index(root, modules):
    listed = {number for number, _, _ in LISTED.findall((root / "docs/rfc-index.md").read_text(encoding="utf-8"))}
    cited: dict[str, str] = {}
    for module in modules.values():
        cited.update(dict.fromkeys(CITATION.findall(module.source), module.name))
    missing = {f"RFC {number}, cited in {name}" for number, name in cited.items() if number not in listed}
    assert listed
    assert not missing


def test_every_line_of_the_index_has_a_status(root):
    lines = (root / "docs/rfc-index.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| RFC |", "|-"))]
    assert [row for row in rows if not LISTED.fullmatch(row)] == []
    numbers = [int(LISTED.fullmatch(row)[1]) for row in rows]
    assert numbers == sorted(set(numbers))


def test_every_page_is_in_the_index(root):
    index = (root / "docs/index.md").read_text(encoding="utf-8")
    linked = set(LINK.findall(index))
    missing = (
        {page.relative_to(root / "docs").as_posix() for page in (root / "docs").rglob("*.md")} - {"index.md"} - linked
    )
    assert not missing


def test_links_between_pages_lead_somewhere(pages):
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert not broken


def test_the_hooks_that_are_described_are_those_there_are(root):
    spec = importlib.util.spec_from_file_location("document_hooks", root / ".ci/document_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "## jmap_datatypes\n" in module.page()
    assert (root / "docs/hooks.md").read_text(encoding="utf-8") == module.page(), "run: make docs"


def test_every_hook_says_what_it_promises():
    for name, hook in HOOKS.items():
        told = (getattr(hookspecs, name).__doc__ or "").strip()
        assert told.endswith(f"{'Stable' if hook.stable else 'Provisional'} since {hook.since}."), name


def test_every_hook_has_a_test_of_its_name(root):
    tested = "\n".join(path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py"))
    assert [
        name for name in HOOKS if f"def test_hook_{name}(" not in tested and f"def test_hook_{name}_" not in tested
    ] == []


@pytest.mark.parametrize(
    ("page", "example"), [("datatypes.md", "plugins/notes.py"), ("embedding.md", "docs/examples/embedding.py")]
)
def test_what_a_page_quotes_stands_in_the_example(root, page, example):
    code = (root / example).read_text(encoding="utf-8")
    quotes = QUOTE.findall((root / "docs" / page).read_text(encoding="utf-8"))
    assert quotes
    assert [quote for quote in quotes if quote not in code] == []


def test_what_the_page_about_plugins_quotes_is_tested(root):
    files = [
        *(root / "plugins").glob("*.py"),
        *(root / "docs/examples").rglob("*.py"),
        *(root / "tests/plugins").glob("*.py"),
    ]
    sources = [path.read_text(encoding="utf-8") for path in files]
    quotes = QUOTE.findall((root / "docs/writing-a-plugin.md").read_text(encoding="utf-8"))
    assert len(quotes) > 10
    pieces = [piece for quote in quotes for piece in quote.strip("\n").split("\n\n\n")]
    assert [piece for piece in pieces if not any(piece in source for source in sources)] == []
    page = (root / "docs/writing-a-plugin.md").read_text(encoding="utf-8")
    assert [path.name for path in (root / "plugins").glob("*.py") if f"(../plugins/{path.name})" not in page] == []


@pytest.mark.parametrize("page", ["plugins.md", "writing-a-plugin.md"])
def test_settings_that_pages_about_plugins_show_are_right(root, page, tmp_path):
    shown = re.findall(
        r"^ *```toml\n(.*?)^ *```$", (root / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert shown
    for text in shown:
        (tmp_path / "config.toml").write_text(textwrap.dedent(text), encoding="utf-8")
        paths = load(tmp_path / "config.toml", {}).plugins.paths
        assert all((root / path.relative_to(tmp_path)).is_file() for path in paths)


def test_every_part_of_a_declaration_is_explained(root):
    page = (root / "docs/datatypes.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert told == {field.name for field in dataclasses.fields(Prop)} - {"check", "lookup"}
