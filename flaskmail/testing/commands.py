"""Runs the ``flaskmail`` command for tests: each time in a process of its own, forked from one that has imported all that
commands need. To start Python anew for each takes longer than most of them work."""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

_MOST = 200_000
"""Octets of the arguments and the environment of a command."""
_lock = threading.Lock()
_stems: list[_Stem] = []


def run(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], input: str = "", patience: float = 180.0
) -> subprocess.CompletedProcess[str]:
    """``flaskmail`` with these arguments, in that folder, with that environment and standard input; one at a time.

    subprocess.TimeoutExpired when it takes longer than ``patience`` seconds; it is killed then."""
    with _lock:
        if not _stems:
            _stems.append(_Stem())
        return _stems[0].run(arguments, folder, environment, input, patience)


class _Stem:
    """The process that is forked."""

    def __init__(self) -> None:
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            code = "import sys; from flaskmail.testing.commands import serve; serve(int(sys.argv[1]))"
            command = [sys.executable, "-c", code, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        atexit.register(self._close)

    def _close(self) -> None:
        # It ends when nobody is left who could ask for anything.
        self._sock.close()
        self._process.wait(60)

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], input: str, patience: float
    ) -> subprocess.CompletedProcess[str]:
        asked = json.dumps([list(arguments), str(folder.resolve()), dict(environment)]).encode()
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as wrong:
            given.write(input.encode())
            given.seek(0)
            self._sock.settimeout(None)
            socket.send_fds(self._sock, [asked], [given.fileno(), out.fileno(), wrong.fileno()])
            child = int(self._sock.recv(100))
            self._sock.settimeout(patience)
            try:
                code = int(self._sock.recv(100))
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                self._sock.settimeout(None)
                self._sock.recv(100)
                raise subprocess.TimeoutExpired(list(arguments), patience) from None
            out.seek(0)
            wrong.seek(0)
            return subprocess.CompletedProcess(
                ["flaskmail", *arguments], code, out.read().decode(), wrong.read().decode()
            )


def serve(descriptor: int) -> None:
    """What the process that is forked does, until the socket ``descriptor`` is closed by whoever asks."""
    from flaskmail.cli import COMMANDS, main
    from flaskmail.management import MODULES

    for name, _ in COMMANDS.values():
        import_module(f"flaskmail.cli.{name.partition(':')[0]}")
    for name in MODULES:
        import_module(f"flaskmail.management.{name}")
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as sock:
        while True:
            asked, descriptors, _, _ = socket.recv_fds(sock, _MOST, 3)
            if not asked:
                return
            child = os.fork()
            if child == 0:
                break
            for one in descriptors:
                os.close(one)
            sock.send(b"%d" % child)
            _, status = os.waitpid(child, 0)
            sock.send(b"%d" % os.waitstatus_to_exitcode(status))
    for standard, one in enumerate(descriptors):
        os.dup2(one, standard)
        os.close(one)
    arguments, folder, environment = json.loads(asked)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["flaskmail", *arguments]
    main()
