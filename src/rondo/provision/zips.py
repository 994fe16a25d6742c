"""Kits as zip files: AES-256 (WinZip AE-2, which 7-Zip opens too), one random password each."""

from __future__ import annotations

import io
import secrets
import stat
import string
import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyzipper

from rondo.base.disk import disk_errors, write_atomic
from rondo.base.errors import BadInput, Refused
from rondo.net.kits import STARTUP

_MAX_ZIP = 16 * 1024 * 1024
_MAX_FILE = 4 * 1024 * 1024
_MAX_FILES = 64
# Passwords are read out over the telephone: nothing that looks like something else.
_ALPHABET = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
PASSWORD_LENGTH = 16


def new_password() -> str:
    """16 random letters and digits (93 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH))


def file_mode(name: str) -> int:
    """The rights of a kit's file: keys for their owner only, scripts executable."""
    return {"key": 0o600, "sh": 0o755}.get(name.rpartition(".")[2], 0o644)


def pack_kit(files: Mapping[str, bytes], password: str | None, now: float) -> bytes:
    """A zip file with ``files`` in the folder ``startup/``, encrypted unless ``password`` is None."""
    content = io.BytesIO()
    made = datetime.fromtimestamp(now, UTC).timetuple()[:6]
    with pyzipper.AESZipFile(content, "w", compression=pyzipper.ZIP_DEFLATED) as archive:
        if password is not None:
            archive.setpassword(password.encode())
            archive.setencryption(pyzipper.WZ_AES, nbits=256)
        for name in sorted(files):
            entry = archive.zipinfo_cls(f"{STARTUP}/{name}", date_time=made)
            entry.compress_type = pyzipper.ZIP_DEFLATED
            entry.create_system = 3  # Unix: the upper half of the attributes are the file's mode
            entry.external_attr = (stat.S_IFREG | file_mode(name)) << 16
            archive.writestr(entry, files[name])
    return content.getvalue()


def is_encrypted(path: Path) -> bool:
    """Whether the zip file needs a password. Raises ``BadInput`` where it is none."""
    with _opened(path) as archive:
        return any(entry.flag_bits & 1 for entry in archive.infolist())


def unpack_kit(path: Path, password: str | None) -> dict[str, bytes]:
    """The files of the startup folder in the zip file ``path``: name -> content. Nothing is written.

    Raises ``BadInput`` for anything that is not a kit (other folders, links, absurd sizes, damage), ``Refused``
    for a wrong or missing password.
    """
    with _opened(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename != f"{STARTUP}/"]
        if not entries or len(entries) > _MAX_FILES:
            raise BadInput(f"{len(entries)} files are not those of a kit", where=str(path))
        if password is not None:
            archive.setpassword(password.encode())
        names = [_checked_name(entry, path) for entry in entries]
        if len(set(names)) != len(names):
            raise BadInput("a file is in it twice", where=str(path))
        return {name: _content(archive, entry, path) for name, entry in zip(names, entries, strict=True)}


def _opened(path: Path) -> pyzipper.AESZipFile:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_ZIP + 1)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(data) > _MAX_ZIP:
        raise BadInput(f"larger than {_MAX_ZIP} bytes: no kit", where=str(path))
    try:
        return pyzipper.AESZipFile(io.BytesIO(data))
    except (pyzipper.BadZipFile, struct.error, ValueError, OSError, NotImplementedError) as error:
        raise BadInput(f"not a zip file: {error}", where=str(path)) from None


def _checked_name(entry: pyzipper.ZipInfo, path: Path) -> str:
    folder, _, name = str(entry.filename).partition("/")
    mode = entry.external_attr >> 16
    plain = stat.S_IFMT(mode) in (0, stat.S_IFREG)
    safe = all(char.isalnum() or char in "._-" for char in name) and name.isascii() and name.strip(".") != ""
    if folder != STARTUP or not safe or not plain:
        raise BadInput(f"{entry.filename!r} does not belong into a kit", where=str(path), hint="nothing was written")
    if entry.file_size > _MAX_FILE:
        raise BadInput(f"{entry.filename!r} is larger than {_MAX_FILE} bytes", where=str(path))
    return name


def _content(archive: pyzipper.AESZipFile, entry: pyzipper.ZipInfo, path: Path) -> bytes:
    try:
        with archive.open(entry) as file:
            content: bytes = file.read(_MAX_FILE + 1)
    except (pyzipper.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError) as error:
        raise BadInput(f"damaged, or the password is wrong: {error}", where=str(path)) from None
    except RuntimeError as error:  # how the library says that a password is missing or wrong
        what = "wrong password" if entry.flag_bits & 1 and archive.pwd else "the kit is encrypted"
        hint = "the password was shown once when the kit was made"
        raise Refused(what, where=str(path), hint=hint, detail=str(error)) from None
    if len(content) != entry.file_size:
        raise BadInput(f"{entry.filename!r} is not as large as it says", where=str(path))
    return content


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a kit's files into ``folder`` (made with rights 0700), the manifest last.

    Raises ``NoSpace``. A folder that was cut short does not verify.
    """
    with disk_errors(folder, "make the folder"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in sorted(files, key=lambda name: (name.startswith("kit."), name)):
        write_atomic(folder / name, files[name], file_mode(name))
