"""A sandbox around a worker, made by bubblewrap (``bwrap``, https://github.com/containers/bubblewrap).

Inside there is no network, no process of others, no right of the system's administrator, and of the disk only what
Python needs and what is named here. Everything else is not there at all, and nothing but the folders named in
``writes`` can be written. The descriptors that a worker inherits (the channel and the lifeline to its parent) pass
through; when bubblewrap is killed, so is all that runs in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rondo.base.errors import SiteRefused

# What programs of a Linux system need beside their own files; what a system does not have is left out.
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf",
    "/etc/mime.types", "/etc/fonts", "/opt/rocm", "/sys/devices/system",
)  # fmt: skip
_SHARED = Path("/tmp")
_CARDS = ("/dev/nvidia", "/dev/dri", "/dev/kfd")

# Of the parent's environment: what says how to compute. Words that may be secret (proxies, tokens) stay outside.
_LET_IN = (
    "PATH", "LANG", "LC_", "TZ", "PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "OMP_", "MKL_",
    "OPENBLAS_", "NUMEXPR_", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "HSA_", "MALLOC_", "TORCH_", "MONAI_",
)  # fmt: skip

# The worker's keeper reaps what is left there: no init of bubblewrap's, whose own end might be reaped by nobody.
_UNSHARED = ("--unshare-all", "--as-pid-1", "--die-with-parent", "--cap-drop", "ALL")
_INSTALL = "install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora, RHEL: dnf install bubblewrap)"
_NAMESPACES = (
    "let this user make namespaces: sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_"
    "unprivileged_userns=0; in a container: --security-opt seccomp=unconfined"
)


@dataclass(frozen=True)
class Sandbox:
    """``reads``: files and folders that may be read. ``writes``: folders that may be written; made where they are not
    there. ``hides``: a folder of which nothing is seen but what lies in ``reads`` and ``writes``. ``home``: one of
    ``writes``. ``cards``: whether graphics cards are let in."""

    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    hides: Path
    home: Path
    cards: bool = True

    def command(self) -> list[str]:
        """What stands before the command that is to run inside. Raises ``SiteRefused`` where there is no bubblewrap."""
        for folder in (*self.writes, self._temporary):
            folder.mkdir(parents=True, exist_ok=True)
        cards = _cards() if self.cards else []
        wanted = (*_system(), *_python(), *([Path("/sys")] if cards else []), *self.reads)
        reads = [path for path in dict.fromkeys(wanted) if path.exists()]
        within = [path for path in reads if self.hides in path.parents]
        words = [_bubblewrap(), *_UNSHARED, "--proc", "/proc", "--dev", "/dev"]
        for path in reads:
            if path not in within:
                words += ["--ro-bind", str(path), str(path)]
        words += ["--tmpfs", str(self.hides)]
        for path in within:
            words += ["--ro-bind", str(path), str(path)]
        for path in self.writes:
            words += ["--bind", str(path), str(path)]
        if not any(_SHARED in path.parents for path in (*reads, *self.writes, self.hides)):
            words += ["--bind", str(self._temporary), str(_SHARED)]
        for card in cards:
            words += ["--dev-bind", card, card]
        return [*words, "--remount-ro", str(self.hides), "--remount-ro", "/", "--chdir", str(self.home), "--"]

    def environment(self, inherited: dict[str, str]) -> dict[str, str]:
        """Of the environment ``inherited`` what is let in; and where temporary files go."""
        kept = {name: value for name, value in inherited.items() if name.startswith(_LET_IN)}
        if modules := kept.get("PYTHONPATH"):  # what is relative there is so to where this process was started
            kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, modules.split(os.pathsep))))
        return kept | {"HOME": str(self.home), "TMPDIR": str(self._temporary)}

    @property
    def _temporary(self) -> Path:
        return self.writes[-1] / "tmp"


def see_it_works() -> None:
    """Raises ``SiteRefused`` where this machine has no bubblewrap, or does not let it do its work."""
    words = [_bubblewrap(), *_UNSHARED, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "true"]
    tried = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    if tried.returncode != 0:
        said = tried.stderr.decode(errors="replace").strip()[-300:]
        raise SiteRefused(f"bubblewrap cannot make a sandbox on this machine: {said}", hint=_NAMESPACES)


def _bubblewrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise SiteRefused("the policy asks for a sandbox, and there is no bubblewrap (bwrap) here", hint=_INSTALL)
    return found


def _system() -> Iterator[Path]:
    yield from map(Path, _SYSTEM)


def _python() -> Iterator[Path]:
    """This interpreter, what is installed for it, and this package."""
    yield from map(Path, dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)))
    yield Path(sys.executable).resolve().parent
    yield Path(__file__).parents[1]
    here = os.getcwd()  # Python puts it first in its path where it was started as ``python -m``
    yield from (Path(entry) for entry in sys.path if os.path.isabs(entry) and entry != here)


def _cards() -> list[str]:
    return [entry.path for entry in os.scandir("/dev") if entry.path.startswith(_CARDS)]
