"""What people do, in six groups, and who may (spec 3.4).

    action    needs on every site named                 commands
    UPLOAD    upload_mmar, and the site's rules         upload_folder
    DEPLOY    deploy_all or deploy_self, and the rules  deploy
    TRAIN     train_all or train_self                   set_run_number, delete_run_number, set_timeout (site server);
                                                        start, start_mgpu, abort
    VIEW      view_all or view_self                     check_status, ls, cat, head, tail, grep, pwd, env, validate
    ASK       that the policy names them                taskname, and the authz commands: whoever is refused sees why
    OPERATE   operate_all or operate_self               shutdown, restart, remove_client, sys_info

Sites are names of start-up kits (``client4``, not the instance ``client4_1``); the server's site is ``server``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from rondo.base.errors import NotFound, Refused
from rondo.policy.definitions import SUPER
from rondo.policy.policy import OpenPolicy, Policy


class Action(StrEnum):
    UPLOAD = "upload"
    DEPLOY = "deploy"
    TRAIN = "train"
    VIEW = "view"
    OPERATE = "operate"
    ASK = "ask"


_RIGHTS: dict[Action, tuple[str, ...]] = {
    Action.UPLOAD: ("upload_mmar",),
    Action.DEPLOY: ("deploy_all", "deploy_self"),
    Action.TRAIN: ("train_all", "train_self"),
    Action.VIEW: ("view_all", "view_self"),
    Action.OPERATE: ("operate_all", "operate_self"),
    Action.ASK: (),
}

_REFUSALS = {
    Action.UPLOAD: 'you are not authorized to upload MMAR to "{site}"',
    Action.DEPLOY: 'you are not authorized to deploy MMAR to "{site}"',
    Action.TRAIN: 'you are not authorized for training actions on site "{site}"',
    Action.VIEW: 'you are not authorized to view info of site "{site}"',
    Action.OPERATE: 'you are not authorized to operate site "{site}"',
}

_CODE = 'the MMAR contains custom code, which is not allowed on site "{site}"'
_CASES = 'the MMAR contains a custom data list, which is not allowed on site "{site}"'


class PackageFacts(Protocol):
    """What the rules ask about a package: whether it brings its own code, and its own list of cases."""

    @property
    def byoc(self) -> bool: ...
    @property
    def custom_datalist(self) -> bool: ...


def authorize(
    policy: Policy | OpenPolicy | None,
    user: str,
    action: Action,
    sites: Sequence[str],
    package: PackageFacts | None = None,
) -> None:
    """Return where the user may do this on all of the sites; the first refusal stops the whole command.

    UPLOAD and DEPLOY are of a package, whose facts must be given. What is missing (the policy, the sites, the
    facts) refuses; only an ``OpenPolicy`` lets everybody do everything.

    Raises ``Refused`` with the text that Clara's users know.
    """
    if isinstance(policy, OpenPolicy):
        return
    if policy is None:
        raise Refused("no authorization policy defined")
    try:
        if SUPER in policy.user(user).roles:
            return
        if not sites:
            raise Refused("the command names no site")
        for site in sites:
            _authorize_one(policy, user, action, site, package)
    except NotFound as error:
        raise Refused(error.what) from None


def _authorize_one(policy: Policy, user: str, action: Action, site: str, package: PackageFacts | None) -> None:
    policy.org_of(site)  # also where no right is needed, the site is one of the policy's
    wanted = _RIGHTS[action]
    if wanted and not any(policy.right(user, right, site) for right in wanted):
        raise Refused(_REFUSALS[action].format(site=site))
    if action not in (Action.UPLOAD, Action.DEPLOY):
        return
    if package is None:
        raise Refused("nothing is known of the MMAR")
    if package.byoc and not policy.rule(site, "allow_byoc"):
        raise Refused(_CODE.format(site=site))
    if package.custom_datalist and not policy.rule(site, "allow_custom_datalist"):
        raise Refused(_CASES.format(site=site))
