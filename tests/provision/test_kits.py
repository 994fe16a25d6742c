"""Opened kits on disk: what ``load_kit`` takes and what it says about everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.base.errors import BadInput, Refused
from rondo.net.kits import load_kit, read_kit, revocations
from tests.provision.projects import DAY, NOW, opened, run


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    opened(run(tmp_path, encrypt=False), "client1", tmp_path / "ws")
    return tmp_path / "ws"


def test_workspace_and_startup_folder_are_both_understood(workspace: Path) -> None:
    kit = load_kit(workspace, NOW)
    assert kit == load_kit(workspace / "startup", NOW)
    assert kit.workspace == workspace.resolve() and kit.folder == workspace.resolve() / "startup"


def test_what_is_missing_is_said(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        load_kit(tmp_path / "nowhere", NOW)
    with pytest.raises(BadInput, match="no start-up kit here"):
        load_kit(tmp_path, NOW)
    with pytest.raises(BadInput, match="rondo kit open"):
        load_kit(tmp_path / "kits" / "client1.zip", NOW)
    (workspace / "startup" / "kit.sig").unlink()
    with pytest.raises(BadInput, match=r"no kit\.sig"):
        load_kit(workspace, NOW)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o611])
def test_key_open_to_others_is_refused(workspace: Path, mode: int) -> None:
    key = workspace / "startup" / "client.key"
    key.chmod(mode)
    with pytest.raises(Refused) as caught:
        load_kit(workspace, NOW)
    assert f"mode 0{mode:o}" in caught.value.what and caught.value.hint == f"chmod 600 '{key.resolve()}'"
    key.chmod(0o400)
    assert load_kit(workspace, NOW)


def test_changed_files_are_named(workspace: Path) -> None:
    startup = workspace / "startup"
    (startup / "start.sh").write_text("rm -rf /\n")
    (startup / "fed_client.json").unlink()
    with pytest.raises(Refused, match=r"not secure content.*fed_client\.json, start\.sh"):
        load_kit(workspace, NOW)


def test_expired_kit_is_refused_and_can_still_be_looked_at(workspace: Path) -> None:
    with pytest.raises(Refused, match="'client1' expired on"):
        load_kit(workspace, NOW + 826 * DAY)
    assert read_kit(workspace).name == "client1"


def test_enormous_file_is_refused(workspace: Path) -> None:
    with (workspace / "startup" / "revoked.json").open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(BadInput, match="no file of a kit"):
        load_kit(workspace, NOW)


def test_forged_revocation_list_is_refused(tmp_path: Path) -> None:
    kit = opened(run(tmp_path, encrypt=False), "fl.example.org", tmp_path / "s")
    assert revocations(kit).number == 0
    (kit.folder / "revoked.json").write_text('{"revoked": {"project": "Project1"}, "signature": ""}')
    with pytest.raises(BadInput, match=r"revoked\.json: not a revocation list"):
        revocations(kit)
