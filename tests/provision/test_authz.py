"""Who may do what: the policy in the server's kit, where it comes from and how it is brought up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rondo.base.errors import BadInput
from rondo.net.kits import load_kit
from rondo.provision.authz import read_authz
from tests.provision.projects import AUTHZ, NOW, opened, project, run, with_client


def test_policy_is_completed_and_goes_to_the_server_only(tmp_path: Path) -> None:
    outcome = run(tmp_path, project(server__auth=True), authz=AUTHZ, authz_where="authz.json")
    server = opened(outcome, "fl.example.org", tmp_path / "s")
    assert server.policy is not None
    policy = json.loads(server.policy)
    assert set(policy["rights"]) == {
        *("upload_mmar", "deploy_self", "deploy_all", "train_self", "train_all"),
        *("view_self", "view_all", "operate_self", "operate_all"),
    }
    assert policy["rights"]["view_self"]["precond"] == "selfOrg"
    assert policy["rules"]["allow_byoc"]["default"] is False
    assert policy["users"] == AUTHZ["users"]
    for name in ("client1", "lead@org1.com"):
        assert opened(outcome, name, tmp_path / name).policy is None


def test_authorization_must_be_given_or_renounced(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no authorization policy was given"):
        run(tmp_path, project(server__auth=True))
    assert not (tmp_path / "state").exists()
    assert "no authorization: every admin may do everything" in run(tmp_path).notes


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("orgs", {**AUTHZ["orgs"], "org2": ["generall"]}, "generall"),
        ("sites", {**AUTHZ["sites"], "client1": "nobody"}, "nobody"),
        ("users", {"lead@org1.com": {"org": "org1", "roles": ["king"]}}, "king"),
        ("orgs", None, "orgs"),
    ],
)
def test_policy_that_does_not_hold_together_makes_no_kit(tmp_path: Path, part: str, value: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run(tmp_path, project(server__auth=True), authz={**AUTHZ, part: value}, authz_where="authz.json")
    assert not (tmp_path / "state").exists()


def test_1_0_policy_takes_users_and_sites_from_the_project(tmp_path: Path) -> None:
    groups = {"general": {"desc": "all", "rules": {"byoc": True}, "role_rights": {"site_it": {"upload_app": False}}}}
    value = project(
        server__auth=None,
        disable_authz=False,
        admin_clients=[{"org": "org1", "email": "lead@org1.com", "roles": ["site_it"]}],
        authz_policy={"orgs": AUTHZ["orgs"], "roles": AUTHZ["roles"], "groups": groups},
    )
    kit = opened(run(tmp_path, value), "fl.example.org", tmp_path / "s")
    assert kit.policy is not None
    policy = json.loads(kit.policy)
    assert policy["users"] == {"lead@org1.com": {"org": "org1", "roles": ["site_it"]}}
    assert policy["sites"] == {"server": "nvidia", "client1": "org1", "client2": "org2"}
    assert policy["groups"]["general"]["rules"] == {"allow_byoc": True}
    assert policy["groups"]["general"]["role_rights"] == {"site_it": {"upload_mmar": False}}


def test_participants_the_policy_does_not_know_are_told(tmp_path: Path) -> None:
    value = {**with_client("client3"), "server": project(server__auth=True)["server"]}
    users = {"else@org1.com": {"org": "org1", "roles": ["super"]}}
    notes = run(tmp_path, value, authz={**AUTHZ, "users": users}, authz_where="a").notes
    assert any("client 'client3' is no site" in note for note in notes)
    assert any("admin 'lead@org1.com' is no user" in note for note in notes)


def test_a_newcomer_in_the_policy_reaches_the_server_without_a_new_kit(tmp_path: Path) -> None:
    auth = project(server__auth=True)
    first = run(tmp_path, auth, authz=AUTHZ, authz_where="a")
    server = opened(first, "fl.example.org", tmp_path / "s")
    key = (server.folder / "server.key").read_bytes()
    value = {**with_client("client3", "org2"), "server": auth["server"]}
    policy = {**AUTHZ, "sites": {**AUTHZ["sites"], "client3": "org2"}}

    second = run(tmp_path, value, authz=policy, authz_where="a")
    update = tmp_path / "kits" / "server-update"
    assert any("authorization changed: copy" in note for note in second.notes)
    assert {path.name for path in update.iterdir()} == {"authorization.json", "kit.json", "kit.sig"}
    for path in update.iterdir():
        (server.folder / path.name).write_bytes(path.read_bytes())
    updated = load_kit(tmp_path / "s", NOW)
    assert updated.policy is not None and json.loads(updated.policy)["sites"]["client3"] == "org2"
    assert (server.folder / "server.key").read_bytes() == key
    assert not any("authorization changed" in note for note in run(tmp_path, value, authz=policy).notes)

    third = run(tmp_path, value, authz=AUTHZ, server_kits=(tmp_path / "s",))
    assert f"authorization changed: brought {server.folder} up to date" in third.notes
    back = load_kit(tmp_path / "s", NOW).policy
    assert back is not None and "client3" not in json.loads(back)["sites"]
    run(tmp_path, {**value, "server": project()["server"]}, server_kits=(tmp_path / "s",))
    assert load_kit(tmp_path / "s", NOW).policy is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', "key 'a' is there twice"),
        ('{"users": {"x": 1, "x": 2}}', "key 'x' is there twice"),
        ('{"a": \n}', "line 2: not valid JSON"),
        ("[]", "expected an object"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_broken_policy_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "authz.json").write_text(text)
    with pytest.raises(BadInput) as caught:
        read_authz(tmp_path / "authz.json")
    assert said in str(caught.value) and "authz.json" in caught.value.where
