from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flaskmail import plugins
from flaskmail.errors import ConfigError
from flaskmail.hookspecs import hookimpl
from flaskmail.plugins import loading


def plugin(answer: Any = None) -> Any:
    """A plugin whose ``jmap_methods`` answers ``answer``, or raises it."""

    @hookimpl
    def jmap_methods(server: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = ModuleType("a_plugin")
    module.jmap_methods = jmap_methods  # type: ignore[attr-defined]
    return module


def write(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text("from flaskmail.hookspecs import hookimpl\n" + body)


ANSWERS = "@hookimpl\ndef jmap_methods(server):\n    return [(__name__.rsplit('_', 1)[-1], server)]\n"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Entry points as packages would announce them."""

    def install(**modules: Any) -> None:
        entries = []
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, f"installed_{name}", module)
            entries.append(EntryPoint(name, f"installed_{name}", plugins.GROUP))
        monkeypatch.setattr(loading, "entry_points", lambda group: EntryPoints(entries).select(group=group))

    return install


def test_hook_jmap_methods_is_answered_in_load_order(tmp_path: Path, installed: Any) -> None:
    installed(zeta=plugin(["zeta"]), alpha=plugin(["alpha"]))
    for name in ("b.py", "a.py"):
        write(tmp_path, name, ANSWERS)
    write(tmp_path, "_helper.py", "raise RuntimeError")
    (tmp_path / "notes.txt").write_text("no plugin")
    manager = plugins.load_plugins([("core", plugin(("core",)))], [tmp_path], [plugin(["last"])])
    assert plugins.gather(manager, "jmap_methods", server="S") == [
        "core",
        "alpha",
        "zeta",
        ("a", "S"),
        ("b", "S"),
        "last",
    ]


def test_hook_jmap_datatypes_brings_types(api: Any) -> None:
    kind = type(api.engine.types["Folder"])

    class Brings:
        @hookimpl
        def jmap_datatypes(self) -> list[type]:
            return [kind]

    manager = plugins.load_plugins(explicit=[Brings()], installed=False)
    assert plugins.gather(manager, "jmap_datatypes", server=None) == [kind]


def test_hook_startup_is_called_with_the_server() -> None:
    started: list[Any] = []

    class Starts:
        @hookimpl
        def startup(self, server: Any) -> None:
            started.append(server)

    plugins.start(plugins.load_plugins(explicit=[Starts()], installed=False), "S")
    assert started == ["S"]


def test_servers_share_nothing(tmp_path: Path) -> None:
    write(
        tmp_path,
        "counts.py",
        "calls = []\n@hookimpl\ndef jmap_methods():\n    calls.append(1)\n    return list(calls)\n",
    )
    for _ in range(2):
        manager = plugins.load_plugins(folders=[tmp_path], installed=False)
        assert plugins.gather(manager, "jmap_methods", server=None) == [1]


def test_wrappers_take_part() -> None:
    class Wraps:
        @hookimpl(wrapper=True)
        def jmap_methods(self) -> Any:
            answers = yield
            return [[*answer, "wrapped"] for answer in answers]

    manager = plugins.load_plugins(explicit=[plugin(["a"]), Wraps()], installed=False)
    assert "wrapped" in plugins.gather(manager, "jmap_methods", server=None)


def test_everything_wrong_is_told_at_once(tmp_path: Path, installed: Any) -> None:
    installed(broken=plugin(), fine=plugin())
    del sys.modules["installed_broken"]
    write(tmp_path, "misspelt.py", "@hookimpl\ndef jmap_method(server): pass\n")
    write(tmp_path, "faulty.py", "1 / 0\n")
    write(tmp_path, "fine.py", "")
    write(tmp_path, "greedy.py", "@hookimpl\ndef startup(server, more): pass\n")
    with pytest.raises(ConfigError) as refused:
        plugins.load_plugins(folders=[tmp_path, tmp_path / "nowhere"])
    told = str(refused.value)
    assert "misspelt: jmap_method" in told
    assert "did you mean 'jmap_methods'?" in told
    assert "faulty.py" in told
    assert "ZeroDivisionError" in told
    assert "entry point broken" in told
    assert "fine: found a second plugin of that name" in told
    assert "greedy" in told
    assert "more" in told
    assert "nowhere: found nothing" in told
    assert len(refused.value.problems) == 6


@pytest.mark.parametrize(
    ("answer", "told"), [(RuntimeError("no luck"), "RuntimeError: no luck"), ("text", "found str")]
)
def test_a_plugin_that_fails_at_the_start_is_named(answer: Any, told: str) -> None:
    manager = plugins.load_plugins([("good", plugin([1])), ("bad", plugin(answer))], installed=False)
    with pytest.raises(ConfigError, match=rf"bad: jmap_methods: .*{told}"):
        plugins.gather(manager, "jmap_methods", server=None)


def test_objects_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ConfigError, match="unhashable list"):
        plugins.load_plugins(explicit=[[]], installed=False)


def test_no_answer_is_no_opinion() -> None:
    manager = plugins.load_plugins(explicit=[plugin(None)], installed=False)
    assert plugins.gather(manager, "jmap_methods", server=None) == []


def test_optional_hooks_of_other_versions_are_left_alone() -> None:
    class Ahead:
        @hookimpl(optionalhook=True)
        def a_hook_to_come(self) -> None: ...

    plugins.load_plugins(explicit=[Ahead()], installed=False)


async def awaited(server: Any) -> list[Any]:
    return []


def yields(server: Any) -> Any:
    yield 1


def by_name(*, server: Any) -> list[Any]:
    return []


@pytest.mark.parametrize(
    ("function", "told"), [(awaited, "an async function"), (yields, "that yields"), (by_name, "server by name only")]
)
def test_implementations_that_nobody_can_ask_are_refused(function: Any, told: str) -> None:
    module = ModuleType("a_plugin")
    module.jmap_methods = hookimpl(function)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=f"a_plugin: jmap_methods: found .*{told}"):
        plugins.load_plugins(explicit=[module], installed=False)


def test_a_plugin_that_ends_the_process_is_named(tmp_path: Path) -> None:
    write(tmp_path, "ends.py", "import sys\nsys.exit('not here')\n")
    with pytest.raises(ConfigError, match=r"ends\.py.*SystemExit: not here"):
        plugins.load_plugins(folders=[tmp_path], installed=False)
    manager = plugins.load_plugins(explicit=[plugin()], installed=False)
    assert plugins.gather(manager, "jmap_methods", server=None) == []

    class Ends:
        @hookimpl
        def startup(self) -> None:
            sys.exit("not now")

    with pytest.raises(ConfigError, match=r"Ends.*startup.*not now"):
        plugins.start(plugins.load_plugins(explicit=[Ends()], installed=False), "S")


@pytest.mark.parametrize("given", ["a_plugin", None, 5])
def test_what_can_have_no_hooks_is_no_plugin(given: Any) -> None:
    with pytest.raises(ConfigError, match="a module or another object with hooks"):
        plugins.load_plugins(explicit=[given], installed=False)
