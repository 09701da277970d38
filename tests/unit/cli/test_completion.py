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


def test_bash_fills_in(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    command = Path(sys.executable).with_name("flaskmail")
    environ = {
        "PATH": f"{command.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "FLASKMAIL_DATA": str(tmp_path / "data"),
    }
    script = (
        'eval "$(flaskmail completion bash)"; COMP_WORDS=(flaskmail whoa); COMP_CWORD=1; '
        '_flaskmail_completion flaskmail; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run([bash, "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "whoami", done
    # Somebody is typing: what is wrong with the settings is for the command to say.
    (tmp_path / "config.toml").write_text("nothing = 1\n")
    done = subprocess.run([bash, "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("whoami", ""), done
