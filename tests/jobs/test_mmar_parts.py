"""What a client's configuration, components and data lists of an MMAR become, and where what is wrong is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rondo.jobs.check import check_choices
from rondo.jobs.facts import PackageFacts, package_facts
from rondo.jobs.job import read_job
from rondo.jobs.mmar import check_lists, key_metric, open_mmar
from tests.mmar.folders import make_mmar
from tests.mmar.images import add_images
from tests.mmar.reading import complaint, found

# ---- the client's configuration ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "becomes"),
    [
        ({"name": "ExcludeVars", "args": {"exclude_vars": ["a", "b"]}}, {"vars": ["a", "b"]}),
        ({"name": "PercentilePrivacy"}, {"keep_scalars": True}),
        (
            {"name": "PercentilePrivacy", "args": {"percentile": 75, "gamma": 50}},
            {"percentile": 75, "gamma": 50, "keep_scalars": True},
        ),
        ({"name": "SVTPrivacy", "args": {"fraction": 0.5}}, {"fraction": 0.5, "keep_scalars": True}),
        ({"name": "SVTPrivacy", "args": {"literal": True}}, {"literal": True, "keep_scalars": True}),
    ],
)
def test_filters_are_ours(tmp_path: Path, one: dict[str, Any], becomes: dict[str, Any]) -> None:
    job = read_job(make_mmar(tmp_path, {"client client outbound_filters": [one]}))
    check_choices(job)
    assert [choice.options for choice in job.client.filters] == [becomes]


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ({"name": "PercentilePrivacy", "args": {"percentile": 200}}, "11:17: percentile must be 0 to 100, not 200"),
        ({"name": "SVTPrivacy", "args": {"fraction": "a"}}, "SVTPrivacy: fraction cannot be 'a'"),
        ({"name": "SVTPrivacy", "args": {"fraction": True}}, "SVTPrivacy: fraction cannot be True"),
        ({"name": "SVTPrivacy", "args": {"noise": 1}}, "SVTPrivacy has no argument 'noise'"),
        ({"name": "ExcludeVars", "args": {"exclude_vars": "("}}, "exclude_vars is no regular expression"),
        ({"name": "PercentileProtocol"}, "no filter 'PercentileProtocol' (did you mean 'PercentilePrivacy'?)"),
        ({"name": "HEModelEncryptor"}, "HEModelEncryptor: homomorphic encryption"),
    ],
)
def test_a_filter_that_would_not_do_what_it_says_is_refused(tmp_path: Path, one: dict[str, Any], says: str) -> None:
    assert says in complaint(make_mmar(tmp_path, {"client client outbound_filters": [one]}))


def test_an_exclusion_of_nothing_is_left_out(tmp_path: Path) -> None:
    job, _, warnings = found(make_mmar(tmp_path, {"client client outbound_filters": [{"name": "ExcludeVars"}]}))
    assert job and job.client.filters == ()
    assert any("ExcludeVars without exclude_vars does nothing: left out" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"client client_trainer": ...}, "client_trainer is missing"),
        ({"client client_trainer": []}, "config_fed_client.json:19:21: expected {...}, got [...]"),
        ({"client client_trainer": {"name": "Trainer"}}, "no client_trainer 'Trainer'"),
        ({"client client_trainer args local_epochs": 0}, "local_epochs must be 1 or more, is 0"),
        ({"client client_trainer args steps_aggregation": -1}, "steps_aggregation must be 0 or more"),
        ({"client client_trainer args local_epochs": "2"}, "ClientTrainer: local_epochs cannot be '2'"),
        ({"client client_trainer args epochs": 2}, "ClientTrainer has no argument 'epochs'"),
        ({"client client_trainer args model_reader_writer name": "HEPTModelReaderWriter"}, "homomorphic encryption"),
        ({"client client inbound_filters": [{"name": "HEModelDecryptor"}]}, "homomorphic encryption"),
        ({"client handlers": [{"name": "X"}]}, "no handler 'X'"),
        ({"client cross_site_validation model_validator": {"name": "V"}}, "no model_validator 'V'"),
    ],
)
def test_what_a_client_cannot_do_is_told(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    assert says in complaint(make_mmar(tmp_path, changes))


CROSSING: dict[str, Any] = {
    "client cross_validate": True,
    "client cross_site_validation is_participating": True,
    "client cross_site_validation outbound_filters": [{"name": "ExcludeVars", "args": {"exclude_vars": "head"}}],
}


def test_a_client_takes_part_in_cross_site_validation_that_says_so_twice(tmp_path: Path) -> None:
    client = read_job(make_mmar(tmp_path / "a", CROSSING)).client
    assert client.crosses
    assert [one.options for one in client.cross_filters] == [{"vars": "head"}]
    for key in list(CROSSING)[:2]:
        assert not read_job(make_mmar(tmp_path / key, {**CROSSING, key: False})).client.crosses
    inbound = {"client cross_site_validation inbound_filters": [{"name": "HEEvalDecryptor"}]}
    assert "HEEvalDecryptor: homomorphic encryption" in complaint(make_mmar(tmp_path / "b", inbound))


# ---- components and variables ----------------------------------------------------------------------------------------


def test_variables_have_their_own_type_and_what_is_given_wins(tmp_path: Path) -> None:
    changes = {
        "server rounds": 4,
        "server clients": 2,
        "server label": "c1",
        "server servers 0 num_rounds": "{rounds}",
        "server servers 0 min_num_clients": "{clients}",
        "server aggregator args exclude_vars": "a_{label}_{OF_ENVIRONMENT}_{ not one }",
        "environment OF_ENVIRONMENT": "{label}2",
        "environment clients": 3,
    }
    job, errors, _ = found(make_mmar(tmp_path, changes))
    assert job and not errors
    assert (job.server.num_rounds, job.server.min_clients) == (4, 3)  # the file's own, environment.json's
    assert job.server.exclude_vars == "a_c1_c12_{ not one }"
    given = found(tmp_path, clients=5, label="x")[0]
    assert given and (given.server.min_clients, given.server.exclude_vars) == (5, "a_x_x2_{ not one }")


def test_variables_that_name_each_other_are_refused(tmp_path: Path) -> None:
    changes = {"environment A": "{B}", "environment B": "{A}", "server aggregator args exclude_vars": "{A}"}
    assert "variables that name each other" in complaint(make_mmar(tmp_path, changes))


def test_a_disabled_component_is_left_out_whatever_it_names(tmp_path: Path) -> None:
    spare = {"name": "Nonsense", "args": {"x": "{NOT_DEFINED}"}}
    for disabled in (True, 1, "{off}"):
        changes = {"client client outbound_filters": [{**spare, "disabled": disabled}], "client off": True}
        assert read_job(make_mmar(tmp_path, changes)).client.filters == ()
    inside = {"name": "Nonsense", "args": {"disabled": True}}
    job, errors, warnings = found(make_mmar(tmp_path, {"client client outbound_filters": [inside]}))
    assert job and not errors
    assert any("disabled stands inside args: taken as if beside it" in warning for warning in warnings)
    assert "disabled must be true or false, is 'yes'" in complaint(
        make_mmar(tmp_path, {"client client outbound_filters": [{**spare, "disabled": "yes"}]})
    )


def test_a_variable_that_is_not_there_is_an_error_only_where_it_is_used(tmp_path: Path) -> None:
    """adminMMAR's config_validation.json names {MMAR_TORCHSCRIPT}, which its environment does not define."""
    assert found(make_mmar(tmp_path / "a"))[1] == []
    used = {"client client outbound_filters": [{"name": "ExcludeVars", "args": {"exclude_vars": "{WHICH}"}}]}
    assert "config_fed_client.json:13:27: {WHICH} is not defined" in complaint(make_mmar(tmp_path / "b", used))
    missing = [{"name": "ExcludeVars", "disabled": "{WHICH}", "args": {"exclude_vars": "a"}}]
    _, errors, warnings = found(make_mmar(tmp_path / "c", {"client client outbound_filters": missing}))
    assert not errors
    assert any("disabled is {WHICH}, which is not defined: taken as false" in warning for warning in warnings)


