"""The documents say what is so: those that are made from the code are up to date, and what is cited is listed."""

from __future__ import annotations

import re

import pytest

from flaskmail.config import documents

CITATION = re.compile(r"\bRFCs? ?(\d{3,5})\b")
LISTED = re.compile(r"^\| (?:RFC )?(\d{3,5}) \| (.+) \| (yes|partial: .+|no: .+) \|$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def pages(root):
    return [root / "README.md", root / "CHANGELOG.md", *sorted((root / "docs").rglob("*.md"))]


def test_the_example_file_is_what_the_code_makes(root):
    assert (root / "config.example.toml").read_text(encoding="utf-8") == documents.example(), "run: make docs"


def test_the_page_about_settings_is_what_the_code_makes(root):
    assert (root / "docs/configuration.md").read_text(encoding="utf-8") == documents.page(), "run: make docs"


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
