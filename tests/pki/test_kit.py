"""A kit opens only when everything in it agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rondo.base.errors import BadInput, Refused, RondoError
from rondo.pki.certificates import Role
from rondo.pki.kit import check_expiry, open_kit
from rondo.pki.manifest import seal
from tests.pki.kits import DAY, NOW, Wanted, authority, kit, kit_files, manifest

FOLDER = Path("ws/startup")


def test_client_kit_opens() -> None:
    found = kit(authority(), Wanted())
    assert (found.role, found.project, found.name, found.org) == ("client", "study", "site", "org1")
    assert (found.host, found.port, found.admin_port) == ("fl.example.org", 8002, 8002)
    assert (found.folder, found.workspace) == (FOLDER, Path("ws"))
    assert found.policy is None
    assert found.certificate.name == "site" and found.authority.name == "study"


def test_patience_has_no_end_unless_the_kit_sets_one() -> None:
    root = authority()
    assert kit(root, Wanted()).settings.retry_timeout is None
    assert kit(root, Wanted(changes={"client": {"retry_timeout": 30}})).settings.retry_timeout == 30.0


def test_server_settings_are_read() -> None:
    server = {
        "name": "study",
        "service": {"target": "fl.example.org:9002", "options": []},
        "admin_port": 9003,
        "min_num_clients": 2,
        "max_num_clients": 7,
        "heart_beat_timeout": 60,
        "admin_storage": "store",
        "compression": "Gzip",
    }
    changes = {"servers": [server], "config_folder": "conf"}
    wanted = Wanted(Role.SERVER, "fl.example.org", changes=changes, more={"authorization.json": b"{}"})
    found = kit(authority(), wanted)
    assert (found.port, found.admin_port, found.policy) == (9002, 9003, b"{}")
    settings = found.settings
    assert (settings.min_num_clients, settings.max_num_clients, settings.heart_beat_timeout) == (2, 7, 60.0)
    assert (settings.admin_storage, settings.config_folder) == ("store", "conf")


def test_changed_missing_and_exchanged_files_are_all_named() -> None:
    root = authority()
    files = kit_files(root, Wanted(more={"start.sh": b"#!/bin/sh\n", "log.config": b"x"}))
    files["start.sh"] += b"#"
    del files["log.config"]
    with pytest.raises(Refused) as caught:
        open_kit(files, FOLDER)
    assert caught.value.what == "The following files are not secure content. They are: log.config, start.sh"


def test_files_that_are_not_listed_are_let_be() -> None:
    files = kit_files(authority(), Wanted())
    open_kit({**files, "notes.txt": b"mine"}, FOLDER)


@pytest.mark.parametrize("name", ["kit.json", "kit.sig", "rootCA.pem"])
def test_a_kit_without_its_seal_says_what_is_missing(name: str) -> None:
    files = kit_files(authority(), Wanted())
    del files[name]
    with pytest.raises(BadInput, match=f"no {name}"):
        open_kit(files, FOLDER)


def test_seal_of_another_project_does_not_count() -> None:
    files = kit_files(authority(), Wanted())
    with pytest.raises(Refused, match="signature"):
        open_kit({**files, "rootCA.pem": authority().certificate.pem}, FOLDER)


def test_certificate_must_be_this_participants() -> None:
    root = authority()
    mine, other = kit_files(root, Wanted()), kit_files(root, Wanted(name="other"))
    pair = {name: other[name] for name in ("client.crt", "client.key")}
    with pytest.raises(Refused, match="certificate is for 'other', the kit for 'site'"):
        open_kit(_sealed(root, Wanted(), {**mine, **pair}), FOLDER)
    foreign = kit_files(authority(), Wanted())
    pair = {name: foreign[name] for name in ("client.crt", "client.key")}
    with pytest.raises(Refused, match="not this project's authority"):
        open_kit(_sealed(root, Wanted(), {**mine, **pair}), FOLDER)
    with pytest.raises(Refused, match="does not belong"):
        open_kit(_sealed(root, Wanted(), {**mine, "client.key": other["client.key"]}), FOLDER)


def test_a_client_cannot_become_an_admin_by_its_manifest() -> None:
    root = authority()
    files = kit_files(root, Wanted())
    files["fed_admin.json"] = files["fed_client.json"]
    with pytest.raises(Refused, match="not one for role admin"):
        open_kit(_sealed(root, Wanted(role=Role.ADMIN), files), FOLDER)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format_version": 2}, "format_version is 2"),
        ({"servers": []}, "length >= 1"),
        ({"servers": [{"name": "study", "service": {"target": "fl.example.org"}}]}, "not HOST:PORT"),
        ({"servers": [{"name": "study", "service": {"target": "fl.example.org:0"}}]}, "not HOST:PORT"),
        ({"servers": [{"name": "study", "service": {"target": ":8002"}}]}, "not HOST:PORT"),
        ({"servers": [{"name": "other", "service": {"target": "a.b:1"}}]}, "'other' here and 'study'"),
        ({"client": {"retry_timeout": 0}}, "retry_timeout"),
        ({"client": {"retry_timeout": "30"}}, "retry_timeout"),
    ],
)
def test_configuration_must_make_sense(changes: dict[str, Any], said: str) -> None:
    files = kit_files(authority(), Wanted(changes=changes))
    with pytest.raises(BadInput) as caught:
        open_kit(files, FOLDER)
    assert said in str(caught.value) and "fed_client.json" in str(caught.value)


def test_manifest_must_list_what_a_kit_needs() -> None:
    root = authority()
    files = kit_files(root, Wanted())
    listed = {name: files[name] for name in files if name != "client.key"}
    sealed = {**files, **seal(manifest(root, Wanted(), _plain(listed)), root)}
    with pytest.raises(BadInput, match=r"does not list client\.key"):
        open_kit(sealed, FOLDER)


def test_kit_of_a_later_format_asks_for_an_update() -> None:
    root = authority()
    files = kit_files(root, Wanted())
    later = msgspec.structs.replace(manifest(root, Wanted(), _plain(files)), format=2)
    with pytest.raises(BadInput, match="update Rondo"):
        open_kit({**files, **seal(later, root)}, FOLDER)


def test_expiry_is_the_callers_question() -> None:
    root = authority()
    found = kit(root, Wanted(days=10))
    check_expiry(found, NOW + 9 * DAY)
    with pytest.raises(Refused) as caught:
        check_expiry(found, NOW + 11 * DAY)
    assert "'site' expired on 2027-01-25" in str(caught.value)
    assert "rondo provision renew site" in str(caught.value)
    with pytest.raises(Refused, match="'study' expired") as caught:
        check_expiry(found, NOW + 4000 * DAY)
    assert "provision the project anew" in caught.value.hint


def test_key_does_not_show_in_what_is_printed() -> None:
    found = kit(authority(), Wanted())
    assert "PRIVATE" not in repr(found) and "PRIVATE" not in str(found)


def _plain(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name not in ("kit.json", "kit.sig")}


def _sealed(root: Any, wanted: Wanted, files: dict[str, bytes]) -> dict[str, bytes]:
    plain = _plain(files)
    return {**plain, **seal(manifest(root, wanted, plain), root)}


def test_every_refusal_is_one_of_ours() -> None:
    files = kit_files(authority(), Wanted())
    for name in files:
        for content in (b"", b"\0", b"{}", b"\xff\xfe", b"-----BEGIN", files[name][:-2]):
            with pytest.raises(RondoError):
                open_kit({**files, name: content}, FOLDER)
