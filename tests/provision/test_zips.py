"""Kits as zip files: 7-Zip opens them, and nothing but a kit comes out of one."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
import pyzipper

from rondo.base.errors import BadInput, Conflict, Refused
from rondo.net.kits import load_kit
from rondo.provision.unpack import open_zip
from rondo.provision.zips import is_encrypted, new_password, pack_kit, unpack_kit
from tests.provision.projects import NOW, made, run

FILES = {"readme.txt": b"hello\n" * 100, "client.key": b"secret", "start.sh": b"#!/bin/sh\n"}


def packed(folder: Path, password: str | None = "right") -> Path:
    path = folder / "kit.zip"
    path.write_bytes(pack_kit(FILES, password, NOW))
    return path


def other_zip(folder: Path, *entries: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    path = folder / "other.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return path


def test_what_was_packed_comes_out(tmp_path: Path) -> None:
    assert unpack_kit(packed(tmp_path), "right") == FILES
    assert unpack_kit(packed(tmp_path, None), None) == FILES
    assert is_encrypted(packed(tmp_path)) and not is_encrypted(packed(tmp_path, None))


def test_7_zip_opens_a_kit_with_its_password_and_rights(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    one = made(outcome, "client1")
    done = subprocess.run(
        ["7z", "x", f"-p{one.password}", f"-o{tmp_path / 'ws'}", str(one.path)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    kit = load_kit(tmp_path / "ws", NOW)  # refuses a key that others may read
    assert kit.name == "client1"
    assert os.access(kit.folder / "start.sh", os.X_OK)


def test_7_zip_refuses_a_wrong_password_and_sees_aes_256(tmp_path: Path) -> None:
    path = packed(tmp_path)
    listed = subprocess.run(["7z", "l", "-slt", str(path)], capture_output=True, text=True, check=True)
    methods = [line for line in listed.stdout.splitlines() if line.startswith("Method = ")]
    assert len(methods) == 3 and all("AES-256" in line for line in methods)
    wrong = subprocess.run(["7z", "t", "-pwrong", str(path)], capture_output=True, text=True, check=False)
    assert wrong.returncode != 0 and "Wrong password" in wrong.stdout + wrong.stderr


def test_content_is_not_in_the_clear(tmp_path: Path) -> None:
    assert b"secret" not in packed(tmp_path).read_bytes()
    assert b"hello" not in packed(tmp_path).read_bytes()


def test_wrong_and_missing_password_say_so(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="wrong password"):
        unpack_kit(packed(tmp_path), "wrong")
    with pytest.raises(Refused, match="is encrypted"):
        unpack_kit(packed(tmp_path), None)


def encrypted(content: bytes) -> tuple[int, int]:
    """Where the first entry's encrypted part begins (16 bytes of salt, 2 of password check) and ends (10 of HMAC)."""
    size, name, extra = (int.from_bytes(content[at : at + n], "little") for at, n in ((18, 4), (26, 2), (28, 2)))
    return 30 + name + extra, 30 + name + extra + size


def test_a_wrong_password_that_passes_the_short_check_is_refused_too(tmp_path: Path) -> None:
    """The format has a check of two bytes: one wrong password in 65,536 gets past it, and meets the full one."""
    content = bytearray(pack_kit({"a": b"x"}, "right", NOW))
    start, _ = encrypted(content)
    derived = hashlib.pbkdf2_hmac("sha1", b"wrong", content[start : start + 16], 1000, 66)
    content[start + 16 : start + 18] = derived[-2:]
    (tmp_path / "kit.zip").write_bytes(content)
    with pytest.raises(BadInput, match="damaged, or the password is wrong"):
        unpack_kit(tmp_path / "kit.zip", "wrong")


def test_every_changed_byte_of_an_encrypted_file_is_noticed(tmp_path: Path) -> None:
    content = pack_kit({"kit.json": b"0123456789" * 3}, "right", NOW)
    path = tmp_path / "kit.zip"
    start, end = encrypted(content)
    for at in range(start, end):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises((BadInput, Refused)):
            unpack_kit(path, "right")


def test_passwords_have_nothing_that_looks_alike() -> None:
    words = "".join(new_password() for _ in range(200))
    assert set(words).isdisjoint("0O1lI") and len(set(words)) > 50


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("startup/start.sh")
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("startup/../evil", "'startup/../evil' does not belong"),
        ("../startup/evil", "does not belong"),
        ("/startup/evil", "does not belong"),
        ("startup/sub/evil", "does not belong"),
        ("evil", "does not belong"),
        ("startup/..", "does not belong"),
        ("startup/a b", "does not belong"),
        ("startup\\evil", "does not belong"),
        ("startup/é", "does not belong"),
        (link(), "does not belong"),
    ],
)
def test_nothing_but_plain_files_of_startup_comes_out(tmp_path: Path, entry: zipfile.ZipInfo | str, said: str) -> None:
    path = other_zip(tmp_path, ("startup/kit.json", b"{}"), (entry, b"evil"))
    with pytest.raises(BadInput) as caught:
        open_zip(path, tmp_path / "ws", None)
    assert said in str(caught.value)
    assert not (tmp_path / "ws").exists()


def test_bombs_and_crowds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="larger than"):
        unpack_kit(other_zip(tmp_path, ("startup/kit.json", bytes(5_000_000))), None)
    crowd = [(f"startup/f{number}", b"") for number in range(65)]
    with pytest.raises(BadInput, match="65 files are not those of a kit"):
        unpack_kit(other_zip(tmp_path, *crowd), None)
    with pytest.raises(BadInput, match="0 files"):
        unpack_kit(other_zip(tmp_path), None)
    big = tmp_path / "big.zip"
    with big.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(BadInput, match="no kit"):
        unpack_kit(big, None)


@pytest.mark.parametrize("claimed", [0, 10, 2_000_000])
def test_a_size_that_lies_is_noticed(tmp_path: Path, claimed: int) -> None:
    path = other_zip(tmp_path, ("startup/kit.json", bytes(1_000_000)))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    assert int.from_bytes(content[at : at + 4], "little") == 1_000_000
    content[at : at + 4] = claimed.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(BadInput):
        unpack_kit(path, None)


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    with pyzipper.AESZipFile(content, "w") as archive:
        archive.writestr("startup/kit.json", b"1")
        archive.writestr("startup/kit.jsoN", b"2")
    path = tmp_path / "twice.zip"
    path.write_bytes(content.getvalue().replace(b"kit.jsoN", b"kit.json"))
    with pytest.raises(BadInput, match="twice"):
        unpack_kit(path, None)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 100, b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(60)])
def test_what_is_no_zip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"not a zip file|0 files"):
        unpack_kit(path, None)
    with pytest.raises(BadInput, match="No such file"):
        unpack_kit(tmp_path / "none.zip", None)


@pytest.mark.parametrize("at", [10, 100, 300, -1, -30])
def test_a_cut_kit_is_refused(tmp_path: Path, at: int) -> None:
    path = packed(tmp_path)
    path.write_bytes(path.read_bytes()[:at])
    with pytest.raises(BadInput):
        unpack_kit(path, "right")


def test_a_zip_of_kit_files_that_is_no_kit_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no rootCA\.pem"):
        open_zip(packed(tmp_path), tmp_path / "ws", "right")
    assert not (tmp_path / "ws").exists()


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    one = made(run(tmp_path), "client1")
    (tmp_path / "ws" / "startup").mkdir(parents=True)
    for replace in (False, True):
        with pytest.raises(Conflict):
            open_zip(one.path, tmp_path / "ws", one.password, replace=replace)
    assert list((tmp_path / "ws" / "startup").iterdir()) == []
