"""The settings of a running server: those of file and environment with the stored ones below them, taken anew when either moves.

What comes into force at once, what waits for a reload or a restart, and what is wrong is decided by :mod:`flaskmail.config`;
here it is decided when to ask."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flaskmail import config
from flaskmail.accounts.storedsettings import State, read_state
from flaskmail.config import Settings
from flaskmail.config.loading import Check, load, overlay
from flaskmail.config.reloading import Need, master, merge, pending, serving
from flaskmail.errors import ConfigError, FlaskmailError

log = logging.getLogger("flaskmail.settings")


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings of a process at one moment. settings: those in force; wanted: what all sources say; pending: the keys in which
    the two differ, and what they wait for. state: what is stored."""

    settings: Settings
    wanted: Settings
    pending: Mapping[str, Need]
    state: State

    @property
    def marks(self) -> tuple[int, int]:
        """What moves when the settings have to be taken anew."""
        return self.state.revision, self.state.reload


class LiveSettings:
    """The settings of one Server, in each process that it works in.

    given: settings that somebody's code made, which no file replaces; None for those of the process
    (:func:`flaskmail.config.current`). ConfigError when they are wrong, StoreError when the stored ones cannot be read; a data
    folder that is not there yet has none, and is not made."""

    def __init__(self, given: Settings | None) -> None:
        self._given = given
        base = given or config.current()
        state = read_state(base.storage.path)
        wanted = overlay(base, state.texts, checks=())
        self._began = state.reload
        self._served = self._serving()
        self._base = base
        self._fixed = self._served or wanted
        self._pid = os.getpid()
        self._now = self._joined(wanted, state, ())

    @property
    def now(self) -> InForce:
        """Those of this process; read anew after a fork."""
        if self._pid != os.getpid():
            self._now = self._after_fork()
            self._pid = os.getpid()
        return self._now

    def _serving(self) -> Settings | None:
        return None if self._given is not None else serving()

    def _after_fork(self) -> InForce:
        served, base = self._serving(), self._given or config.current()
        self._fixed = served or self._fixed
        try:
            state = read_state(base.storage.path)
            if (state.revision, state.reload) == self._now.marks and served is self._served and base is self._base:
                # As before the fork: all processes share the memory of one.
                return self._now
            if self._given is None and state.reload != self._began:
                base = self.read_again(state)
            return self.made_of(base, state)
        except FlaskmailError as error:
            _complain(error)
            return self._now

    def read_again(self, state: State, checks: Iterable[Check] = ()) -> Settings:
        """What file and environment say now, with these stored settings. ConfigError holds everything that is wrong."""
        return self._given or load(config.current().source, stored=state.texts, checks=checks)

    @property
    def master(self) -> int | None:
        """The process to which a SIGHUP is sent for what needs a reload; None when there is none."""
        return None if self._given is not None else master()

    def made_of(self, base: Settings, state: State, checks: Iterable[Check] = ()) -> InForce:
        """What would be in force with these. base: as from file and environment. ConfigError holds everything that is wrong."""
        checks = tuple(checks)
        return self._joined(overlay(base, state.texts, checks=checks), state, checks)

    def _joined(self, wanted: Settings, state: State, checks: Iterable[Check]) -> InForce:
        waiting = pending(self._fixed, wanted)
        settings = merge(self._fixed, wanted, live=True)
        if settings is not wanted:
            # What is in force together in the meantime has to fit together too.
            problems = [problem for check in checks for problem in check(settings)]
            if problems:
                raise ConfigError(problems)
        return InForce(settings, wanted, waiting, state)

    def follow(self, state: State, checks: Iterable[Check]) -> InForce | None:
        """What comes into force with this state; None when it is what is, or when it is wrong, which the log then says."""
        now = self.now
        if (state.revision, state.reload) == now.marks:
            return None
        try:
            base = now.wanted if state.reload == now.state.reload else self.read_again(state)
            return self.made_of(base, state, checks)
        except ConfigError as error:
            _complain(error)
            # They are looked at again when they move again.
            self._now = InForce(now.settings, now.wanted, now.pending, state)
            return None

    def adopt(self, fresh: InForce) -> None:
        """Makes these the settings of this process."""
        self._now = fresh


def _complain(error: FlaskmailError) -> None:
    problems = error.problems if isinstance(error, ConfigError) else (error,)
    for problem in problems:
        log.error("%s", problem)
    log.error("The settings are wrong; the old ones stay in force.")
