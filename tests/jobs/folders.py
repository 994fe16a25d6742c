"""Jobs and archives for the tests: sound ones, and ones that nobody should be able to send."""

from __future__ import annotations

import resource
import stat
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER = "[server]\nnum_rounds = 3\n"
MODEL = '[model]\nfunction = "clinic:new_model"\n'
CLIENT = '[client]\ntrainer = { name = "function", class = "clinic:Clinic", args = { lr = 0.1 } }\n'
CODE = "def new_model():\n    return {}\n\n\nclass Clinic:\n    pass\n"


def make_job(
    folder: Path, *, name: str = "thyroid", server: str = SERVER, model: str = MODEL, client: str = CLIENT
) -> Path:
    """A job of these sections, with the code that it names."""
    text = f'name = "{name}"\n{server}{model}{client}'
    return fill(folder, {"job.toml": text, "clinic.py": CODE})


def fill(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Names and contents of all files below."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Entry:
    name: str
    content: bytes = b"x"
    mode: int = stat.S_IFREG | 0o644
    deflated: bool = False


def make_zip(path: Path, entries: Iterable[Entry | str]) -> Path:
    """Written as asked, however wrong."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")  # a name that is there twice
        for entry in entries:
            wanted = Entry(entry) if isinstance(entry, str) else entry
            info = zipfile.ZipInfo(wanted.name)
            info.external_attr = wanted.mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED if wanted.deflated else zipfile.ZIP_STORED
            archive.writestr(info, wanted.content)
    return path


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk does, without filling one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
