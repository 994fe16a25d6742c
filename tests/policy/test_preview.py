"""The answers of the authz commands as tables."""

from __future__ import annotations

import pytest

from rondo.base.errors import BadInput, NotFound
from rondo.policy import preview
from tests.policy.policies import project1

POLICY = project1()


def test_listings() -> None:
    users = preview.show_users(POLICY)
    assert users.head == ("USER", "ORG", "ROLES")
    assert ("leadIT@secure.com", "Secure", "only4secure") in users.rows
    assert ("client4", "Secure") in preview.show_sites(POLICY).rows
    assert ("allow_byoc", "accept jobs that bring their own code", "False") in preview.show_rules(POLICY).rows
    defaults = {row[0]: row[2:] for row in preview.show_rights(POLICY).rows}
    assert defaults["view_self"] == ("True", "selfOrg")
    assert defaults["train_all"] == ("False", "")


def test_show_config_says_what_is_explicit() -> None:
    rows = preview.show_config(POLICY).rows
    assert ("org", "Secure", "groups", "relaxed, Secure") in rows
    assert ("group", "general", "only4secure: upload_mmar", "False") in rows
    assert ("group", "strict", "allow_byoc", "False") in rows
    assert ("role", "lead_it", "", "runs the server") in rows


def test_evaluations() -> None:
    assert preview.show_site_rules(POLICY, "client4").rows == (
        ("allow_byoc", "True"),
        ("allow_custom_datalist", "True"),
    )
    assert preview.eval_rule(POLICY, "org1-a", "allow_byoc").rows == (("org1-a", "allow_byoc", "False"),)
    mine = preview.eval_user(POLICY, "leadIT@secure.com", "client4").rows
    assert {right for right, result in mine if result == "True"} == {
        "upload_mmar", "deploy_self", "train_self", "operate_self",
    }  # fmt: skip
    everywhere = preview.eval_right(POLICY, "leadIT@secure.com", "train_self")
    assert [row[0] for row in everywhere.rows if row[2] == "True"] == ["client4"]
    assert preview.eval_right(POLICY, "leadIT@secure.com", "train_self", ["server"]).rows == (
        ("server", "train_self", "False"),
    )


def test_super_gets_no_shortcut_here() -> None:
    assert preview.eval_right(POLICY, "admin@admin.com", "operate_all", ["client4"]).rows[0][2] == "False"


def test_unknown_names_are_not_found() -> None:
    with pytest.raises(NotFound, match="did you mean 'client4'"):
        preview.eval_user(POLICY, "leadIT@secure.com", "client44")
    with pytest.raises(NotFound, match="unknown site"):
        preview.show_site_rules(POLICY, "moon")


@pytest.mark.parametrize("question", preview.QUESTIONS)
def test_a_question_is_answered_as_it_is_typed(question: str) -> None:
    policy = project1()
    words = {
        "eval_right": ["admin@admin.com", "train_all"], "eval_user": ["admin@admin.com", "server"],
        "eval_rule": ["server", "allow_byoc"], "show_site_rules": ["client4"],
    }.get(question, [])  # fmt: skip
    assert preview.answer(policy, question, words) == preview.QUESTIONS[question][0](policy, *words)
    with pytest.raises(BadInput, match="syntax error"):
        preview.answer(policy, question, words[:-1] if words else ["more"])


def test_sites_of_eval_right_are_named_or_all() -> None:
    words = ["admin@admin.com", "train_all"]
    assert len(preview.answer(project1(), "eval_right", words).rows) == len(project1().sites)
    assert [row[0] for row in preview.answer(project1(), "eval_right", [*words, "client4", "server"]).rows] == [
        "client4",
        "server",
    ]
    with pytest.raises(BadInput, match="did you mean 'show_users'"):
        preview.answer(project1(), "show_user", [])
