"""A site's policy in words, for whoever asks what is in force."""

from __future__ import annotations

from rondo.base.room import in_words
from rondo.client.policy import Limits, SitePolicy


def in_force(policy: SitePolicy) -> dict[str, str]:
    """What holds, subject by subject."""
    sandboxed = policy.worker.sandbox == "bubblewrap"
    folders = ", ".join(policy.data.folders)
    return {
        "code": _code(policy),
        "filters": _filters(policy),
        "limits": _limits(policy.limits),
        "commands": _commands(policy),
        "data": f"{folders}{'' if sandboxed else ' (read-only only in a sandbox)'}" if folders else "what --data names",
        "local models": "leave for cross-site validation where the job says so"
        if policy.validation.local_models == "allow"
        else "stay here: no cross-site validation",
        "sandbox": "bubblewrap" if sandboxed else "none: a job's code can do what the client's user can",
    }


def _code(policy: SitePolicy) -> str:
    match policy.code:
        case "allow":
            return "any job that an admin of the project has signed may bring its own"
        case "refuse" | ():
            return "no job may bring its own"
        case listed:
            return f"a job may bring its own where it is signed by, or is, one of: {', '.join(listed)}"


def _filters(policy: SitePolicy) -> str:
    written = [
        f"{one.name}({', '.join(f'{key}={value!r}' for key, value in one.options.items())})" for one in policy.filters
    ]
    return f"after the job's own: {', '.join(written)}" if written else "the job's own"


def _limits(limits: Limits) -> str:
    told = [
        (limits.gpus, f"{limits.gpus} graphics cards"),
        (limits.cpus, f"{limits.cpus} processors"),
        (limits.memory, f"{in_words(limits.memory or 0)} of memory"),
        (limits.disk, f"{in_words(limits.disk or 0)} of disk"),
        (limits.run_time, f"{limits.run_time or 0:g} s"),
    ]
    return ", ".join(text for value, text in told if value is not None) or "none"


def _commands(policy: SitePolicy) -> str:
    answer, refuse = policy.commands.answer, policy.commands.refuse
    if answer is None and not policy.commands.shell:
        refuse |= {"shell"}
    told = "all" if answer is None else ", ".join(sorted(answer)) or "none"
    return f"{told}, but not {', '.join(sorted(refuse))}" if refuse else told
