"""docs/behind-a-proxy.md quotes the recipes that the tests run, and settings that the loader takes."""

from __future__ import annotations

import re

import pytest
from certificates import write_pair
from proxies import RECIPES, settings_in

from flaskmail import sockets  # noqa: F401 - adds its checks to the loader's
from flaskmail.config import load
from flaskmail.policy import plan  # noqa: F401 - likewise

PAGE = (RECIPES.parent / "behind-a-proxy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```([a-z]+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("recipe", sorted(path.name for path in RECIPES.iterdir()))
def test_every_recipe_is_quoted_whole(recipe):
    assert (RECIPES / recipe).read_text(encoding="utf-8") in [text for _, text in BLOCKS]


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language == "toml"])
def test_every_setting_of_the_page_is_taken(tmp_path, text):
    write_pair(tmp_path)
    (tmp_path / "config.toml").write_text(text.replace("/etc/flaskmail", str(tmp_path)))
    assert load(tmp_path / "config.toml", {}).origins


def test_the_settings_in_a_recipe_are_taken(tmp_path):
    write_pair(tmp_path)
    text = settings_in("haproxy-proxy-protocol.cfg").replace("/etc/flaskmail", str(tmp_path))
    (tmp_path / "config.toml").write_text(text)
    assert load(tmp_path / "config.toml", {}).server.listener["https"].proxy.trusted_networks == ("127.0.0.1",)
