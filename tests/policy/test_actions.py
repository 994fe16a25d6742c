"""Who may do what: the acceptance cases of the spec (end of 3.5), and everything that is missing refuses."""

from __future__ import annotations

import pytest

from rondo.base.errors import Refused
from rondo.policy.actions import Action, authorize
from rondo.policy.authorization import read_authorization
from rondo.policy.policy import OpenPolicy
from tests.policy.policies import PLAIN, Facts, mapping, project1

SITES = ("server", "org1-a", "org1-b", "client3", "client4")


def allowed(user: str, action: Action, *sites: str, package: Facts = PLAIN) -> bool:
    try:
        authorize(project1(), user, action, sites, package)
    except Refused:
        return False
    return True


def refusal(user: str, action: Action, *sites: str, package: Facts | None = PLAIN) -> str:
    with pytest.raises(Refused) as caught:
        authorize(project1(), user, action, sites, package)
    return str(caught.value)


def allowed_sites(user: str, action: Action) -> set[str]:
    return {site for site in SITES if allowed(user, action, site)}


def test_lead_it_of_the_secure_hospital_deploys_trains_and_operates_there_and_nothing_else() -> None:
    user = "leadIT@secure.com"
    for action in (Action.DEPLOY, Action.TRAIN, Action.OPERATE):
        assert allowed_sites(user, action) == {"client4"}
    assert allowed_sites(user, Action.VIEW) == set()
    assert allowed(user, Action.DEPLOY, "client4", package=Facts(byoc=True, custom_datalist=True))
    assert refusal(user, Action.UPLOAD, "server") == 'you are not authorized to upload MMAR to "server"'


def test_lead_researcher_of_another_hospital_is_refused_on_client4_with_claras_words() -> None:
    user = "leadIT@org1.com"
    assert refusal(user, Action.DEPLOY, "client4") == 'you are not authorized to deploy MMAR to "client4"'
    assert allowed(user, Action.DEPLOY, "org1-a", "org1-b")
    assert refusal(user, Action.DEPLOY, "org1-a", package=Facts(byoc=True)) == (
        'the MMAR contains custom code, which is not allowed on site "org1-a"'
    )
    assert allowed(user, Action.UPLOAD, "server", package=Facts(byoc=True))


def test_site_researcher_trains_and_views_only_the_own_site() -> None:
    user = "siteresearcher@org2.com"
    assert allowed_sites(user, Action.TRAIN) == {"client3"}
    assert allowed_sites(user, Action.VIEW) == {"client3"}
    assert allowed_sites(user, Action.DEPLOY) == set()
    assert allowed_sites(user, Action.OPERATE) == set()


def test_whoever_the_policy_names_may_ask_about_it() -> None:
    assert allowed_sites("siteresearcher@org2.com", Action.ASK) == set(SITES)


def test_super_may_do_everything_everywhere() -> None:
    for action in Action:
        authorize(project1(), "admin@admin.com", action, SITES, Facts(byoc=True, custom_datalist=True))


def test_refusals_have_claras_texts() -> None:
    user = "siteresearcher@org2.com"
    assert refusal(user, Action.TRAIN, "client4") == 'you are not authorized for training actions on site "client4"'
    assert refusal(user, Action.VIEW, "server") == 'you are not authorized to view info of site "server"'
    assert refusal(user, Action.OPERATE, "client3") == 'you are not authorized to operate site "client3"'


def test_a_site_that_forbids_data_lists_says_so() -> None:
    policy = mapping()
    policy["groups"]["strict"]["rules"]["allow_custom_datalist"] = False
    with pytest.raises(Refused, match='custom data list, which is not allowed on site "org1-b"'):
        authorize(
            read_authorization(policy, "a"), "leadIT@org1.com", Action.DEPLOY, ["org1-b"], Facts(custom_datalist=True)
        )


def test_an_upload_also_needs_the_servers_rules() -> None:
    policy = mapping()
    policy["orgs"]["nvidia"] = ["general"]
    with pytest.raises(Refused, match='contains custom code, which is not allowed on site "server"'):
        authorize(read_authorization(policy, "a"), "leadIT@org1.com", Action.UPLOAD, ["server"], Facts(byoc=True))


def test_the_first_refusal_stops_the_whole_command() -> None:
    assert refusal("leadIT@org1.com", Action.TRAIN, "org1-a", "client3", "client4") == (
        'you are not authorized for training actions on site "client3"'
    )


@pytest.mark.parametrize("action", list(Action))
def test_whoever_the_policy_does_not_name_may_nothing(action: Action) -> None:
    assert refusal("stranger@nowhere.org", action, "client3") == 'unknown user "stranger@nowhere.org"'
    assert refusal("siteIT@org2.com", action, "client99") == 'unknown site "client99"'


def test_what_is_missing_refuses() -> None:
    with pytest.raises(Refused, match="no authorization policy defined"):
        authorize(None, "admin@admin.com", Action.VIEW, ["server"])
    assert refusal("leadIT@org1.com", Action.VIEW) == "the command names no site"
    assert refusal("leadIT@org1.com", Action.DEPLOY, "org1-a", package=None) == "nothing is known of the MMAR"


def test_an_open_policy_lets_every_admin_do_everything() -> None:
    for action in Action:
        authorize(OpenPolicy(), "anybody@anywhere.org", action, SITES)
