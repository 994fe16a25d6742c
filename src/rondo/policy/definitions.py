"""The rights and rules that every project has, and the roles it begins with (Clara Train 4.1; spec 3.4).

A policy file may define more, or change a default; what it leaves out is as here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SUPER = "super"  # this role may do everything
SERVER = "server"  # the site name of the server
SELF_ORG = "selfOrg"


@dataclass(frozen=True)
class Right:
    """What a role may be given. ``own_org``: only ever on sites of the user's own organisation."""

    desc: str
    default: bool
    own_org: bool = False


@dataclass(frozen=True)
class Rule:
    """What a site accepts."""

    desc: str
    default: bool


RIGHTS: Mapping[str, Right] = MappingProxyType(
    {
        "upload_mmar": Right("upload a job to the server", default=True),
        "deploy_self": Right("deploy to sites of one's own organisation", default=False, own_org=True),
        "deploy_all": Right("deploy to every site", default=False),
        "train_self": Right("start and stop training on sites of one's own organisation", default=False, own_org=True),
        "train_all": Right("start and stop training on every site", default=False),
        "view_self": Right("look at sites of one's own organisation", default=True, own_org=True),
        "view_all": Right("look at every site", default=False),
        "operate_self": Right("shut down or restart sites of one's own organisation", default=False, own_org=True),
        "operate_all": Right("shut down or restart every site", default=False),
    }
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "allow_byoc": Rule("accept jobs that bring their own code", default=False),
        "allow_custom_datalist": Rule("accept jobs that bring their own list of cases", default=True),
    }
)

ROLES: Mapping[str, str] = MappingProxyType(
    {
        SUPER: "may do everything everywhere",
        "lead_researcher": "leads the study",
        "site_researcher": "researcher of one organisation",
        "lead_it": "provisions the project and runs the server",
        "site_it": "runs the sites of one organisation",
    }
)

# Later versions' names of the same things; a policy may use either.
SPELLINGS: Mapping[str, str] = MappingProxyType(
    {"upload_app": "upload_mmar", "byoc": "allow_byoc", "custom_datalist": "allow_custom_datalist"}
)
