"""Blobs in a local folder, two levels deep: ``ab/abcdef...``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rondo.base.disk import disk_errors, sync
from rondo.base.errors import NotFound
from rondo.base.options import Options as BaseOptions
from rondo.base.spare import give_up
from rondo.tensors.digest import digest_of, parse_digest


class Options(BaseOptions, frozen=True):
    """``folder``: where the files are kept, on the file system on which they arrive. ``spares``: the folder whose
    spare (``rondo.base.spare``) a deleted file becomes; "" for none. ``durable``: what is adopted survives a loss of
    power."""

    folder: str
    spares: str = ""
    durable: bool = False


def build(options: Options) -> LocalBlobs:
    return LocalBlobs(Path(options.folder), Path(options.spares) if options.spares else None, options.durable)


class LocalBlobs:
    """A folder of this machine; adopting renames, so it wants the spool on the same file system."""

    def __init__(self, folder: Path, spares: Path | None = None, durable: bool = False) -> None:
        self._folder = folder
        self._durable = durable
        self._spares = spares

    def _path(self, digest: str) -> Path:
        name = parse_digest(digest)
        return self._folder / name[:2] / name

    def adopt(self, path: Path, digest: str) -> None:
        target = self._path(digest)
        try:
            with disk_errors(target, "keep the file"):
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
                if self._durable:
                    sync(target)
        except FileNotFoundError:
            if not target.is_file():
                raise NotFound("no such file to keep", where=str(path)) from None

    def local(self, digest: str) -> Path:
        path = self._path(digest)
        if not path.is_file():
            raise NotFound(f"no file {digest} in the store", where=str(self._folder))
        return path

    def delete(self, digest: str) -> int:
        path = self._path(digest)
        with disk_errors(path, "delete the file"):
            try:
                size = path.stat().st_size
                if self._spares is None:
                    path.unlink()
                else:
                    give_up(path, self._spares)
            except FileNotFoundError:
                return 0
        return size

    def held(self) -> Iterator[tuple[str, int]]:
        for path in self._folder.glob("??/*"):
            digest = digest_of(path.name)
            if digest and path.parent.name == path.name[:2]:
                with suppress(FileNotFoundError):  # somebody deletes it meanwhile
                    yield digest, path.stat().st_size
