"""Project files: Clara's form and 1.0's spellings are read, everything else is refused by file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rondo.base.errors import BadInput
from rondo.pki.certificates import Role
from rondo.provision.project import Participant, make_project, read_project
from tests.provision.projects import PROJECT, project

CLARA = """
name: Project1
# config_folder: leave as config
config_folder: config
he:
  lib: tenseal
  config:
    poly_modulus_degree: 8192
    coeff_mod_bit_sizes: [60, 40, 40]
    scale_bits: 40
    scheme: CKKS
server:
  org: nvidia
  cn: example.com
  fed_learn_port: 8002
  admin_port: 8003
  admin_storage: transfer
  min_num_clients: 1
  max_num_clients: 100
  auth: true
fl_clients:
  - org: org1
    client_name: client1
  - org: org2
    client_name: client2
    email: it@org2.com
admin_clients:
  - org: nvidia
    email: admin@admin.com
"""

ONE_0 = """
api_version: 1
name: Project1
config_folder: config
disable_authz: false
he_config:
  poly_modulus_degree: 8192
  coeff_mod_bit_sizes: [60, 40, 40]
  scale_bits: 40
  scheme: CKKS
server:
  org: nvidia
  cn: fl.example.org
  fed_learn_port: 8002
  admin_port: 8003
  config_validator:
    path: some.validator.Class
    args: {}
fl_clients:
  - {org: org1, site: client1}
admin_clients:
  - {org: nvidia, email: admin@admin.com, roles: [super]}
