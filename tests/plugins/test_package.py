"""The example package: built, installed by pip, found through its entry point, and its own tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "docs/examples/flaskmail-example-plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the import path with the package in it, and its sources below ``source``."""
    place = tmp_path_factory.mktemp("installed")
    # What is built beside the sources does not belong into them.
    shutil.copytree(PACKAGE, place / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", place / "site", place / "source"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return place


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLASKMAIL_")}
    environment |= {"PYTHONPATH": str(installed / "site"), "FLASKMAIL_DATA": str(installed / "data")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True, timeout=300)


def test_it_is_found_through_its_entry_point(installed: Path) -> None:
    shown = run(installed, "-m", "flaskmail", "plugins", "--json")
    assert shown.returncode == 0, shown.stderr
    [found] = [one for one in json.loads(shown.stdout) if one["name"] == "example"]
    assert (found["source"], found["version"], found["blocked"]) == ("installed", "1.0", False)
    assert found["file"] == str(installed / "site/flaskmail_example_plugin.py")
    assert "register_blueprints" in found["hooks"]
    assert "register_blueprints" in found["provisional"]


def test_it_can_be_disabled(installed: Path) -> None:
    (installed / "config.toml").write_text("[plugins]\ndisabled = ['example']\n")
    try:
        [found] = [
            one
            for one in json.loads(run(installed, "-m", "flaskmail", "plugins", "--json").stdout)
            if one["name"] == "example"
        ]
        assert (found["blocked"], found["hooks"]) == (True, {})
    finally:
        (installed / "config.toml").unlink()


def test_its_own_tests_pass(installed: Path) -> None:
    tests = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "source/tests")
    assert tests.returncode == 0, tests.stdout
    assert "4 passed" in tests.stdout
