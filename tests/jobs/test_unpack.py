"""Unpacking: nothing that an archive says is believed, and a refused one leaves nothing behind."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, Conflict, MachineFault, NoSpace
from rondo.jobs.package import Limits, pack, unpack
from tests.jobs.folders import Entry, files_of_at_most, fill, make_zip, tree

FILES: dict[str, str | bytes] = {
    "job.toml": 'name = "a"',
    "clinic.py": "x = 1",
    "nets/__init__.py": "",
    "nets/übung.py": "é",
    "init.safetensors": bytes(range(256)) * 16,
}


def refusal(tmp_path: Path, archive: Path, limits: Limits | None = None) -> str:
    """What unpacking is refused with; and nothing may be left behind."""
    target = tmp_path / "out" / "job"
    target.parent.mkdir(exist_ok=True)
    with pytest.raises(BadInput) as caught:
        unpack(archive, target, limits or Limits())
    assert list(target.parent.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/etc/passwd", "is absolute"),
        ("../job.toml", '".." part'),
        ("a/../../b", '".." part'),
        ("a/./b", '"." or ".." part'),
        ("a//b", "has an empty"),
        ("..", '".." part'),
        ("a\\..\\b", "has a backslash"),
        ("C:/a", "begins with a drive letter"),
        ("c:a", "begins with a drive letter"),
        ("a\nb", "has control characters"),
        ("a" * 256, "is too long"),
        ("a/" * 600 + "b", "is too long"),
        ("__pycache__/clinic.cpython-311.pyc", "is compiled Python"),
    ],
)
def test_an_entry_with_a_bad_name_is_refused(tmp_path: Path, name: str, says: str) -> None:
    text = refusal(tmp_path, make_zip(tmp_path / "z", ["job.toml", name]))
    assert says in text
    assert repr(name[:50])[:-1] in text


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (stat.S_IFLNK, "is a link"),
        (stat.S_IFCHR, "is a device"),
        (stat.S_IFBLK, "is a device"),
        (stat.S_IFIFO, "is a pipe"),
        (stat.S_IFSOCK, "is a socket"),
        (stat.S_IFDIR, "is a folder"),
    ],
)
def test_an_entry_that_is_no_file_is_refused(tmp_path: Path, mode: int, says: str) -> None:
    archive = make_zip(tmp_path / "z", ["job.toml", Entry("data", b"/etc", mode | 0o777)])
    assert refusal(tmp_path, archive) == f"{archive}: entry 'data': {says}"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a", "b", "a"], "'a' and 'a' are the same name"),
        (["a/b.py", "A/B.py"], "'a/b.py' and 'A/B.py' are the same name"),
        (["stra\u00dfe", "STRASSE"], "are the same name"),
        (["\u00e9", "e\u0301"], "are the same name"),
        (["a", "a/b"], "'a' is a file and the folder of 'a/b'"),
        (["A", "a/b/c"], "is a file and the folder of"),
    ],
)
def test_entries_that_would_overwrite_each_other_are_refused(tmp_path: Path, names: list[str], says: str) -> None:
    assert says in refusal(tmp_path, make_zip(tmp_path / "z", names))


def test_folders_are_made_and_modes_ignored(tmp_path: Path) -> None:
    entries = [Entry("a/", b"", stat.S_IFDIR | 0o000), Entry("b.py", b"x", 0o100000 | 0o4777), Entry("c", b"", 0)]
    unpack(make_zip(tmp_path / "z", [*entries, "a/d"]), tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"a/d", "b.py", "c"}
    assert stat.S_IMODE((tmp_path / "out" / "b.py").stat().st_mode) & 0o7111 == 0
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


def test_a_folder_entry_has_no_content(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", [Entry("a/", b"xx", stat.S_IFDIR | 0o755)])
    assert "is a folder with content" in refusal(tmp_path, archive)


def test_too_many_entries_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """A table of contents of 60,000 entries, made by hand; and one that claims to be shorter than it is."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 1, 1, 5, 0, 0, 0, 0, 0, 0)
    table = b"".join(entry + b"%05d" % number for number in range(60_000))
    archive = tmp_path / "z"
    for claimed, says in ((60_000, "60000 entries, more than 10000"), (9, "does not hold the 9 entries it says")):
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, claimed, claimed, len(table), 0, 0)
        archive.write_bytes(table + end)
        assert says in refusal(tmp_path, archive)


