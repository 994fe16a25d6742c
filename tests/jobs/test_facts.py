"""What a site's rules are told about a package."""

from __future__ import annotations

from pathlib import Path

import pytest

from rondo.base.errors import BadInput
from rondo.jobs.facts import PackageFacts, package_facts
from rondo.policy.actions import Action, authorize
from rondo.policy.policy import OpenPolicy
from tests.jobs.folders import MODEL, SERVER, fill, make_job

FILE_MODEL = '[model]\nfile = "init.safetensors"\n'
SKLEARN = '[client]\ntrainer = { name = "sklearn", data = "site:load" }\n'


def codeless(folder: Path, client: str = SKLEARN) -> Path:
    text = f'name = "a"\n{SERVER}{FILE_MODEL}{client}'
    return fill(folder, {"job.toml": text, "init.safetensors": "", "README.md": ""})


def test_a_job_with_python_brings_its_own_code(tmp_path: Path) -> None:
    assert package_facts(make_job(tmp_path)) == PackageFacts(byoc=True, custom_datalist=False)


def test_a_job_without_code_does_not(tmp_path: Path) -> None:
    assert package_facts(codeless(tmp_path)) == PackageFacts(byoc=False, custom_datalist=False)


@pytest.mark.parametrize(
    "name",
    ["a.py", "A.PY", "deep/er/a.py", "a.pyc", "__pycache__/a.cpython-311.pyc", ".venv/x.py", ".git/a.py", "a.so",
     "a.cpython-311-x86_64-linux-gnu.so", "a.pyd", "go.sh", "x.pth"],
)  # fmt: skip
def test_code_is_code_wherever_it_hides(tmp_path: Path, name: str) -> None:
    assert package_facts(fill(codeless(tmp_path), {name: ""})).byoc


def test_a_script_is_code_whatever_its_name(tmp_path: Path) -> None:
    assert package_facts(codeless(tmp_path, '[client]\nscript = "README.md"\n')).byoc


def test_a_folder_that_is_no_job_has_no_facts(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no job here"):
        package_facts(tmp_path)
    with pytest.raises(BadInput, match="num_rounds is missing"):
        package_facts(fill(tmp_path, {"job.toml": f'name = "a"\n{MODEL}{SKLEARN}'}))


def test_the_policy_takes_the_facts_as_they_are(tmp_path: Path) -> None:
    authorize(OpenPolicy(), "admin@x.org", Action.DEPLOY, ["client1"], package_facts(make_job(tmp_path)))