authz_policy:
  orgs: {nvidia: [general], org1: [general]}
  roles: {super: everything}
  groups:
    general: {desc: all, rules: {byoc: false, custom_datalist: true}, role_rights: {}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "project.yml"
    path.write_text(text)
    return path


def test_clara_file_is_read_as_it_is(tmp_path: Path) -> None:
    found = read_project(write(tmp_path, CLARA))
    assert found.participants == (
        Participant(Role.SERVER, "example.com", "nvidia"),
        Participant(Role.CLIENT, "client1", "org1"),
        Participant(Role.CLIENT, "client2", "org2"),
        Participant(Role.ADMIN, "admin@admin.com", "nvidia"),
    )
    assert (found.name, found.config_folder, found.admin_port) == ("Project1", "config", 8003)
    assert found.authorization and found.policy is None
    assert found.rondo.retry_timeout is None and found.rondo.valid_days == 825
    assert any("placeholder" in note for note in found.notes)
    assert [one.zip_name for one in found.participants] == [
        "server.zip",
        "client1.zip",
        "client2.zip",
        "admin@admin.com.zip",
    ]


def test_nvflare_1_0_spellings_are_read(tmp_path: Path) -> None:
    found = read_project(write(tmp_path, ONE_0))
    assert found.participants[1] == Participant(Role.CLIENT, "client1", "org1")
    assert found.participants[2].roles == ("super",)
    assert found.authorization and found.policy is not None and set(found.policy) == {"orgs", "roles", "groups"}
    assert any("config_validator" in note for note in found.notes)


def test_disable_authz_is_the_opposite_of_auth() -> None:
    assert make_project(project(server__auth=None, disable_authz=True), "p").authorization is False
    assert make_project(project(server__auth=None, disable_authz=False), "p").authorization is True
    assert make_project(project(server__auth=None), "p").authorization is True
    with pytest.raises(BadInput, match=r"server\.auth is True and disable_authz is True"):
        make_project(project(server__auth=True, disable_authz=True), "p")


@pytest.mark.parametrize("changes", [{"api_version": 2}, {"participants": []}, {"builders": []}])
def test_2_0_form_is_recognised_and_says_what_to_do(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        make_project(project(**changes), "project.yml")
    assert "NVFlare 2.0" in caught.value.what and "fl_clients" in caught.value.hint


@pytest.mark.parametrize(
    ("admin_port", "said"), [(None, "one port, 8002"), (8002, "one port, 8002"), (9, "port 9 for")]
)
def test_ports_are_told(admin_port: int | None, said: str) -> None:
    found = make_project(project(server__admin_port=admin_port), "p")
    assert said in found.notes[0]
    assert found.admin_port == (admin_port or 8002)


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"serverr": {}}, "project.yml", "unknown key 'serverr' (did you mean 'server'?)"),
        ({"server__fed_lern_port": 1}, "project.yml: server", "did you mean 'fed_learn_port'"),
        ({"server__cn": "10.0.0.1"}, "project.yml: server.cn", "is an IP address"),
        ({"server__cn": "fd00::1"}, "project.yml: server.cn", "cannot be used as a name"),
        ({"server__cn": "1.2.3"}, "project.yml: server.cn", "not a fully qualified"),
        ({"server__cn": "flserver"}, "project.yml: server.cn", "not a fully qualified"),
        ({"server__cn": "fl..example.org"}, "project.yml: server.cn", "not a fully qualified"),
        ({"server__cn": "fl_x.example.org"}, "project.yml: server.cn", "not a fully qualified"),
        ({"server__cn": "fl.-x.org"}, "project.yml: server.cn", "not a fully qualified"),
        ({"server__cn": None}, "project.yml: server", "`cn`"),
        ({"server__org": None}, "project.yml: server", "`org`"),
        ({"server__org": True}, "project.yml: server", "$.org"),
        ({"server__fed_learn_port": 0}, "project.yml: server", "$.fed_learn_port"),
        ({"server__fed_learn_port": "8002"}, "project.yml: server", "$.fed_learn_port"),
        ({"server__admin_port": 65536}, "project.yml: server", "$.admin_port"),
        ({"server__min_num_clients": 0}, "project.yml: server", "$.min_num_clients"),
        ({"server__admin_storage": "../x"}, "project.yml: server", "$.admin_storage"),
        ({"server": None}, "project.yml", "`server`"),
        ({"name": None}, "project.yml", "`name`"),
        ({"name": "a/b"}, "project.yml: name", "cannot be used as a name"),
        ({"fl_clients": [{"org": "o"}]}, "project.yml: fl_clients[0]", "client_name"),
        ({"fl_clients": [{"org": "o", "client_name": "a", "site": "a"}]}, "fl_clients[0]", "exactly one"),
        ({"fl_clients": [{"org": "o", "client_name": "../a"}]}, "fl_clients[0].client_name", "cannot be used"),
        ({"fl_clients": [{"org": "o", "client_name": "a b"}]}, "fl_clients[0].client_name", "cannot be used"),
        ({"fl_clients": [{"org": "o", "client_name": "Server"}]}, "project.yml", "a word of the console"),
        ({"fl_clients": [{"org": "", "client_name": "a"}]}, "project.yml", "org ''"),
        ({"fl_clients": [{"org": "o", "client": "a"}]}, "fl_clients[0]", "unknown key 'client'"),
        (
            {"fl_clients": [{"org": "o", "client_name": "A"}, {"org": "o", "client_name": "a"}]},
            "project.yml",
            "'a' and 'A' are the same name",
        ),
        ({"admin_clients": [{"org": "o", "email": "boss"}]}, "admin_clients[0].email", "not an e-mail address"),
        ({"admin_clients": [{"org": "o"}]}, "admin_clients[0]", "`email`"),
        ({"he": {"lib": "tenseal", "config": {"scale": 1}}}, "project.yml: he", "unknown key 'scale'"),
        ({"he": {}, "he_config": {}}, "project.yml", "mean the same"),
        ({"rondo": {"retry_timeout": 0}}, "project.yml: rondo", "$.retry_timeout"),
        ({"rondo": {"valid_day": 1}}, "project.yml: rondo", "did you mean 'valid_days'"),
        ({"api_version": 3}, "project.yml", "api_version is 3"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(changes: dict[str, Any], where: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        make_project(project(**changes), "project.yml")
    assert where in caught.value.where
    assert said in str(caught.value)


def test_localhost_will_do() -> None:
    assert make_project(project(server__cn="localhost"), "p").participants[0].name == "localhost"


def test_instance_like_names_are_noted() -> None:
    clients = [{"org": "o", "client_name": name} for name in ("site", "site_1", "ward_1")]
    notes = make_project(project(fl_clients=clients), "p").notes
    assert [note for note in notes if "instance" in note] == [
        "client 'site_1' looks like the instance number 1 of client 'site'"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "line 1"),
        ("name: a\nname: b\n", "line 2: not valid YAML: key 'name' is there twice"),
        ("server: {cn: a, cn: b}", "key 'cn' is there twice"),
        ("a: &x [1]\nb: *x\n", "line 2: alias *x is not accepted"),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1: not valid YAML"),
        ("--- {a: 1}\n--- {b: 2}\n", "not valid YAML"),
        ("a: " + "[" * 200 + "]" * 200, "nested deeper"),
        ("? [a]\n: 1\n", "not valid YAML"),
        ("- a\n", "expected keys and values"),
        ("", "expected keys and values"),
        ("a: 2024-99-99\n", "not valid YAML"),
        ("a: \0\n", "not valid YAML"),
    ],
)
def test_broken_yaml_names_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_project(write(tmp_path, text))
    assert "project.yml" in caught.value.where
    assert said in str(caught.value)


def test_alias_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(BadInput, match="alias"):
        read_project(write(tmp_path, "\n".join(lines)))


def test_huge_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="larger than"):
        read_project(write(tmp_path, "#" * 600_000))
    (tmp_path / "b.yml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(BadInput, match="UTF-8"):
        read_project(tmp_path / "b.yml")
    with pytest.raises(BadInput, match="No such file"):
        read_project(tmp_path / "none.yml")
    with pytest.raises(BadInput, match="directory"):
        read_project(tmp_path)


def test_yaml_and_mapping_are_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, yaml.safe_dump(PROJECT))
    assert read_project(path).participants == make_project(PROJECT, "p").participants
