"""The commands as people type them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from rondo.base.errors import BadInput, NotFound, Refused
from rondo.cli import doctor, kit, provision
from rondo.net.kits import load_kit, revocations
from tests.ports import free_port
from tests.provision.projects import AUTHZ, project

app = typer.Typer()
app.add_typer(provision.app, name="provision")
app.add_typer(kit.app, name="kit")
app.command("doctor")(doctor.doctor)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(project(server__cn="localhost", server__fed_learn_port=free_port(), server__admin_port=None))
    return tmp_path


def write(value: dict[str, Any], name: str = "project.yml") -> None:
    Path(name).write_text(yaml.safe_dump(value))


def call(*words: str, typed: str | None = None, **environ: str) -> Result:
    return CliRunner().invoke(app, words, input=typed, env={**os.environ, **environ})


def ask(*words: str) -> Any:
    done = call(*words, "--format", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def password_of(file: str, answer: Any) -> str:
    return next(row["password"] for row in answer["kits"] if row["file"] == file)


def test_provision_prints_each_password_once_in_a_table() -> None:
    done = call("provision")
    assert done.exit_code == 0, done.output
    rows = re.findall(r"│ (\S+) +│ (\S+) +│ (\S+) +│ (\w{16}) +│", done.output)
    assert [row[:3] for row in rows] == [
        ("localhost", "nvidia", "kits/server.zip"),
        ("client1", "org1", "kits/client1.zip"),
        ("client2", "org2", "kits/client2.zip"),
        ("lead@org1.com", "org1", "kits/lead@org1.com.zip"),
    ]
    assert all(done.output.count(row[3]) == 1 for row in rows)
    assert "shown this once" in done.output and "one port" in done.output
    opened = call("kit", "open", "kits/client1.zip", "-d", "ws", "--password", rows[1][3])
    assert opened.exit_code == 0, opened.output
    assert rows[1][3] not in opened.output
    again = call("provision")
    assert "Every participant has a kit already." in again.output
    assert not re.search(r"\w{16}", again.output.replace("authorization", "").replace("participant", ""))


def test_long_names_never_cut_a_password() -> None:
    write(project(admin_clients=[{"org": "[red]:o:" * 8, "email": f"{'a' * 40}@{'b' * 19}.org"}]))
    done = call("provision", "-o", "a/rather/deep/folder", COLUMNS="40")
    assert len(re.findall(r"│ \w{16} +│\n", done.output)) == 4
    assert "[red]:o:" * 8 in done.output


def test_json_names_kits_kept_and_notes(here: Path) -> None:
    answer = ask("provision", "-p", "project.yml", "-o", "out", "-s", "secret/state")
    assert [row["participant"] for row in answer["kits"]] == ["localhost", "client1", "client2", "lead@org1.com"]
    assert answer["kept"] == [] and (here / "secret" / "state" / "rootCA.key").exists()
    assert ask("provision", "-o", "out", "-s", "secret/state")["kits"] == []
    plain = ask("provision", "-n", "-o", "plain", "-s", "other")
    assert {row["password"] for row in plain["kits"]} == {None}


def test_project_file_must_be_named_where_it_is_not_clear() -> None:
    Path("project.yaml").write_text("name: x")
    assert "project.yml and project.yaml" in str(call("provision").exception)
    Path("project.yml").unlink()
    Path("project.yaml").unlink()
    done = call("provision")
    assert isinstance(done.exception, NotFound) and "no project.yml" in str(done.exception)


def test_authz_config_beside_the_project_is_taken() -> None:
    write(project(server__auth=True))
    assert isinstance(call("provision").exception, BadInput)
    Path("authz_config.json").write_text(json.dumps(AUTHZ))
    password = password_of("kits/server.zip", ask("provision"))
    assert call("kit", "open", "kits/server.zip", "-d", "ws", "--password", password).exit_code == 0
    assert Path("ws/startup/authorization.json").exists()
    Path("mine.json").write_text("{}")
    assert "mine.json" in str(call("provision", "-a", "mine.json", "-s", "new", "-o", "new").exception)


def test_docker_image_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FL_DOCKER_IMAGE", "registry.example.org/fl:1 $(reboot)")
    ask("provision", "-n")
    call("kit", "open", "kits/client1.zip", "-d", "ws")
    assert "IMAGE='registry.example.org/fl:1 $(reboot)'\n" in Path("ws/startup/docker.sh").read_text()


def test_renew_and_revoke(here: Path) -> None:
    first = ask("provision")
    server = password_of("kits/server.zip", first)
    assert call("kit", "open", "kits/server.zip", "-d", "srv", "--password", server).exit_code == 0
    second = ask("provision", "renew", "client1", "client2")
    assert [row["file"] for row in second["kits"]] == ["kits/client1.zip", "kits/client2.zip"]
    done = call("provision", "revoke", "client1", "--reason", "left us", "--server-kit", "srv")
    assert done.exit_code == 0 and done.output.count("revoked the certificate of client1") == 2
    listed = revocations(load_kit(here / "srv", listed_now(here)))
    assert [(entry.name, entry.reason) for entry in listed.entries] == [("client1", "left us")] * 2
    third = ask("provision", "renew", "client2", "--revoke", "--reason", "lost", "--server-kit", "srv")
    assert any("revoked the certificate of client2" in note for note in third["notes"])


def listed_now(here: Path) -> float:
    return (here / "srv" / "startup" / "kit.json").stat().st_mtime


def test_options_before_a_subcommand_are_not_swallowed() -> None:
    ask("provision")
    done = call("provision", "-p", "elsewhere.yml", "revoke", "client1")
    assert done.exit_code == 2 and "--project-file after revoke" in " ".join(done.output.split())
    assert not Path("state/revoked.json").exists()


# ---- kit ---------------------------------------------------------------------------------------------------------


def test_password_comes_from_option_environment_or_prompt() -> None:
    password = password_of("kits/client1.zip", ask("provision"))
    asked = call("kit", "open", "kits/client1.zip", "-d", "one", typed=f"{password}\n")
    assert asked.exit_code == 0 and password not in asked.output
    assert "The kit of client client1 (project Project1) is in" in asked.output
    assert call("kit", "open", "kits/client1.zip", "-d", "two", RONDO_KIT_PASSWORD=password).exit_code == 0
    wrong = call("kit", "open", "kits/client1.zip", "-d", "three", "--password", "no")
    assert isinstance(wrong.exception, Refused) and "wrong password" in str(wrong.exception)
    assert not Path("three").exists()


def test_replacing_a_kit() -> None:
    ask("provision", "-n")
    assert call("kit", "open", "kits/client1.zip", "-d", "ws").exit_code == 0
    first = ask("kit", "show", "ws")["certificate"]
    ask("provision", "renew", "client1", "-n")
    assert "startup folder already" in str(call("kit", "open", "kits/client1.zip", "-d", "ws").exception)
    assert call("kit", "open", "kits/client1.zip", "-d", "ws", "--replace").exit_code == 0
    assert ask("kit", "show", "ws")["certificate"] != first


def test_show_says_whose_and_where_and_no_key() -> None:
    ask("provision", "-n")
    for name in ("client1", "server"):
        call("kit", "open", f"kits/{name}.zip", "-d", name)
    facts = ask("kit", "show", "client1")
    assert (facts["project"], facts["role"], facts["name"], facts["org"]) == ("Project1", "client", "client1", "org1")
    assert facts["retry_timeout"] == "without end" and facts["server"].startswith("localhost:")
    shown = call("kit", "show", "server").output
    assert "every admin may do everything" in shown and "number 0, 0 certificates" in shown
    key = Path("server/startup/server.key").read_text().splitlines()[1]
    assert key not in shown and "PRIVATE" not in shown


# ---- doctor ------------------------------------------------------------------------------------------------------


def test_doctor_exits_with_3_where_something_is_bad() -> None:
    ask("provision", "-n")
    call("kit", "open", "kits/client1.zip", "-d", "c")
    call("kit", "open", "kits/server.zip", "-d", "s")
    ill = call("doctor", "c", HTTPS_PROXY="", https_proxy="")
    assert ill.exit_code == 3
    assert re.search(r"^bad   port: localhost:\d+: connection refused.*\n      -> is it running", ill.output, re.M)
    answer = json.loads(call("doctor", "c", "--format", "json", HTTPS_PROXY="", https_proxy="").stdout)
    assert {"name": "key rights", "state": "ok", "what": "only its owner may read client.key", "hint": ""} in answer
    well = call("doctor", "s")
    assert "bad" not in {line[:3] for line in well.output.splitlines() if not line[5:].lstrip().startswith("disk")}
    nothing = call("doctor", "nowhere")
    assert nothing.exit_code == 3 and "no such folder" in nothing.output
