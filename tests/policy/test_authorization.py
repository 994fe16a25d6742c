"""Reading a policy: what is wrong in it is named; what it leaves out is as the built-in definitions say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rondo.base.errors import BadInput, NotFound
from rondo.policy.authorization import load_authorization, read_authorization
from rondo.policy.definitions import RIGHTS, ROLES, RULES
from tests.policy.policies import FILE, mapping, project1

Spoil = Callable[[dict[str, Any]], Any]


def put(*path: str, value: Any) -> Spoil:
    def spoil(policy: dict[str, Any]) -> None:
        for key in path[:-1]:
            policy = policy[key]
        policy[path[-1]] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (put("orgs", "X", value=["Y"]), 'bad org "X": undefined group "Y"'),
        (put("orgs", "X", value=[]), 'bad org "X": no group'),
        (put("orgs", "X", value="general"), 'bad org "X": its groups must be a list of names'),
        (put("orgs", "X", value=[["general"]]), 'bad org "X": its groups must be a list of names'),
        (put("users", "u@x", value={"org": "X", "roles": ["super"]}), 'bad user "u@x": undefined org "X"'),
        (put("users", "u@x", value={"org": "org1", "roles": []}), 'bad user "u@x": no role'),
        (put("users", "u@x", value={"org": "org1", "roles": ["boss"]}), 'bad user "u@x": undefined role "boss"'),
        (put("users", "u@x", value={"org": "org1"}), 'bad user "u@x": Object missing required field `roles`'),
        (put("users", "u@x", value={"org": "org1", "role": []}), "bad user \"u@x\": unknown key 'role'"),
        (put("users", "u@x", value="org1"), 'bad user "u@x": expected a table, got str'),
        (put("users", "", value={"org": "org1", "roles": ["super"]}), "\"users\": '' is not a name"),
        (put("users", "a\x1b[2J", value={}), "\"users\": 'a\\x1b[2J' is not a name"),
        (put("sites", "client9", value="X"), 'bad site "client9": undefined org "X"'),
        (put("sites", "client9", value=["org1"]), 'bad site "client9": must be a string'),
        (put("roles", "boss", value=1), 'bad role "boss": must be a string'),
        (
            put("groups", "general", "rules", value={"allow_bio": True}),
            'bad group "general": undefined rule "allow_bio"',
        ),
        (
            put("groups", "strict", "rules", "allow_byoc", value="no"),
            'bad group "strict": rules: "allow_byoc" must be true or false, is \'no\'',
        ),
        (
            put("groups", "general", "role_rights", "boss", value={"train_all": True}),
            'bad group "general": undefined role "boss"',
        ),
        (
            put("groups", "general", "role_rights", "super", value={"train_every": True}),
            'bad group "general": undefined right "train_every"',
        ),
        (
            put("groups", "general", "role_rights", "super", value={"train_all": 1}),
            'bad group "general": rights of role "super": "train_all" must be true or false, is 1',
        ),
        (put("groups", "general", "rulez", value={}), "bad group \"general\": unknown key 'rulez'"),
        (put("rights", value={"fly": {"desc": "x"}}), 'bad right "fly": Object missing required field `default`'),
        (
            put("rights", value={"fly": {"default": True, "precond": "Sunday"}}),
            'bad right "fly": undefined precond "Sunday"',
        ),
        (put("rules", value={"limit": {"default": 3, "type": "int"}}), 'bad rule "limit": '),
        (put("sites", value={}), '"sites" is missing or empty'),
        (put("users", value=[]), '"users" must be an object'),
        (put("version", value="2.0"), "version must be \"1.0\", is '2.0'"),
        (put("user", value={}), 'unknown key "user"'),
        (
            put("groups", "general", "role_rights", "super", value={"upload_app": True, "upload_mmar": False}),
            '"upload_app" and "upload_mmar" are the same',
        ),
    ],
)
def test_what_is_wrong_is_named(spoil: Spoil, says: str) -> None:
    policy = mapping()
    spoil(policy)
    with pytest.raises(BadInput) as caught:
        read_authorization(policy, "authorization.json")
    assert says in str(caught.value)
    assert caught.value.where == "authorization.json"


@pytest.mark.parametrize("section", ["roles", "groups", "orgs", "users", "sites"])
def test_a_policy_needs_all_its_parts(section: str) -> None:
    policy = mapping()
    del policy[section]
    with pytest.raises(BadInput, match=f'"{section}" is missing or empty'):
        read_authorization(policy, "a")


def test_an_empty_policy_is_invalid() -> None:
    with pytest.raises(BadInput, match="an empty policy is invalid"):
        read_authorization({}, "a")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "a:1:2: not JSON"),
        (b'{"users": {"a": 1, "a": 2}}', 'key "a" is there twice'),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"version": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[1]", "the policy must be an object"),
        (b" " * (4 << 20) + b"{}", "larger than"),
    ],
)
def test_bytes_that_hold_no_policy_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_authorization(content, "a")
    assert says in str(caught.value)


def test_built_in_definitions_complete_the_file() -> None:
    policy = project1()
    assert dict(policy.rights) == dict(RIGHTS)
    assert dict(policy.rules) == dict(RULES)
    assert {name for name, right in RIGHTS.items() if right.default} == {"upload_mmar", "view_self"}
    assert {name for name, right in RIGHTS.items() if right.own_org} == {
        "deploy_self", "train_self", "view_self", "operate_self",
    }  # fmt: skip
    assert {name: rule.default for name, rule in RULES.items()} == {"allow_byoc": False, "allow_custom_datalist": True}
    assert set(ROLES) == {"super", "lead_researcher", "site_researcher", "site_it", "lead_it"}


def test_a_definition_of_the_file_replaces_the_built_in_one() -> None:
    raw = mapping() | {
        "rights": {"upload_app": {"desc": "", "default": False}, "dream": {"default": True, "precond": "selfOrg"}},
        "rules": {"allow_night_work": {"desc": "", "type": "bool", "default": True}},
    }
    policy = read_authorization(raw, "a")
    assert not policy.right("siteIT@org2.com", "upload_mmar", "server")
    assert policy.right("siteIT@org2.com", "dream", "client3")
    assert not policy.right("siteIT@org2.com", "dream", "client4")
    assert policy.rule("client4", "allow_night_work")


def test_later_spellings_mean_the_same() -> None:
    raw = json.loads(FILE.read_text().replace("upload_mmar", "upload_app").replace('"allow_byoc"', '"byoc"'))
    assert read_authorization(raw, "a") == project1()


def test_the_most_generous_word_counts() -> None:
    raw = mapping()
    raw["orgs"]["mixed"] = ["strict", "relaxed", "general"]
    raw["sites"]["m"] = "mixed"
    raw["users"]["both@x"] = {"org": "org1", "roles": ["only4secure", "lead_researcher"]}
    raw["groups"]["strict"]["role_rights"] = {"only4secure": {"upload_mmar": True}}
    policy = read_authorization(raw, "a")
    assert policy.rule("m", "allow_byoc"), "true in one group, false in another"
    assert not policy.rule("org1-a", "allow_byoc"), "false in its only group that speaks"
    assert policy.right("both@x", "upload_mmar", "org1-a"), "true in one group, false in another"
    assert not policy.right("both@x", "upload_mmar", "client3"), "false explicitly, though the default is true"
    assert policy.right("both@x", "upload_mmar", "client4"), "nobody speaks: the default"


def test_what_the_policy_does_not_name_is_not_found() -> None:
    policy = project1()
    asks: list[tuple[Callable[[], bool], str]] = [
        (lambda: policy.right("nobody@x", "train_all", "server"), 'unknown user "nobody@x"'),
        (lambda: policy.right("admin@admin.com", "train", "server"), 'unknown right "train"'),
        (lambda: policy.right("admin@admin.com", "train_all", "client5"), 'unknown site "client5"'),
        (lambda: policy.rule("client5", "allow_byoc"), 'unknown site "client5"'),
        (lambda: policy.rule("client4", "byoc"), 'unknown rule "byoc"'),
    ]
    for ask, says in asks:
        with pytest.raises(NotFound) as caught:
            ask()
        assert says in str(caught.value)