def test_the_key_metric_in_both_dialects(tmp_path: Path) -> None:
    assert key_metric(open_mmar(make_mmar(tmp_path / "a"))) == "val_mean_dice"
    explicit = {"train validate key_metric": {"name": "MeanDice", "log_label": "dice"}, "train validate metrics": ...}
    assert key_metric(open_mmar(make_mmar(tmp_path / "b", explicit))) == "dice"
    assert key_metric(open_mmar(make_mmar(tmp_path / "c", {"train": ...}))) == ""


# ---- data lists, classification, facts -------------------------------------------------------------------------------

CLASSIFIED = {
    "label_format": [1, 1],
    "training": [{"image": "a.png", "label": [1, 0]}],
    "validation": [{"image": "b.png", "label": [0, 0]}],
}


def classification(folder: Path, listed: Any, changes: dict[str, Any] | None = None) -> Path:
    changes = {"environment PROCESSING_TASK": "classification", **(changes or {})}
    return make_mmar(folder, changes, {"config/dataset_0.json": json.dumps(listed, indent=1)})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ({"label_format": ...}, "config/dataset_0.json:1:1: label_format is missing, which classification needs"),
        ({"label_format": [1]}, "a label of 2 where label_format has 1"),
        ({"label_format": [1, 0]}, "label_format holds 0: numbers from 1 on"),
        ({"label_format": 2}, "expected [...], got a number"),
    ],
)
def test_faq_T3_classification_needs_a_label_format(tmp_path: Path, spoil: dict[str, Any], says: str) -> None:
    read_job(classification(tmp_path / "fine", CLASSIFIED))
    listed = {key: value for key, value in {**CLASSIFIED, **spoil}.items() if value is not ...}
    assert says in complaint(classification(tmp_path / "a", listed))


