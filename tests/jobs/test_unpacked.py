"""A folder that holds a package's content: whole where its mark says so, whoever was killed when."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, NoSpace
from rondo.jobs.package import pack
from rondo.jobs.unpacked import unpack_once
from rondo.tensors.digest import FileInfo
from tests.jobs.folders import files_of_at_most, fill, make_zip, tree

OLD: dict[str, str | bytes] = {"job.toml": "old", "nets/a.py": "a", "nets/b.py": "b"}
NEW: dict[str, str | bytes] = {"job.toml": "new", "nets/a.py": "a2", "site.json": "{}"}
TRAINED: dict[str, str | bytes] = {"models/best.safetensors": "trained"}


def contents(*files: dict[str, str | bytes]) -> dict[str, bytes]:
    return {name: str(text).encode() for one in files for name, text in one.items()}


@pytest.fixture
def at(tmp_path: Path) -> Path:
    return tmp_path / "run_1" / "mmar_a"


def package(tmp_path: Path, name: str, files: dict[str, str | bytes]) -> FileInfo:
    return pack(fill(tmp_path / f"{name}_files", files), tmp_path / f"{name}.zip")


def put(file: FileInfo, at: Path) -> None:
    unpack_once(file.path, file.digest, at)


def test_a_package_is_unpacked_once(tmp_path: Path, at: Path) -> None:
    old = package(tmp_path, "old", OLD)
    put(old, at)
    (at / "job.toml").write_text("edited")
    put(old, at)
    assert tree(at) == contents(OLD, {"job.toml": "edited"}), "it was there already"


def test_another_package_takes_the_place_of_the_first(tmp_path: Path, at: Path) -> None:
    put(package(tmp_path, "old", OLD), at)
    put(package(tmp_path, "new", NEW), at)
    assert tree(at) == contents(NEW)
    put(package(tmp_path, "old", OLD), at)
    assert tree(at) == contents(OLD)
    assert {path.name for path in at.parent.iterdir()} == {"mmar_a", ".mmar_a.digest"}


def test_what_a_run_has_made_is_kept(tmp_path: Path, at: Path) -> None:
    put(package(tmp_path, "old", OLD), at)
    fill(at, TRAINED)
    put(package(tmp_path, "new", NEW), at)
    assert tree(at) == contents(NEW, TRAINED)


def test_a_package_with_models_of_its_own_brings_them(tmp_path: Path, at: Path) -> None:
    put(package(tmp_path, "old", OLD), at)
    fill(at, TRAINED)
    put(package(tmp_path, "new", NEW | {"models/init.safetensors": "init"}), at)
    assert tree(at) == contents(NEW, {"models/init.safetensors": "init"})


def test_a_package_that_may_not_be_unpacked_changes_nothing(tmp_path: Path, at: Path) -> None:
    bad = FileInfo(make_zip(tmp_path / "bad.zip", ["job.toml", "../evil"]), "blake3:bad", 1)
    with pytest.raises(BadInput, match="evil"):
        put(bad, at)
    assert list(at.parent.iterdir()) == []
    put(package(tmp_path, "old", OLD), at)
    before = tree(at.parent)
    with pytest.raises(BadInput, match="evil"):
        put(bad, at)
    assert tree(at.parent) == before


def test_content_that_does_not_please_changes_nothing(tmp_path: Path, at: Path) -> None:
    def check(folder: Path) -> None:
        raise BadInput(f"{(folder / 'job.toml').read_text()} has no rounds")

    put(package(tmp_path, "old", OLD), at)
    before = tree(at.parent)
    new = package(tmp_path, "new", NEW)
    with pytest.raises(BadInput, match="new has no rounds"):
        unpack_once(new.path, new.digest, at, check)
    assert tree(at.parent) == before


def test_a_link_that_user_code_made_is_removed_and_not_followed(tmp_path: Path, at: Path) -> None:
    put(package(tmp_path, "old", OLD), at)
    mine = fill(tmp_path / "patients", {"a.csv": "x"})
    shutil.rmtree(at / "nets")
    (at / "nets").symlink_to(mine)
    (at / "models").symlink_to(mine)
    put(package(tmp_path, "new", NEW), at)
    assert tree(at) == contents(NEW) and tree(mine) == contents({"a.csv": "x"})


def test_a_full_disk_changes_nothing(tmp_path: Path, at: Path) -> None:
    put(package(tmp_path, "old", OLD), at)
    before, large = tree(at.parent), package(tmp_path, "large", {"job.toml": "x" * 5000})
    with files_of_at_most(1000), pytest.raises(NoSpace, match="cannot unpack"):
        put(large, at)
    assert tree(at.parent) == before


# Unpacks NEW over OLD and dies by kill -9 before the first, second, ... thing that it does to the disk. Each time:
# what is marked as whole must be whole, and unpacking again must give all of NEW beside what the run has made.
_KILLS = """
import json, os, shutil, signal, sys
from pathlib import Path
from rondo.jobs.unpacked import unpack_once
from tests.jobs.folders import fill, tree

folder, old, new, trained = Path(sys.argv[1]), *json.loads(sys.argv[2])
TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.chmod", "tempfile.mkdtemp")

def put(which, at):
    unpack_once(folder / f"{which}.zip", which, at)

def killed(step, at):
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = [step]
    def count(event, args):
        if event in TOUCHES and any(str(folder / "out") in str(arg) for arg in args):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
    sys.addaudithook(count)
    put("new", at)
    os._exit(0)

def texts(at):
    return {name: text.decode() for name, text in tree(at).items()}

step, faults, more = 0, [], True
while more:
    at = folder / "out" / str(step) / "mmar_a"
    put("old", at)
    fill(at, trained)
    more = killed(step, at)
    mark = at.with_name(".mmar_a.digest")
    marked = mark.read_text() if mark.exists() else ""
    if marked and texts(at) != ({"old": old, "new": new}[marked] | trained):
        faults.append(f"step {step}: marked as {marked}: {texts(at)}")
    put("new", at)
    if texts(at) != new | trained:
        faults.append(f"step {step}: unpacked again: {texts(at)}")
    names = {path.name for path in at.parent.iterdir() if not path.name.startswith("..mmar_a.digest.")}
    if names != {"mmar_a", ".mmar_a.digest"}:
        faults.append(f"step {step}: left over: {sorted(names)}")
    step += 1
print(json.dumps({"steps": step, "faults": faults}))
"""


def test_killed_at_any_step_it_is_done_again_and_nothing_that_a_run_made_is_lost(tmp_path: Path) -> None:
    package(tmp_path, "old", OLD)
    package(tmp_path, "new", NEW)
    command = [sys.executable, "-c", _KILLS, str(tmp_path), json.dumps([OLD, NEW, TRAINED])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["faults"] == []
    assert told["steps"] > 15, "the kills came in between"
