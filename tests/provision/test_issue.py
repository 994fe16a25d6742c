"""Provisioning: who gets a kit, what is in it, and that nobody else's is touched."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from rondo.base.errors import BadInput, Conflict, NoSpace, NotFound, Refused
from rondo.net.kits import load_kit, revocations
from rondo.pki.certificates import Role
from rondo.pki.trust import Trust
from rondo.provision.issue import Made, provision, renew
from rondo.provision.revoke import revoke
from rondo.provision.unpack import open_zip
from tests.provision.projects import DAY, NOW, made, opened, order, project, run, with_client

BASE = {"readme.txt", "rootCA.pem", "kit.json", "kit.sig", "docker.sh"}
FILES = {
    Role.SERVER: BASE
    | {"server.crt", "server.key", "fed_server.json", "log.config", "start.sh", "sub_start.sh", "stop_fl.sh"},
    Role.CLIENT: BASE
    | {"client.crt", "client.key", "fed_client.json", "log.config", "start.sh", "sub_start.sh", "stop_fl.sh"}
    | {"site_policy.toml.example"},
    Role.ADMIN: BASE | {"client.crt", "client.key", "fed_admin.json", "fl_admin.sh"},
}


def snapshot(*folders: Path) -> dict[str, tuple[bytes, int, int]]:
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def test_every_participant_gets_a_kit_that_opens(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    assert [(one.participant.name, one.path.name) for one in outcome.made] == [
        ("fl.example.org", "server.zip"),
        ("client1", "client1.zip"),
        ("client2", "client2.zip"),
        ("lead@org1.com", "lead@org1.com.zip"),
    ]
    for one in outcome.made:
        name = one.participant.name
        opened(outcome, name, tmp_path / name)
        kit = load_kit(tmp_path / name, NOW)
        assert (kit.role, kit.name, kit.project, kit.org) == (
            one.participant.role,
            name,
            "Project1",
            one.participant.org,
        )
        assert (kit.host, kit.port) == ("fl.example.org", 8002)
        assert {path.name for path in kit.folder.iterdir()} == FILES[kit.role]
    assert load_kit(tmp_path / "lead@org1.com", NOW).admin_port == 8003
    assert load_kit(tmp_path / "fl.example.org", NOW).admin_port == 8003


def test_configuration_has_claras_values(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    server = json.loads(
        opened(outcome, "fl.example.org", tmp_path / "s").folder.joinpath("fed_server.json").read_text()
    )
    options = [["grpc.max_send_message_length", 2147483647], ["grpc.max_receive_message_length", 2147483647]]
    assert server == {
        "format_version": 1,
        "config_folder": "config",
        "servers": [
            {
                "name": "Project1",
                "service": {"target": "fl.example.org:8002", "options": options},
                "admin_host": "fl.example.org",
                "admin_port": 8003,
                "ssl_private_key": "server.key",
                "ssl_cert": "server.crt",
                "ssl_root_cert": "rootCA.pem",
                "max_num_clients": 100,
                "heart_beat_timeout": 600,
                "num_server_workers": 4,
                "compression": "Gzip",
                "admin_storage": "transfer",
                "min_num_clients": 2,
            }
        ],
    }
    client = json.loads(opened(outcome, "client1", tmp_path / "c").folder.joinpath("fed_client.json").read_text())
    assert client == {
        "format_version": 1,
        "config_folder": "config",
        "servers": [{"name": "Project1", "service": {"target": "fl.example.org:8002", "options": options}}],
        "client": {
            "ssl_private_key": "client.key",
            "ssl_cert": "client.crt",
            "ssl_root_cert": "rootCA.pem",
            "compression": "Gzip",
        },
    }


def test_retry_timeout_and_validity_come_from_our_own_table(tmp_path: Path) -> None:
    outcome = run(tmp_path, project(rondo={"retry_timeout": 30, "heart_beat_timeout": 90, "valid_days": 10}))
    kit = opened(outcome, "client1", tmp_path / "c")
    assert kit.settings.retry_timeout == 30.0
    assert kit.certificate.not_after == NOW + 10 * DAY
    assert json.loads((kit.folder / "fed_client.json").read_text())["client"]["retry_timeout"] == 30
    assert opened(outcome, "client2", tmp_path / "d").settings.retry_timeout == 30.0
    assert opened(outcome, "fl.example.org", tmp_path / "s").settings.heart_beat_timeout == 90.0


def test_keys_state_and_scripts_have_their_rights(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    kit = opened(outcome, "client1", tmp_path / "my site" / "ws")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in kit.folder.iterdir()}
    assert modes["client.key"] == 0o600 and modes["start.sh"] == modes["docker.sh"] == 0o755
    assert stat.S_IMODE(kit.folder.stat().st_mode) == 0o700
    state = tmp_path / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "rootCA.key").stat().st_mode) == 0o600
    assert all(stat.S_IMODE(one.path.stat().st_mode) == 0o600 for one in outcome.made)


def test_passwords_differ_and_are_kept_nowhere(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    passwords = [one.password or "" for one in outcome.made]
    assert len(set(passwords)) == 4
    assert all(len(word) == 16 and word.isascii() and word.isalnum() for word in passwords)
    keys = [opened(outcome, name, tmp_path / f"ws-{name}").key_pem for name in ("client1", "fl.example.org")]
    written = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert not any(word.encode() in written for word in passwords)
    assert not any(key.splitlines()[1] in written for key in keys)
    assert not any(word in repr(outcome) for word in passwords)


def test_second_run_gives_kits_to_newcomers_only(tmp_path: Path) -> None:
    first = run(tmp_path)
    before = snapshot(tmp_path / "kits", tmp_path / "state" / "issued")
    root = (tmp_path / "state" / "rootCA.pem").read_bytes()
    second = run(tmp_path, with_client("client3"), NOW + DAY)
    assert [one.participant.name for one in second.made] == ["client3"]
    assert second.kept == ("fl.example.org", "client1", "client2", "lead@org1.com")
    after = snapshot(tmp_path / "kits", tmp_path / "state" / "issued")
    assert {name: after[name] for name in before} == before
    assert {Path(name).name.partition("-")[0] for name in after.keys() - before.keys()} == {
        "client3.zip",
        "client3",
        "client3.json",
    }
    assert (tmp_path / "state" / "rootCA.pem").read_bytes() == root
    old, new = opened(first, "client1", tmp_path / "old"), opened(second, "client3", tmp_path / "new")
    assert old.authority == new.authority
    third = run(tmp_path, with_client("client3"), NOW + 2 * DAY)
    assert third.made == () and len(third.kept) == 5


def test_second_run_into_another_folder_writes_the_newcomer_there(tmp_path: Path) -> None:
    run(tmp_path)
    second = run(tmp_path, with_client("client3"), out=tmp_path / "more")
    assert [path.name for path in (tmp_path / "more").iterdir()] == ["client3.zip"]
    assert made(second, "client3").path == tmp_path / "more" / "client3.zip"


def test_a_file_in_the_way_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kits").mkdir()
    (tmp_path / "kits" / "client2.zip").write_bytes(b"mine")
    with pytest.raises(Conflict, match="client2 has no kit"):
        run(tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "kits").iterdir()} == {"client2.zip": b"mine"}
    (tmp_path / "kits" / "client2.zip").unlink()
    assert len(run(tmp_path).made) == 4


def test_a_lost_state_is_not_made_up(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "state" / "state.json").unlink()
    with pytest.raises(BadInput, match=r"no state\.json"):
        run(tmp_path, with_client("client3"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1, "project": "Project1", "participants": 3}'])
def test_a_damaged_state_is_named(tmp_path: Path, content: bytes) -> None:
    run(tmp_path)
    (tmp_path / "state" / "state.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"state\.json: damaged"):
        run(tmp_path, with_client("client3"))


def test_state_of_another_project_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(Conflict, match="state of project 'Project1', not of 'Other'"):
        run(tmp_path, project(name="Other"))


def test_authoritys_key_open_to_others_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "state" / "rootCA.key").chmod(0o640)
    with pytest.raises(Refused, match="authority's private key is open to others"):
        run(tmp_path, with_client("client3"))


def test_no_kit_is_left_when_the_state_cannot_be_written(tmp_path: Path) -> None:
    run(tmp_path)
    before = snapshot(tmp_path / "kits")
    (tmp_path / "state" / "issued" / "client3.json").mkdir()  # something in the way
    with pytest.raises(NoSpace, match="directory"):
        run(tmp_path, with_client("client3"))
    assert snapshot(tmp_path / "kits") == before


def test_only_one_run_at_a_time(tmp_path: Path) -> None:
    from rondo.provision.state import opened as hold

    with (
        hold(tmp_path / "state", "Project1", NOW),
        pytest.raises(Conflict, match="another provisioning run"),
        hold(tmp_path / "state", "Project1", NOW),
    ):
        raise AssertionError("two runs at once")


def test_kits_that_differ_from_the_project_file_are_told(tmp_path: Path) -> None:
    run(tmp_path)
    moved = project(server__fed_learn_port=9002, fl_clients=[{"org": "org1", "client_name": "client1"}])
    notes = run(tmp_path, moved).notes
    assert "the kit of client1 differs from the project file: rondo provision renew client1 makes a new one" in notes
    assert any(note.startswith("the kit of fl.example.org differs") for note in notes)
    assert any(note.startswith("client2 has a kit but left the project file") for note in notes)
    expiring = run(tmp_path, now=NOW + 800 * DAY).notes
    assert any(note.startswith("the certificate of client1 expires on") for note in expiring)


# ---- renew, revoke -----------------------------------------------------------------------------------------------


def test_renewed_kit_is_new_and_the_old_one_still_counts(tmp_path: Path) -> None:
    first = run(tmp_path)
    old = opened(first, "client1", tmp_path / "old")
    others = {name: found for name, found in snapshot(tmp_path / "kits").items() if "client1" not in name}
    again = renew(order(tmp_path), ["client1"], NOW + DAY)
    new = opened(again, "client1", tmp_path / "new")
    assert made(again, "client1").password != made(first, "client1").password
    assert new.key_pem != old.key_pem and new.certificate.fingerprint != old.certificate.fingerprint
    assert new.certificate.not_after == old.certificate.not_after + DAY
    assert again.notes == ("earlier certificates of client1 stay valid until they expire",)
    trust = Trust(new.ca_pem, "Project1")
    for kit in (old, new):
        trust.admit(kit.cert_pem, NOW + DAY, Role.CLIENT, "client1")
    unchanged = snapshot(tmp_path / "kits")
    assert {name: unchanged[name] for name in others} == others


def test_renewing_takes_over_a_new_port(tmp_path: Path) -> None:
    run(tmp_path)
    moved = project(server__fed_learn_port=9002)
    again = renew(order(tmp_path, moved), ["server", "client1"], NOW)
    assert opened(again, "client1", tmp_path / "c").port == 9002
    assert opened(again, "fl.example.org", tmp_path / "s").port == 9002
    notes = [note for note in run(tmp_path, moved).notes if "differs" in note]
    assert [note.split()[3] for note in notes] == ["client2", "lead@org1.com"]


def test_renewing_with_revoke_shuts_the_old_certificate_out(tmp_path: Path) -> None:
    first = run(tmp_path)
    old, server = opened(first, "client1", tmp_path / "old"), opened(first, "fl.example.org", tmp_path / "s")
    again = renew(
        order(tmp_path, server_kits=(tmp_path / "s",)), ["client1"], NOW + DAY, revoke_old=True, reason="lost"
    )
    new = opened(again, "client1", tmp_path / "new")
    trust = Trust(server.ca_pem, "Project1")
    assert trust.adopt((server.folder / "revoked.json").read_bytes(), "revoked.json")
    assert trust.admit(new.cert_pem, NOW + DAY, Role.CLIENT, "client1")
    with pytest.raises(Refused, match="revoked on 2027-01-16: lost"):
        trust.admit(old.cert_pem, NOW + DAY, Role.CLIENT, "client1")


def test_revoking_reaches_the_server_kit_and_later_server_kits(tmp_path: Path) -> None:
    first = run(tmp_path)
    server = opened(first, "fl.example.org", tmp_path / "s")
    gone = opened(first, "client2", tmp_path / "gone")
    assert revocations(server).number == 0
    notes = revoke(tmp_path / "state", ["client2"], (), NOW + DAY, "left")
    assert notes[0].startswith("revoked the certificate of client2") and "copy" in notes[1]
    assert revocations(server).number == 0
    notes = revoke(tmp_path / "state", ["lead@org1.com"], (tmp_path / "s",), NOW + 2 * DAY)
    assert notes[1] == f"wrote {server.folder / 'revoked.json'}"
    listed = revocations(server)
    assert listed.number == 2 and [entry.name for entry in listed.entries] == ["client2", "lead@org1.com"]
    assert listed.entry(gone.certificate.fingerprint) is not None
    again = renew(order(tmp_path), ["server"], NOW + 3 * DAY)
    assert revocations(opened(again, "fl.example.org", tmp_path / "s2")) == listed
    assert any(note.startswith("client2 is revoked") for note in run(tmp_path, now=NOW + 4 * DAY).notes)


def test_revoking_twice_says_there_is_nothing_to_do(tmp_path: Path) -> None:
    run(tmp_path)
    revoke(tmp_path / "state", ["client2"], (), NOW)
    before = (tmp_path / "state" / "revoked.json").read_bytes()
    assert revoke(tmp_path / "state", ["client2"], (), NOW + 1)[0].startswith("nothing to revoke")
    assert (tmp_path / "state" / "revoked.json").read_bytes() == before


def test_names_nobody_has_are_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing was provisioned here yet"):
        revoke(tmp_path / "state", ["client1"], (), NOW)
    assert not (tmp_path / "state").exists()
    run(tmp_path)
    with pytest.raises(NotFound, match="did you mean 'client1'"):
        revoke(tmp_path / "state", ["clinet1"], (), NOW)
    with pytest.raises(NotFound, match="did you mean 'client1'"):
        renew(order(tmp_path), ["clinet1"], NOW)
    with pytest.raises(NotFound, match="'client3' has no kit yet"):
        renew(order(tmp_path, with_client("client3")), ["client3"], NOW)


def test_a_server_kit_of_somebody_else_is_refused(tmp_path: Path) -> None:
    first = run(tmp_path)
    opened(first, "client1", tmp_path / "c")
    other = run(tmp_path / "other")
    opened(other, "fl.example.org", tmp_path / "s")
    for folder in ("c", "s"):
        with pytest.raises(BadInput, match="not that of a server of the project"):
            revoke(tmp_path / "state", ["client1"], (tmp_path / folder,), NOW)
    assert not (tmp_path / "state" / "revoked.json").exists()


# ---- putting a renewed kit in the place of the old one -----------------------------------------------------------


def test_replacing_takes_the_place_of_the_same_participant_only(tmp_path: Path) -> None:
    first = run(tmp_path)
    old = opened(first, "fl.example.org", tmp_path / "s")
    again = made(renew(order(tmp_path), ["server"], NOW + DAY), "fl.example.org")
    with pytest.raises(Conflict, match="startup folder already"):
        open_zip(again.path, tmp_path / "s", again.password)
    new = open_zip(again.path, tmp_path / "s", again.password, replace=True)
    assert new.certificate.fingerprint != old.certificate.fingerprint
    other = made(first, "client1")
    with pytest.raises(Refused, match=r"that of server 'fl\.example\.org'"):
        open_zip(other.path, tmp_path / "s", other.password, replace=True)


def test_replacing_never_brings_back_an_older_revocation_list(tmp_path: Path) -> None:
    server = opened(run(tmp_path), "fl.example.org", tmp_path / "s")
    without = _renewed_server(tmp_path, "without")
    revoke(tmp_path / "state", ["client2"], (tmp_path / "s",), NOW + DAY)
    with_one = _renewed_server(tmp_path, "one")
    revoke(tmp_path / "state", ["client1"], (), NOW + DAY)
    with_two = _renewed_server(tmp_path, "two")
    for one, number in ((without, 1), (with_one, 1), (with_two, 2), (with_one, 2), (without, 2)):
        open_zip(one.path, tmp_path / "s", one.password, replace=True)
        assert revocations(server).number == number


def _renewed_server(folder: Path, out: str) -> Made:
    return made(renew(order(folder, out=folder / out), ["server"], NOW + DAY), "fl.example.org")


def test_unencrypted_on_request(tmp_path: Path) -> None:
    outcome = provision(order(tmp_path, encrypt=False), NOW)
    assert made(outcome, "client1").password is None
    assert opened(outcome, "client1", tmp_path / "c").name == "client1"
