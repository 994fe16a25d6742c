"""The offline checker of spec 3.6, as a script and at a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.policy.policies import FILE, mapping
from tests.real.screen import CTRL_C, CTRL_D, ENTER, TAB, screen


def piped(*args: str, lines: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "rondo", "authz-preview", *args]
    ended = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def cells(out: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line.startswith("|")]


def test_the_acceptance_cases_of_the_example_policy() -> None:
    lines = (
        "eval_right leadIT@secure.com deploy_self client4 client3\neval_right leadIT@org1.com deploy_all client4\nbye\n"
    )
    code, out = piped("-p", str(FILE), lines=lines + "show_users\n")
    assert code == 0 and cells(out) == [
        ["SITE", "RIGHT", "RESULT"], ["client4", "deploy_self", "True"], ["client3", "deploy_self", "False"],
        ["SITE", "RIGHT", "RESULT"], ["client4", "deploy_all", "False"],
    ]  # fmt: skip
    code, out = piped(
        "-p", str(FILE), lines="show_users\neval_rule client4 allow_byoc\neval_user admin@admin.com server"
    )
    assert code == 0 and ["USER", "ORG", "ROLES"] in cells(out) and ["client4", "allow_byoc", "True"] in cells(out)
    assert ["view_all", "False"] in cells(out), "super gets no shortcut here"


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    code, out = piped("-p", str(FILE), lines="eval_all\neval_right\neval_user nobody client3\n")
    assert code == 5 and "Error: Undefined command eval_all (did you mean" in out and "usage: eval_right USER" in out
    assert piped(lines="")[0] == piped("-p", str(FILE), "-d", str(FILE), lines="")[0] == 3
    bad = mapping()
    bad["orgs"]["nvidia"] = ["nowhere"]
    (tmp_path / "bad.json").write_text(json.dumps(bad))
    code, out = piped("-p", str(tmp_path / "bad.json"), lines="")
    assert code == 3 and 'bad.json: bad org "nvidia": undefined group "nowhere"' in out
    code, out = piped("-p", str(tmp_path / "none.json"), lines="")
    assert code == 3 and "none.json: cannot be read" in out


def test_definitions_may_be_in_a_file_of_their_own(tmp_path: Path) -> None:
    definitions = {"rules": {"allow_gpu": {"desc": "use the GPUs", "default": True}}}
    (tmp_path / "defs.json").write_text(json.dumps(definitions))
    files = ("-d", str(tmp_path / "defs.json"), "-c", str(FILE))
    code, out = piped(*files, lines="show_site_rules client3\n")
    assert code == 0 and ["allow_gpu", "True"] in cells(out)
    (tmp_path / "defs.json").write_text(json.dumps(definitions | {"orgs": {}}))
    code, out = piped(*files, lines="")
    assert code == 3 and '"orgs" is in both files' in out


async def test_a_person_asks() -> None:
    async with screen(sys.executable, "-m", "rondo", "authz-preview", "-p", str(FILE)) as at:
        assert ["show_config", ""] in cells("\n".join(await at.says("help")))
        at.press("eval_rule client4 allow_b" + TAB)
        await at.sees("> eval_rule client4 allow_byoc", rows=1)
        assert ["client4", "allow_byoc", "True"] in cells("\n".join(await at.answers(ENTER)))
        at.press("show")
        await at.sees("> show", rows=1)
        assert await at.answers(CTRL_C) == []
        at.press(CTRL_D)
        assert await at.exit() == 0
