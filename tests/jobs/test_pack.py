"""Packing: the same everywhere, and nothing that should stay at home."""

from __future__ import annotations

import io
import os
import socket
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, MachineFault, NoSpace
from rondo.jobs.package import Limits, pack, unpack
from tests.jobs.folders import files_of_at_most, fill, make_job, tree

FILES: dict[str, str | bytes] = {
    "job.toml": 'name = "a"',
    "clinic.py": "x = 1",
    "nets/__init__.py": "",
    "nets/übung.py": "é",
    "init.safetensors": bytes(range(256)) * 16,
}


def pack_refusal(folder: Path, limits: Limits | None = None) -> str:
    out = folder.parent / "out"
    out.mkdir(exist_ok=True)
    with pytest.raises(BadInput) as caught:
        pack(folder, out / "job.zip", limits or Limits())
    assert list(out.iterdir()) == []
    return str(caught.value)


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    info = pack(fill(tmp_path / "job", FILES), tmp_path / "job.zip")
    assert (info.path, info.size) == (tmp_path / "job.zip", (tmp_path / "job.zip").stat().st_size)
    unpack(info.path, tmp_path / "deep" / "er" / "out")
    assert tree(tmp_path / "deep" / "er" / "out") == tree(tmp_path / "job")
    assert sorted(path.name for path in (tmp_path / "deep" / "er").iterdir()) == ["out"]


def test_equal_content_gives_an_equal_digest(tmp_path: Path) -> None:
    one = fill(tmp_path / "one", FILES)
    other = fill(tmp_path / "elsewhere" / "other", dict(reversed(FILES.items())))
    (other / "clinic.py").chmod(0o700)
    os.utime(other / "job.toml", (0, 10**9))
    (other / "empty").mkdir()
    digest = pack(one, tmp_path / "1.zip").digest
    assert pack(other, tmp_path / "2.zip").digest == digest
    (other / "clinic.py").write_text("x = 2")
    assert pack(other, tmp_path / "3.zip").digest != digest


def test_a_known_folder_has_a_known_digest(tmp_path: Path) -> None:
    """Packages are pinned by digest: a change of the form would make every pin a lie."""
    assert pack(fill(tmp_path / "job", {"job.toml": "a", "b/c.py": "d"}), tmp_path / "z").digest == (
        "blake3:f99a2595c4ea95e045db1c5397432c5538562ec3d280b2a7c657240de350b093"
    )


def test_litter_stays_at_home(tmp_path: Path) -> None:
    litter = [
        "__pycache__/clinic.cpython-311.pyc", "nets/__pycache__/a.pyc", ".git/HEAD", ".venv/bin/python", "a.pyc",
        "clinic.py~", ".clinic.py.swp", ".#clinic.py", "#clinic.py#", ".DS_Store", ".vscode/settings.json",
        ".ipynb_checkpoints/a.ipynb", ".pytest_cache/x", ".idea/x",
    ]  # fmt: skip
    folder = fill(tmp_path / "job", {**FILES, **dict.fromkeys(litter, "x")})
    (folder / "nets" / ".venv").symlink_to("/usr")
    unpack(pack(folder, tmp_path / "z").path, tmp_path / "out")
    assert set(tree(tmp_path / "out")) == set(FILES)


def test_links_and_devices_are_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "job", FILES)
    (folder / "data").symlink_to("/etc")
    assert "'data' is a link (a job holds plain files and folders)" in pack_refusal(folder)
    (folder / "data").unlink()
    (folder / "passwords.txt").symlink_to("/etc/passwd")
    assert "'passwords.txt' is a link" in pack_refusal(folder)
    (folder / "passwords.txt").unlink()
    os.mkfifo(folder / "nets" / "pipe")
    assert "'nets/pipe' is a pipe" in pack_refusal(folder)
    (folder / "nets" / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(folder, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/sock")
        os.close(here)
        assert "'sock' is a socket" in pack_refusal(folder)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (b"a\nb.py", "'a\\nb.py' has control characters"),
        (b"a\x1b[2J.py", "has control characters"),
        (b"caf\xe9.py", "has control characters or is not UTF-8"),
        ("a\u202eyp.exe".encode(), "has control characters"),
        (b"a\\b.py", "has a backslash"),
        (b"c:a.py", "begins with a drive letter"),
    ],
)
def test_names_that_mean_trouble_elsewhere_are_refused(tmp_path: Path, name: bytes, says: str) -> None:
    folder = fill(tmp_path / "job", FILES)
    (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(b"")
    assert says in pack_refusal(folder)


def test_names_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    assert "'Nets/a.py' and 'nets/a.py' are the same name" in pack_refusal(
        fill(tmp_path / "job", {"Nets/a.py": "", "nets/a.py": ""})
    )


def test_a_job_has_bounds(tmp_path: Path) -> None:
    folder = fill(tmp_path / "job", FILES)
    assert "more than 4 files" in pack_refusal(folder, Limits(files=4))
    assert "more than 4000; the largest is 'init.safetensors' with 4096" in pack_refusal(folder, Limits(total=4000))
    pack(folder, tmp_path / "z", Limits(files=5, total=5000))
    for number in range(6):
        (folder / f"empty{number}").mkdir()
    assert "more than 5 files" in pack_refusal(folder, Limits(files=5))
    assert Limits().files == 10_000


def test_the_archive_may_not_lie_in_the_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path / "job", FILES)
    with pytest.raises(BadInput, match="would lie inside"):
        pack(folder, folder / "out" / "job.zip")
    assert set(tree(folder)) == set(FILES)


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot list: No such file"):
        pack(tmp_path / "nowhere", tmp_path / "z")
    with pytest.raises(BadInput, match="cannot list: Not a directory"):
        pack(fill(tmp_path, {"file": ""}) / "file", tmp_path / "z")


def test_a_full_disk_leaves_no_half_archive(tmp_path: Path) -> None:
    folder = fill(tmp_path / "job", FILES)
    with files_of_at_most(1000), pytest.raises(NoSpace, match="cannot pack: File too large"):
        pack(folder, tmp_path / "out" / "z")
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(MachineFault, match="cannot pack: No such file"):
        pack(folder, Path("/proc/z"))


def test_a_file_that_is_longer_than_its_size_is_not_packed_in_half(tmp_path: Path) -> None:
    """As when somebody writes to it meanwhile; the kernel's own files are always so."""
    with pytest.raises(BadInput, match="changed while it was packed"):
        pack(Path("/proc/sys/kernel/random"), tmp_path / "out" / "z")
    assert list((tmp_path / "out").iterdir()) == []


def test_memory_does_not_grow_with_the_package(tmp_path: Path) -> None:
    folder = make_job(tmp_path / "job")
    with (folder / "init.pt").open("wb") as file:
        file.truncate(48 << 20)
    tracemalloc.start()
    unpack(pack(folder, tmp_path / "z").path, tmp_path / "out")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "out" / "init.pt").stat().st_size == 48 << 20
    assert peak < 8 << 20


def test_packed_files_are_stored_in_a_zip_that_everyone_reads(tmp_path: Path) -> None:
    packed = pack(fill(tmp_path / "job", FILES), tmp_path / "z").path
    with zipfile.ZipFile(io.BytesIO(packed.read_bytes())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(FILES)
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
