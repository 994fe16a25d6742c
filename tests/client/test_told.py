"""A site's policy for people: the page, the example and the command say every key there is."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from rondo.base.clock import SystemClock
from rondo.base.errors import BadInput, SiteRefused
from rondo.cli import client, doctor
from rondo.client.policy import Commands, Data, Limits, SitePolicy, Validation, Workers, read_policy
from rondo.policy.site import EXAMPLE, FILE
from rondo.simulator.local import ADMIN, Layout, make_kits
from tests.arch.tree import ROOT
from tests.ports import free_port

KINDS = (Limits, Commands, Data, Workers, Validation)
app = typer.Typer()
app.add_typer(client.app, name="client")
app.command("doctor")(doctor.doctor)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_kits(tmp_path_factory.mktemp("kits"), Layout({"a": None}, port=free_port()), SystemClock())


@pytest.fixture
def site(sites: dict[str, Path]) -> Path:
    (sites["a"] / FILE).unlink(missing_ok=True)
    return sites["a"]


def call(*words: str | Path, path: str = os.environ["PATH"]) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={**os.environ, "PATH": path})


def test_every_key_is_told() -> None:
    page = (ROOT / "docs" / "site-policy.md").read_text()
    for text in (page, EXAMPLE):
        for key in SitePolicy.__struct_fields__:
            assert f"{key} = " in text or f"[{key}]" in text or f"[[{key}]]" in text, key
    for kind in KINDS:
        for key in kind.__struct_fields__:
            assert f"{key} = " in page or f"`{key}`" in page, key


def test_the_example_in_the_kit_is_a_policy(site: Path) -> None:
    example = (site / "startup" / f"{FILE}.example").read_text()
    assert call("client", "policy", site, "--example").output == example == EXAMPLE
    (site / FILE).write_text(example)
    assert read_policy(site) == SitePolicy()


def test_what_is_in_force_is_printed(site: Path) -> None:
    assert f"none: no {FILE} in {site}" in call("client", "policy", site).output
    (site / FILE).write_text('code = "refuse"\n[limits]\nmemory = "2 GiB"\n[commands]\nrefuse = ["sys_info"]\n')
    text = call("client", "policy", site / "startup").output
    assert "code:      no job may bring its own" in text and "2.0 GiB of memory" in text
    said = json.loads(call("client", "policy", site, "--format", "json").output)
    assert said["commands"] == "all, but not shell, sys_info" and said["file"] == str(site / FILE)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[limits]\ncpu = 4\n", "unknown key 'cpu'"),
        ('[[filters]]\nname = "percentil"\n', "no 'percentil' in filters"),
        ('[[filters]]\nname = "percentile"\npercentile = 101\n', "percentile must be 0 to 100"),
    ],
)
def test_a_wrong_file_is_found(site: Path, text: str, says: str) -> None:
    (site / FILE).write_text(text)
    found = call("client", "policy", site).exception
    assert isinstance(found, BadInput) and says in str(found) and found.where.startswith(FILE)
    assert says in call("doctor", site, "--timeout", "0.1").output


def test_a_sandbox_that_is_not_to_be_had_is_found(site: Path, tmp_path: Path) -> None:
    (site / FILE).write_text('[worker]\nsandbox = "bubblewrap"\n')
    assert "sandbox:   bubblewrap" in call("client", "policy", site).output
    found = call("client", "policy", site, path=str(tmp_path)).exception
    assert isinstance(found, SiteRefused) and "install bubblewrap" in found.hint
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: Creating new namespace failed' >&2\nexit 1\n")
    fake.chmod(stat.S_IRWXU)
    assert "Creating new namespace failed" in call("doctor", site, "--timeout", "0.1", path=str(tmp_path)).output


def test_the_doctor_says_nothing_of_it_to_others(sites: dict[str, Path], site: Path) -> None:
    assert "policy: no site_policy.toml: every signed job may run" in call("doctor", site, "--timeout", "0.1").output
    assert "policy" not in call("doctor", sites[ADMIN], "--timeout", "0.1").output