def test_faq_T3_the_key_is_named(tmp_path: Path) -> None:
    told = complaint(classification(tmp_path / "a", CLASSIFIED, {"environment DATASET_JSON": ...}))
    assert "DATASET_JSON is missing, which classification needs" in told
    told = complaint(classification(tmp_path / "b", CLASSIFIED, {"environment DATASET_JSON": "config/other.json"}))
    assert "DATASET_JSON names 'config/other.json', which is not in the MMAR" in told
    away = classification(tmp_path / "c", CLASSIFIED, {"environment DATASET_JSON": "/not/here.json"})
    _, errors, warnings = found(away)
    assert not errors
    assert any(
        "'/not/here.json', outside of the MMAR: looked at where the run begins" in warning for warning in warnings
    )


def test_code_and_data_list_are_facts_of_the_package(tmp_path: Path) -> None:
    away = make_mmar(tmp_path / "away", {"environment DATASET_JSON": "/data/list.json"}, {"commands/train.sh": ""})
    assert package_facts(away) == PackageFacts(byoc=False, custom_datalist=False)
    assert package_facts(make_mmar(tmp_path / "own")) == PackageFacts(byoc=False, custom_datalist=True)
    for name in ("custom/notes.txt", "config/x.py", "commands/x.py"):
        assert package_facts(make_mmar(tmp_path / name, files={name: ""})).byoc


# ---- data lists ------------------------------------------------------------------------------------------------------


def listed(folder: Path, outside: bool = False) -> tuple[list[str], list[str]]:
    """Errors and warnings of the data lists."""
    mmar = open_mmar(folder)
    check_lists(mmar, outside)
    told: dict[str, list[str]] = {"error": [], "warning": []}
    for finding in mmar.findings.found:
        told[finding.level].append(str(finding))
    return told["error"], told["warning"]


def test_files_that_a_data_list_names_and_that_are_not_there_are_told_at_their_line(tmp_path: Path) -> None:
    folder = make_mmar(tmp_path)
    told = "the data folder 'data' is not in the MMAR: not looked at"
    assert listed(folder)[1] == [f"config/config_train.json:{place}: {told}" for place in ("86:30", "193:30")]
    add_images(folder)
    assert listed(folder) == ([], [])
    (folder / "data/label_1.npy").unlink()
    assert listed(folder)[0] == ["config/dataset_0.json:10:16: no file 'label_1.npy' in data"]
    assert "config/dataset_0.json:10:16: no file 'label_1.npy' in data" in complaint(folder)


def test_a_data_list_that_is_not_there_or_has_no_such_part(tmp_path: Path) -> None:
    folder = make_mmar(tmp_path, {"train train dataset data_list_key": "all"})
    assert "the data list has no 'all'" in listed(folder)[0][0]
    (folder / "config/dataset_0.json").unlink()
    assert all("no data list 'config/dataset_0.json' in the MMAR" in error for error in listed(folder)[0])


def test_what_lies_outside_is_looked_at_only_where_it_is_ones_own_machine(tmp_path: Path) -> None:
    away = {
        "environment DATA_ROOT": str(tmp_path / "away"),
        "environment DATASET_JSON": str(tmp_path / "away/list.json"),
    }
    folder = add_images(make_mmar(tmp_path / "mmar", away))
    (folder / "data").rename(tmp_path / "away")
    (folder / "config/dataset_0.json").rename(tmp_path / "away/list.json")
    assert listed(folder, outside=True) == ([], [])
    (tmp_path / "away/image_0.npy").unlink()
    (error,), _ = listed(folder, outside=True)
    assert error.endswith(f"list.json:5:16: no file 'image_0.npy' in {tmp_path / 'away'}")
    errors, warnings = listed(folder)
    assert not errors and all("is not in the MMAR: not looked at" in warning for warning in warnings)