def test_a_huge_table_of_contents_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", [f"{'n' * 200}{number}" for number in range(20)])
    assert "a table of contents of" in refusal(tmp_path, archive, Limits(directory=4096))


def test_archives_of_more_than_65535_entries_are_understood(tmp_path: Path) -> None:
    """The 64-bit form, made by hand around the same table."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 1, 1, 5, 0, 0, 0, 0, 0, 0)
    table = b"".join(entry + b"%05d" % number for number in range(100_000))
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 100_000, 100_000, len(table), 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(table), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(table), 0, 0)
    (tmp_path / "z").write_bytes(table + end64 + locator + end)
    assert "100000 entries, more than 10000" in refusal(tmp_path, tmp_path / "z")
    liar = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 5, 5, len(table), 0, 0)
    (tmp_path / "z").write_bytes(table + end64 + locator + liar)
    assert "contradicts itself" in refusal(tmp_path, tmp_path / "z")
    (tmp_path / "z").write_bytes(table + end64.replace(b"PK\x06\x06", b"PK\x06\x08") + locator + end)
    assert "64-bit record is broken" in refusal(tmp_path, tmp_path / "z")
    (tmp_path / "z").write_bytes(table + end64.replace(b"\x2c\0", b"\x2d\0", 1) + locator + end)
    assert "64-bit record is broken" in refusal(tmp_path, tmp_path / "z")
    (tmp_path / "z").write_bytes(table + end64 + b"gap" + locator + end)
    assert "64-bit record is not where it says" in refusal(tmp_path, tmp_path / "z")


def test_a_small_64_bit_archive_is_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "z"
    with zipfile.ZipFile(archive, "w") as made, made.open(zipfile.ZipInfo("a"), "w", force_zip64=True) as file:
        file.write(b"content")
    unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {"a": b"content"}


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", [Entry("zeros", bytes(1 << 20), deflated=True)])
    assert "as only a zip bomb does" in refusal(tmp_path, archive, Limits(ratio_from=1 << 16))
    unpack(archive, tmp_path / "small enough to be harmless")


def test_a_bomb_is_refused_by_its_total(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", [Entry(str(n), bytes(1000), deflated=True) for n in range(10)])
    assert "10000 bytes unpacked, more than 9999" in refusal(tmp_path, archive, Limits(total=9999))


def patch(archive: Path, at: int, form: str, value: int, *, local: int | None = None) -> None:
    """Change one field of the last entry in the table of contents (and where it says so in its local header)."""
    data = bytearray(archive.read_bytes())
    struct.pack_into(form, data, data.rindex(b"PK\x01\x02") + at, value)
    if local is not None:
        struct.pack_into(form, data, data.rindex(b"PK\x03\x04") + local, value)
    archive.write_bytes(data)


@pytest.mark.parametrize("says", [10, 999])
def test_what_an_entry_says_of_its_size_is_not_believed(tmp_path: Path, says: int) -> None:
    archive = make_zip(tmp_path / "z", ["job.toml", Entry("bomb", bytes(100_000), deflated=True)])
    patch(archive, 24, "<L", says, local=22)
    assert "broken archive: Bad CRC-32" in refusal(tmp_path, archive)


def test_an_entry_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", [Entry("short", b"abc", deflated=True)])
    patch(archive, 24, "<L", 1000, local=22)
    assert "entry 'short' is cut short" in refusal(tmp_path, archive)


def test_entries_that_share_bytes_are_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", [Entry("a", b"x" * 100), Entry("b", b"y" * 100)])
    patch(archive, 42, "<L", 50)
    assert "entry 'b' overlaps another" in refusal(tmp_path, archive)


def test_an_entry_that_reaches_into_the_table_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", [Entry("a", b"x" * 100)])
    patch(archive, 20, "<L", 5000)
    assert "reaches into the table of contents" in refusal(tmp_path, archive)


def test_encrypted_entries_are_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", ["a"])
    patch(archive, 8, "<H", 1, local=6)
    assert "entry 'a': is encrypted" in refusal(tmp_path, archive)


@pytest.mark.parametrize("method", [9, 12, 14, 93, 99])
def test_other_compressions_are_refused(tmp_path: Path, method: int) -> None:
    archive = make_zip(tmp_path / "z", ["a"])
    patch(archive, 10, "<H", method, local=8)
    assert "entry 'a': is compressed in an unknown way" in refusal(tmp_path, archive)


def test_an_entry_of_two_names_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", ["good"])
    archive.write_bytes(archive.read_bytes().replace(b"good", b"evil", 1))
    assert "broken archive" in refusal(tmp_path, archive)
    archive = make_zip(tmp_path / "z", ["evil@.py"])
    archive.write_bytes(archive.read_bytes().replace(b"@", b"\0"))
    assert "'evil\\x00.py'" in refusal(tmp_path, archive)


def test_content_that_changed_on_the_way_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", [Entry("a", b"important")])
    archive.write_bytes(archive.read_bytes().replace(b"important", b"imp0rtant"))
    assert "Bad CRC-32 for file 'a'" in refusal(tmp_path, archive)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 10, b"PK\x05\x06" + bytes(17)])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "z").write_bytes(content)
    assert "not a zip archive" in refusal(tmp_path, tmp_path / "z")


def test_bytes_around_the_archive_are_refused(tmp_path: Path) -> None:
    sound = make_zip(tmp_path / "sound", ["a"]).read_bytes()
    (tmp_path / "z").write_bytes(b"#!/bin/sh\n" + sound)
    assert "not where the archive says" in refusal(tmp_path, tmp_path / "z")
    (tmp_path / "z").write_bytes(sound + b"more")
    assert "not a zip archive, cut short" in refusal(tmp_path, tmp_path / "z")
    (tmp_path / "z").write_bytes(sound[:-2] + b"\x05\0")
    assert "with a comment at its end" in refusal(tmp_path, tmp_path / "z")
    (tmp_path / "z").write_bytes(sound[:-14] + b"\0\0" + sound[-12:])
    assert "one of several parts" in refusal(tmp_path, tmp_path / "z")
    (tmp_path / "z").write_bytes(sound[:-5])
    assert "not a zip archive, cut short" in refusal(tmp_path, tmp_path / "z")


def test_an_archive_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(make_zip(tmp_path / "z", ["a"]))
    assert "is a link, not a file" in refusal(tmp_path, tmp_path / "link")
    assert "cannot read: No such file" in refusal(tmp_path, tmp_path / "nowhere")


def test_what_is_there_stays_there(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "z", ["a"])
    there = fill(tmp_path / "job", {"mine": "x"})
    with pytest.raises(Conflict, match="is there already"):
        unpack(archive, there)
    assert tree(there) == {"mine": b"x"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(Conflict, match="is there already"):
        unpack(archive, tmp_path / "empty")
    (tmp_path / "link").symlink_to("/nowhere")
    with pytest.raises(Conflict, match="is there already"):
        unpack(archive, tmp_path / "link")


def test_a_full_disk_leaves_no_half_folder(tmp_path: Path) -> None:
    archive = pack(fill(tmp_path / "job", FILES), tmp_path / "z").path
    with files_of_at_most(1000), pytest.raises(NoSpace, match="cannot unpack: File too large"):
        unpack(archive, tmp_path / "out" / "job")
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(MachineFault, match="cannot unpack: No such file"):
        unpack(archive, Path("/proc/sys/job"))
