from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_the_shell(flaskmail: Callable[..., Result], shell: str) -> None:
    said = flaskmail("completion", shell)
    assert said.exit_code == 0
    assert "_FLASKMAIL_COMPLETE" in said.output


SCRIPTS = {
    "bash": 'eval "$(flaskmail completion bash)"; COMP_WORDS=(flaskmail whoa); COMP_CWORD=1; '
    '_flaskmail_completion flaskmail; echo "${COMPREPLY[@]}"',
    # What the script knows is shown by functions of zsh that work only while somebody types.
    "zsh": 'eval "$(flaskmail completion zsh)"; _describe() { print -l -- ${completions_with_descriptions%%:*} }; '
    "words=(flaskmail whoa); CURRENT=2; $_comps[flaskmail]",
    "fish": 'source (flaskmail completion fish | psub); complete -C "flaskmail whoa" | cut -f 1',
}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_shell_fills_in(tmp_path: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    command = Path(sys.executable).with_name("flaskmail")
    environ = {
        "PATH": f"{command.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "FLASKMAIL_DATA": str(tmp_path / "data"),
    }

    def run() -> tuple[str, str]:
        words = [program, "-c", SCRIPTS[shell]]
        done = subprocess.run(words, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        return done.stdout.strip(), done.stderr

    # A home where the shell was never set up.
    assert run() == ("whoami", "")
    # Somebody is typing: what is wrong with the settings is for the command to say.
    (tmp_path / "config.toml").write_text("nothing = 1\n")
    assert run() == ("whoami", "")
