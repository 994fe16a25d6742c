"""The site's own door: what comes in, as the server offers it, and what does not, whatever the server says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rondo.base.clock import SystemClock
from rondo.base.errors import SiteRefused
from rondo.client.audit import Diary
from rondo.client.gate import Parcel, admit, data_of, see_answered
from rondo.client.place import Place
from rondo.client.policy import read_policy
from rondo.jobs.package import pack
from rondo.net.kits import load_kit
from rondo.pki.kit import Kit
from rondo.pki.revocation import REVOKED
from rondo.pki.vouchers import vouch
from rondo.policy.site import FILE
from rondo.provision.revoke import revoke
from rondo.simulator.local import ADMIN, SERVER, Layout, make_kits
from rondo.wire import rondo_pb2 as pb
from tests.ports import free_port
from tests.real.world import write_job

DIGEST = "blake3:" + "ab" * 32


def made_kits(folder: Path) -> dict[str, Kit]:
    made = make_kits(folder, Layout({"a": None}, port=free_port()), SystemClock())
    return {name: load_kit(path, SystemClock().now()) for name, path in made.items()}


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kit]:
    return made_kits(tmp_path_factory.mktemp("kits"))


@pytest.fixture
def place(kits: dict[str, Kit], tmp_path: Path) -> Iterator[Place]:
    workspace = tmp_path / "site"
    workspace.mkdir()
    with closing(Diary(workspace)) as diary:
        yield Place("a", replace(kits["a"], workspace=workspace), None, "secret", diary)


def policy(place: Place, text: str) -> None:
    (place.folder / FILE).write_text(text)


def parcel(by: Kit, digest: str = DIGEST, size: int = 1000) -> Parcel:
    voucher = vouch(digest, by.project, by.cert_pem, by.key_pem)
    return Parcel(pb.FileRef(digest=digest, size=size), voucher)


def refused(place: Place, offered: Parcel) -> str:
    with pytest.raises(SiteRefused) as caught:
        admit(place, offered)
    return str(caught.value)


def test_what_an_admin_has_signed_comes_in(place: Place, kits: dict[str, Kit]) -> None:
    assert admit(place, parcel(kits[ADMIN])).signer == ADMIN


def test_what_nobody_of_the_project_has_signed_stays_outside(
    place: Place, kits: dict[str, Kit], tmp_path: Path
) -> None:
    assert "the package is not signed" in refused(place, Parcel(pb.FileRef(digest=DIGEST), ""))
    assert "over this content" in refused(place, Parcel(pb.FileRef(digest=DIGEST), parcel(kits[ADMIN], "x").voucher))
    assert "not for role admin" in refused(place, parcel(kits[SERVER]))  # who runs the server signs nothing
    assert "not for role admin" in refused(place, parcel(kits["a"]))
    stranger = made_kits(tmp_path / "other")[ADMIN]
    assert "not this project's authority" in refused(place, parcel(stranger))


def test_a_revocation_that_the_site_knows_counts(place: Place, tmp_path: Path) -> None:
    own = made_kits(tmp_path / "kits")
    here = replace(place, kit=own["a"])
    assert admit(here, parcel(own[ADMIN])).signer == ADMIN
    state = tmp_path / "kits" / "state"
    revoke(state, [ADMIN], (), SystemClock().now(), "left")
    (here.kit.folder / REVOKED).write_bytes((state / REVOKED).read_bytes())
    assert "was revoked" in refused(here, parcel(own[ADMIN]))
    (here.kit.folder / REVOKED).write_text("{}")
    assert "revocation list" in refused(here, parcel(own[ADMIN]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[limits\n", "site_policy.toml:1:8: expected ']'"),
        ("code = 'allow'\ncod = 'refuse'\n", "unknown key 'cod' (did you mean 'code'?)"),
        ("[limits]\nmemory = 16\n", "site_policy.toml [limits] memory: an amount looks like"),
    ],
)
def test_a_broken_policy_allows_nothing(place: Place, kits: dict[str, Kit], text: str, says: str) -> None:
    policy(place, text)
    assert says in refused(place, parcel(kits[ADMIN]))
    with pytest.raises(SiteRefused, match=r"^site_policy\.toml"):
        see_answered(place, "deploy")


def test_a_policy_that_cannot_be_read_allows_nothing(place: Place, kits: dict[str, Kit]) -> None:
    (place.folder / FILE).symlink_to(place.folder / "gone")
    assert "link" in refused(place, parcel(kits[ADMIN]))
    (place.folder / FILE).unlink()
    (place.folder / FILE).mkdir()
    assert "folder" in refused(place, parcel(kits[ADMIN]))


def content(place: Place, kits: dict[str, Kit], job: Path) -> str:
    """What is refused of the content of ``job``; "" where it may run."""
    file = pack(job, job.with_suffix(".zip"))
    try:
        admit(place, parcel(kits[ADMIN], file.digest, file.size)).see_content(job)
    except SiteRefused as error:
        return str(error)
    return ""


def test_code_is_let_in_by_signer_or_by_digest(place: Place, kits: dict[str, Kit], tmp_path: Path) -> None:
    job = write_job(tmp_path / "job")
    digest = pack(job, tmp_path / "job.zip").digest
    for code, lets in {
        '"allow"': True,
        '"refuse"': False,
        "[]": False,
        '["other@hub.org"]': False,
        f'["other@hub.org", "{ADMIN}"]': True,
        f'["{DIGEST}"]': False,
        f'["{digest}"]': True,
    }.items():
        policy(place, f"code = {code}\n")
        says = content(place, kits, job)
        assert (says == "") == lets, (code, says)
        if not lets:
            assert "brings its own code" in says and ADMIN in says and digest in says


SKLEARN = '[model]\nfile = "m.safetensors"\n[client]\ntrainer = { name = "sklearn", model = "logistic" }\n'


def test_a_job_without_code_needs_no_leave(place: Place, kits: dict[str, Kit], tmp_path: Path) -> None:
    job = write_job(tmp_path / "job", toml=SKLEARN)
    (job / "work.py").unlink()
    policy(place, 'code = "refuse"\n')
    assert content(place, kits, job) == ""


NEEDS = {
    "gpus = 2": ("gpus = 1", "says it needs 2 (gpus), this site allows 1"),
    "cpus = 9": ("cpus = 8", "says it needs 9 (cpus), this site allows 8"),
    'memory = "3 GiB"': ('memory = "2 GiB"', "says it needs 3.0 GiB (memory), this site allows 2.0 GiB"),
    'disk = "3 GiB"': ('disk = "2 GiB"', "says it needs 3.0 GiB (disk), this site allows 2.0 GiB"),
    'run_time = "2 h"': ('run_time = "1 h"', "says it needs 7200 s (run_time), this site allows 3600 s"),
}


@pytest.mark.parametrize("needs", NEEDS)
def test_a_job_that_says_it_needs_more_than_there_is(
    place: Place, kits: dict[str, Kit], tmp_path: Path, needs: str
) -> None:
    limit, says = NEEDS[needs]
    job = write_job(tmp_path / "job")
    with (job / "job.toml").open("a") as file:
        file.write(f"\n[resources]\n{needs}\n")
    assert content(place, kits, job) == ""
    policy(place, f"[limits]\n{needs}\n")
    assert content(place, kits, job) == ""
    policy(place, f"[limits]\n{limit}\n")
    assert says in content(place, kits, job)


def test_a_package_that_is_larger_than_the_disk_allowed_is_not_fetched(place: Place, kits: dict[str, Kit]) -> None:
    policy(place, '[limits]\ndisk = "1 MiB"\n')
    assert "brings 2.0 MiB, this site allows 1.0 MiB" in refused(place, parcel(kits[ADMIN], size=2 << 20))


def test_which_commands_are_answered(place: Place) -> None:
    def answered(*names: str) -> list[str]:
        return [name for name in names if read_policy(place.folder).commands.answers(name)]

    every = ("deploy", "ls", "cat", "env")
    assert answered(*every) == ["deploy"]
    policy(place, "[commands]\nshell = true\n")
    assert answered(*every) == list(every)
    policy(place, '[commands]\nshell = true\nrefuse = ["shell"]\n')
    assert answered(*every) == ["deploy"]
    policy(place, '[commands]\nanswer = ["deploy", "shell"]\nrefuse = ["env"]\n')
    assert answered(*every) == ["deploy", "ls", "cat"]
    policy(place, "[commands]\nanswer = []\n")
    assert answered(*every) == []
    with pytest.raises(SiteRefused, match=r"^site_policy\.toml \[commands\]: this site does not answer 'ls'"):
        see_answered(place, "ls")


def test_what_trainers_see_lies_in_the_policys_folders(place: Place, kits: dict[str, Kit], tmp_path: Path) -> None:
    inside, outside = tmp_path / "data" / "ct", tmp_path / "other"
    inside.mkdir(parents=True)
    outside.mkdir()
    assert data_of(read_policy(place.folder), place) is None
    policy(place, f'[data]\nfolders = ["{inside.parent}"]\n')
    assert data_of(read_policy(place.folder), place) == inside.parent
    assert admit(replace(place, data=inside), parcel(kits[ADMIN]))
    assert "lies in none of the folders" in refused(replace(place, data=outside), parcel(kits[ADMIN]))
