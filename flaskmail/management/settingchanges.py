"""Changing the stored settings: planned, judged by the code that reads them at a start, stored in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from flaskmail.accounts.storedsettings import SECRET, Changed, Stale, State
from flaskmail.config.changing import Plan, Step, planned
from flaskmail.config.documents import in_force
from flaskmail.config.listing import is_secret
from flaskmail.config.reloading import Need
from flaskmail.config.settings import Settings
from flaskmail.errors import ConfigError, Problem, RequestError
from flaskmail.livesettings import InForce
from flaskmail.management.operation import Call
from flaskmail.management.refusals import changed, conflict, of_settings
from flaskmail.server import Server

ATTEMPTS = 10
"""How often a change that was made for no certain revision is planned anew when somebody else was first."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a change would do. state: what is stored before it; plan: afterwards; problems: everything that is wrong with that;
    changes: key by key, without secrets; pending: the keys whose new values wait, and for what."""

    state: State
    plan: Plan
    problems: tuple[Problem, ...]
    changes: tuple[Changed, ...]
    pending: Mapping[str, Need]

    def refusal(self) -> RequestError | None:
        """Why it cannot be stored; None when it can."""
        if self.problems:
            return of_settings(ConfigError(self.problems))
        if self.plan.fixed:
            told = "; ".join(f"{key} is set by {origin}" for key, origin in sorted(self.plan.fixed.items()))
            return conflict(f"What is set elsewhere is changed there: {told}.", keys=dict(self.plan.fixed))
        if self.plan.occupied:
            return conflict(f"Something is stored already: {', '.join(self.plan.occupied)}.", keys=self.plan.occupied)
        return None


def tag(now: InForce) -> str:
    """The entity tag of the settings: another one whenever a key, a value or an origin differs. Secrets are not in it."""
    told = "\n".join(f"{one['key']}={one['value']} {one['origin']}" for one in in_force(now.wanted))
    digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=6, usedforsecurity=False).hexdigest()
    return f"{now.state.revision}-{digest}"


def present(server: Server) -> InForce:
    """The settings as they are now, whatever process has changed them."""
    server.refresh(now=True)
    return server.live_settings.now


def propose(server: Server, now: InForce, steps: Iterable[Step]) -> Proposal:
    """What these steps would do to the settings as they are ``now``. StoreError when it cannot be known."""
    return judged(server, now, planned(now.state.texts, now.wanted, steps))


def judged(server: Server, now: InForce, plan: Plan) -> Proposal:
    """What the plan would do."""
    state, problems, pending = now.state, list(plan.problems), {}
    try:
        fresh = server.live_settings.made_of(now.wanted, replace(state, texts=plan.texts), server.settings_checks)
    except ConfigError as error:
        problems += error.problems
    else:
        pending = {
            key: need for key, need in fresh.pending.items() if now.pending.get(key) != need or _moves(key, state, plan)
        }
    return Proposal(state, plan, tuple(problems), tuple(_changes(state.texts, plan.texts)), pending)


def _moves(key: str, state: State, plan: Plan) -> bool:
    return state.texts.get(key) != plan.texts.get(key)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterable[Changed]:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield Changed(key, _told(key, old.get(key)), _told(key, new.get(key)))


def _told(key: str, text: str | None) -> str | None:
    return SECRET if text is not None and is_secret(key, text) else text


def store(call: Call, steps: Iterable[Step]) -> Proposal:
    """Does the steps, all or none. Raises RequestError: 400 with every problem, 409 for what is set elsewhere, 412 when If-Match
    names other settings than the present ones."""
    steps = list(steps)
    for attempt in range(ATTEMPTS):
        now = present(call.server)
        call.check_match(tag(now))
        proposal = propose(call.server, now, steps)
        if commit(call, proposal, last=attempt == ATTEMPTS - 1):
            return proposal
    raise AssertionError("not reached")


def commit(call: Call, proposal: Proposal, *, last: bool = True) -> bool:
    """Stores what is proposed; False when somebody else was first and it can be tried again. last: whether it cannot."""
    refusal = proposal.refusal()
    if refusal is not None:
        raise refusal
    server, texts = call.server, proposal.plan.texts
    changes = {
        key: texts.get(key)
        for key in {*proposal.state.texts, *texts}
        if proposal.state.texts.get(key) != texts.get(key)
    }
    try:
        server.directory.settings.change(
            changes, actor=call.principal.name, expected=proposal.state.revision, is_secret=is_secret
        )
    except Stale:
        if call.if_match is not None or last:
            raise changed("They were changed since you read them: read them again, then change them.") from None
        return False
    call.changed = [[one.key, one.old, one.new] for one in proposal.changes]
    call.headers["ETag"] = f'"{tag(present(server))}"'
    return True


def shadowed(wanted: Settings, texts: Mapping[str, str]) -> list[str]:
    """The stored keys that are without effect, because file or environment set them too."""
    return sorted(key for key in texts if wanted.origin(key) not in ("default", "the stored settings"))
