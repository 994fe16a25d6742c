"""Site policies: what is written is what is in force, and whatever else a file holds, it is refused, not believed."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rondo.base.amounts import bytes_of, seconds_of
from rondo.base.errors import BadInput
from rondo.client.policy import SHELL, SitePolicy, check_filters, read_policy
from rondo.client.told import in_force
from rondo.policy.site import EXAMPLE, FILE

COMMANDS = ("deploy", "check_status", *sorted(SHELL))


def read(text: str | bytes) -> SitePolicy:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(text.encode() if isinstance(text, str) else text)
        return read_policy(Path(folder))


def written(policy: dict[str, Any]) -> str:
    """As TOML: JSON's strings, numbers and lists are TOML's, too."""
    lines = [f"code = {json.dumps(policy['code'])}"] if "code" in policy else []
    for choice in policy.get("filters", ()):
        lines += ["[[filters]]", *(f"{key} = {json.dumps(value)}" for key, value in choice.items())]
    for section in ("limits", "commands", "data", "worker"):
        if section in policy:
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in policy[section].items())]
    return "\n".join(lines)


AMOUNTS = st.builds("{}{}{}".format, st.integers(1, 10**6), st.sampled_from(["", " "]), st.sampled_from(["MB", "GiB"]))
SIGNERS = st.sampled_from(["lead@hub.org", "a.b-c@x.org", "blake3:" + "0" * 64, "blake3:" + "ab" * 32])
FILTERS = st.sampled_from(
    [{"name": "percentile", "percentile": 5}, {"name": "exclude_vars", "vars": ["w"]}, {"name": "svt"}]
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "code": st.one_of(st.sampled_from(["allow", "refuse"]), st.lists(SIGNERS, max_size=3)),
        "filters": st.lists(FILTERS, max_size=3),
        "limits": st.fixed_dictionaries(
            {},
            optional={
                "gpus": st.integers(0, 16),
                "cpus": st.integers(1, 64),
                "memory": AMOUNTS,
                "disk": AMOUNTS,
                "run_time": st.builds("{} {}".format, st.integers(1, 99), st.sampled_from(["s", "min", "h", "d"])),
            },
        ),
        "commands": st.fixed_dictionaries(
            {},
            optional={
                "shell": st.booleans(),
                "answer": st.lists(st.sampled_from((*COMMANDS, "shell")), unique=True),
                "refuse": st.lists(st.sampled_from((*COMMANDS, "shell")), unique=True),
            },
        ),
        "worker": st.fixed_dictionaries({}, optional={"sandbox": st.sampled_from(["none", "bubblewrap"])}),
    },
)


@given(POLICIES)
def test_what_is_written_is_in_force(policy: dict[str, Any]) -> None:
    found = read(written(policy))
    check_filters(found)
    assert all(in_force(found).values())
    code = policy.get("code", "allow")
    for signer, digest in (("lead@hub.org", "blake3:" + "0" * 64), ("nobody", "blake3:" + "ab" * 32)):
        lets = code == "allow" if isinstance(code, str) else signer in code or digest in code
        assert found.lets_code(signer, digest) == lets
    assert [{"name": one.name, **one.options} for one in found.filters] == policy.get("filters", [])
    limits = policy.get("limits", {})
    for key, how in (("gpus", int), ("cpus", int), ("memory", bytes_of), ("disk", bytes_of), ("run_time", seconds_of)):
        assert getattr(found.limits, key) == (how(limits[key]) if key in limits else None)
    commands = policy.get("commands", {})
    for name in COMMANDS:
        words = {name, "shell"} if name in SHELL else {name}
        answered = bool(words & set(commands.get("answer", ()))) or (
            "answer" not in commands and (name not in SHELL or commands.get("shell", False))
        )
        assert found.commands.answers(name) == (answered and not words & set(commands.get("refuse", ())))


@given(POLICIES, st.data())
def test_a_misspelt_key_is_refused_and_the_right_one_named(policy: dict[str, Any], data: st.DataObject) -> None:
    text = written(policy)
    keys = sorted(set(re.findall(r"^(\w+) = ", text, re.MULTILINE)) - {"name", "percentile", "vars"})
    if keys:
        key = data.draw(st.sampled_from(keys))
        try:
            read(re.sub(rf"^{key} = ", f"{key}x = ", text, flags=re.MULTILINE))
        except BadInput as error:
            assert f"{key}x" in str(error) and key in error.hint
        else:
            raise AssertionError(text)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_whatever_a_file_holds_it_is_read_or_refused(content: str | bytes) -> None:
    try:
        read(content)
    except BadInput as error:
        assert FILE in str(error)


@given(st.lists(st.sampled_from([line for line in EXAMPLE.splitlines() if line.startswith("# ")]), unique=True))
def test_lines_of_the_example_in_any_order_are_read_or_refused(lines: list[str]) -> None:
    try:
        read("\n".join(line.removeprefix("# ") for line in lines))
    except BadInput as error:
        assert FILE in str(error)


def test_the_example_says_what_holds_without_it_and_all_of_it_can_be_said() -> None:
    assert read(EXAMPLE) == SitePolicy()
    said = "\n".join(line[2:] for line in EXAMPLE.splitlines() if re.match(r"# (\w+ = |\[)", line))
    found = read(said.replace("/data/project", tempfile.gettempdir()))
    check_filters(found)
    assert found.limits.memory == 32 << 30 and found.worker.sandbox == "bubblewrap" and len(found.code) == 2
    assert found.commands.answers("cat") and not found.commands.answers("sys_info")
    assert found.filters and found.data.folders


@given(st.text(max_size=20))
def test_an_amount_is_read_or_refused(text: str) -> None:
    for read_amount in (bytes_of, seconds_of):
        try:
            assert read_amount(text) > 0
        except ValueError as error:
            assert "an amount" in str(error)
