"""An MMAR read: what it becomes, what is survived with a warning, what is refused and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rondo.jobs.check import check_choices, check_files
from rondo.jobs.job import Choice, read_job
from tests.mmar.folders import NET, SERVER, make_mmar
from tests.mmar.reading import complaint, found


def test_a_whole_mmar_is_a_job(tmp_path: Path) -> None:
    changes = {
        "server servers 0 start_round": 3,
        "server servers 0 num_rounds": 9,
        "server servers 0 min_num_clients": 2,
        "server servers 0 max_num_clients": 20,
        "server servers 0 wait_after_min_clients": 30,
    }
    job = read_job(make_mmar(tmp_path, changes))
    check_choices(job)
    check_files(job, tmp_path)
    server = job.server
    assert (job.name, server.start_round, server.num_rounds) == ("spleen_segmentation", 3, 9)
    assert (server.min_clients, server.max_clients, server.wait_after_min_clients) == (2, 20, 30.0)
    assert (server.aggregator.name, server.weigh_by, server.exclude_vars) == ("mean", "steps", "dummy")
    assert (server.aggregation_weights, server.weights_scale) == ({"client0": 1.0, "client1": 1.5}, False)
    assert (server.best_metric, server.seed) == ("val_mean_dice", "7")
    assert job.model.trainer
    assert job.model.checkpoints == {"train_conf": {"train": {"model": NET}}}
    assert job.client.trainer == Choice(
        name="mmar",
        options={"local_epochs": 1, "steps_aggregation": 0},
        place="config/config_fed_client.json:20:13",
    )
    assert [one.options for one in job.client.filters] == [{"vars": "dummy"}]


def test_clara_s_defaults(tmp_path: Path) -> None:
    changes = {f"server servers 0 {key}": ... for key in SERVER["servers"][0] if key not in ("num_rounds", "name")}
    changes |= {"client client_trainer": {"name": "ClientTrainer"}, "client client": ...}
    changes |= {"server aggregator": {"name": "AccumulateWeightedAggregator"}, "train determinism": ...}
    job = read_job(make_mmar(tmp_path, changes))
    server = job.server
    assert (server.min_clients, server.max_clients, server.wait_after_min_clients, server.start_round) == (
        1,
        100,
        10,
        0,
    )
    assert (server.exclude_vars, server.aggregation_weights, server.seed) == ("", {}, "")
    assert (job.client.trainer.options, job.client.filters) == ({}, ())


# ---- dialects ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"server format_version": ..., "server model_saver": {}}, "Clara 3.1 (TensorFlow): model_saver"),
        ({"client format_version": ..., "client client pre_processors": []}, "Clara 3.1 (TensorFlow): pre_processors"),
        ({"client format_version": ..., "client client privacy": {}}, "privacy is a filter in outbound_filters"),
        ({"server format_version": 2}, "NVFlare 2 (format_version 2)"),
        ({"client executors": []}, "write aggregator, persistor and shareable_generator, and client_trainer"),
        ({"server workflows": []}, "NVFlare 2"),
        ({"server format_version": 3}, "config/config_fed_server.json:2:21: format_version must be 1, is 3"),
    ],
)
def test_other_dialects_are_refused_and_told_what_to_do(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    assert says in complaint(make_mmar(tmp_path, changes))


def test_a_missing_version_is_read_as_one(tmp_path: Path) -> None:
    job, errors, warnings = found(make_mmar(tmp_path, {"server format_version": ...}))
    assert job and not errors
    assert "config/config_fed_server.json: format_version is missing: read as 1" in warnings


def test_spellings_of_later_versions_are_taken(tmp_path: Path) -> None:
    changes = {
        "server persistor": SERVER["model_persistor"],
        "server model_persistor": ...,
        "client cross_site_validate": True,
        "client cross_validate": ...,
        "client cross_site_validation is_participating": True,
        "client platform": "PT",
        "validation": ...,
    }
    job, errors, _ = found(make_mmar(tmp_path, changes))
    assert job and job.model.trainer
    assert errors == [
        f"{tmp_path.name}: config/config_validation_ckpt.json (or config_validation.json) is missing "
        "(the client takes part in cross-site validation, which runs it)"
    ]
    del changes["client cross_site_validate"]
    changes["client client cross_validate"] = True  # where Clara 3.1 had it
    assert len(found(make_mmar(tmp_path / "old", changes))[1]) == 1


# ---- files -------------------------------------------------------------------------------------------------------


def test_what_must_be_there_at_upload_is_named_when_it_is_not(tmp_path: Path) -> None:
    assert "config/config_fed_client.json is missing" in complaint(make_mmar(tmp_path / "a", {"client": ...}))
    assert "config/config_fed_server.json is missing" in complaint(make_mmar(tmp_path / "b", {"server": ...}))
    told = complaint(make_mmar(tmp_path / "c", {"train": ...}))
    assert "ClientTrainer trains what config/config_train.json says, which is not there" in told
    read_job(make_mmar(tmp_path / "d", {"validation": ...}))  # wanted only where it is used


def test_strict_is_the_faq_to_the_letter(tmp_path: Path) -> None:
    _, errors, _ = found(make_mmar(tmp_path), strict=True)
    assert errors == [
        f"{tmp_path.name}: config/config_validation_ckpt.json is missing (strict: wanted whether it is used or not)"
    ]
    (tmp_path / "config/config_validation.json").rename(tmp_path / "config/config_validation_ckpt.json")
    assert found(tmp_path, strict=True)[1] == []


def test_broken_json_is_told_at_its_place_and_the_rest_is_read(tmp_path: Path) -> None:
    make_mmar(tmp_path)
    (tmp_path / "config/config_train.json").write_text('{"train": {,}}')
    (tmp_path / "config/environment.json").write_text("[]")
    _, errors, _ = found(tmp_path)
    assert "config/config_train.json:1:12: expected a key in double quotes (the file must be JSON)" in errors
    assert "config/environment.json:1:1: expected {...}, got [...]" in errors


def test_published_oddities_are_survived(tmp_path: Path) -> None:
    """Spec 5.7: no name, no environment, no validation config, no handlers; a key that is there twice."""
    changes = {
        "server servers 0 name": ...,
        "environment": ...,
        "validation": ...,
        "client handlers": ...,
        "client cross_validate": ...,
        "client cross_site_validation": ...,
    }
    folder = make_mmar(tmp_path, changes)
    server = folder / "config/config_fed_server.json"
    server.write_text(server.read_text().replace('"num_rounds": 2', '"num_rounds": 5, "num_rounds": 2'))
    job, errors, warnings = found(folder)
    assert job and not errors
    assert job.name == "mmar"
    for told in (
        "servers[0] has no name: the job is called mmar",
        "config/environment.json is missing",
        "'num_rounds' is there twice: the last one counts",
        "aggregation_weights share out the mean",
    ):
        assert any(told in warning for warning in warnings)


# ---- the server's configuration ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"server servers": ...}, "config_fed_server.json: servers is missing"),
        ({"server servers 0 num_rounds": ...}, "num_rounds is missing"),
        ({"server servers 0 num_rounds": "2"}, "config_fed_server.json:11:21: num_rounds must be a number, is '2'"),
        ({"server servers 0 min_num_clients": 1.5}, "min_num_clients must be a number, is 1.5"),
        ({"server servers 0 min_num_clients": 20}, "min_clients is 20 but max_clients lets only 10 in"),
        ({"server servers 0 start_round": "{FIRST}"}, "{FIRST} is not defined"),
        ({"server aggregator": ...}, "aggregator is missing"),
        ({"server aggregator name": "Mean"}, "no aggregator 'Mean' (known: AccumulateWeightedAggregator"),
        ({"server aggregator name": "AccumulateWeightAggregator"}, "did you mean 'AccumulateWeightedAggregator'?"),
        ({"server aggregator args exclude_vars": "["}, "17:23: exclude_vars is no regular expression"),
        ({"server aggregator args exclude": "x"}, "has no argument 'exclude' (did you mean 'exclude_vars'?)"),
        ({"server aggregator args aggregation_weights a": "x"}, "the weight of a must be a number, is 'x'"),
        ({"server aggregator args aggregation_weights a": 0}, "the weight of a must be > 0"),
        ({"server aggregator args expected_data_kind": "X"}, "expected_data_kind is WEIGHT_DIFF or WEIGHTS"),
        (
            {"server aggregator name": "HEInTimeAccumulateWeightedAggregator"},
            "HEInTimeAccumulateWeightedAggregator: homomorphic encryption is not part of this version",
        ),
        (
            {"server outbound_filters": [{"name": "ExcludeVars", "args": {"exclude_vars": "a"}}]},
            "ExcludeVars among the server's outbound_filters: every site is sent the whole model",
        ),
        ({"server outbound_filters": [{"name": "HEModelEncryptor"}]}, "HEModelEncryptor: homomorphic encryption"),
        ({"server inbound_filters": [{"name": "PercentileProtocol"}]}, "did you mean 'PercentilePrivacy'?"),
        ({"server shareable_generator name": "HEModelShareableGenerator"}, "homomorphic encryption"),
        ({"server shareable_generator": ...}, "shareable_generator is missing"),
        ({"server model_persistor": ...}, "model_persistor is missing"),
        ({"server model_persistor args": {}}, "the persistor has no model to begin with"),
        ({"server handlers 0 name": "Selection"}, "no handler 'Selection'"),
        ({"server model_persistor": {"name": "P"}}, "no model_persistor 'P'"),
        ({"server handlers 0": {"args": {}}}, "config_fed_server.json:51:5: a component without name or path"),
        ({"server handlers 0 name": 5}, "name must be the name of a class, is 5"),
        ({"server handlers 0": {"path": "Selection"}}, "path must look like module.Class, is 'Selection'"),
    ],
)
def test_what_the_server_cannot_do_is_told_at_its_place(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    assert says in complaint(make_mmar(tmp_path, changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"server servers 0 validate_on_server": True}, "'validate_on_server' is of Clara 3.1: left out"),
        ({"server servers 0 num_round": 3}, "'num_round' is no key of a server: left out (did you mean 'num_rounds'?)"),
        ({}, "2 servers: the first one is taken"),
        ({"server model_persistr": {}}, "'model_persistr' is no key of this file: left out"),
        ({"server handlers 0": {"name": "FLContextInfoHandler"}}, "the run's events say what it said"),
        ({"train validate metrics": []}, "no metric of config_train.json is the key metric: no best model is chosen"),
        (
            {"server model_persistor args global_model_file_name": "x.pt"},
            "global_model_file_name: the file is called FL_global_model.pt",
        ),
    ],
)
def test_what_the_server_does_otherwise_is_a_warning(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    folder = make_mmar(tmp_path, changes or {"server servers": SERVER["servers"] * 2})
    job, errors, warnings = found(folder)
    assert job and not errors
    assert any(says in warning for warning in warnings)


def test_what_belongs_to_the_kit_is_passed_over(tmp_path: Path) -> None:
    mine = {"service": {"target": "a:8002"}, "ssl_cert": "x", "num_server_workers": 4, "compression": "Gzip"}
    changes = {f"server servers 0 {key}": value for key, value in mine.items()}
    plain, told = found(make_mmar(tmp_path / "a")), found(make_mmar(tmp_path / "b", changes))
    assert (len(told[1]), len(told[2])) == (0, len(plain[2]))


def test_the_literal_weights_of_clara_by_option(tmp_path: Path) -> None:
    job, _, warnings = found(make_mmar(tmp_path, {"server aggregator args literal": True}))
    assert job and job.server.weights_scale
    assert not any("aggregation_weights" in warning for warning in warnings)


def test_names_of_classes_may_be_paths(tmp_path: Path) -> None:
    changes = {
        "server handlers 0": {
            "path": "nvflare.components.handlers.intime_model_selection_handler.IntimeModelSelectionHandler"
        }
    }
    job = read_job(make_mmar(tmp_path, changes))
    assert job.server.best_metric == "val_mean_dice"


# ---- the model to begin with -----------------------------------------------------------------------------------------


def test_mmar_ckpt_comes_before_the_persistors_model(tmp_path: Path) -> None:
    folder = make_mmar(tmp_path, {"environment MMAR_CKPT": "models/model.pt"}, {"models/model.pt": "x"})
    assert (read_job(folder).model.file, read_job(folder).model.trainer) == ("models/model.pt", False)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("models/model.pt", "environment.json:7:16: MMAR_CKPT names 'models/model.pt', which is not in the MMAR"),
        ("/data/model.pt", "MMAR_CKPT is '/data/model.pt', outside of the MMAR"),
        ("../model.pt", "outside of the MMAR (put the file into the MMAR's models/)"),
        ("models/model.ts", "MMAR_CKPT must end in .pt or .safetensors"),
    ],
)
def test_a_checkpoint_that_cannot_be_is_refused(tmp_path: Path, named: str, says: str) -> None:
    assert says in complaint(make_mmar(tmp_path, {"environment MMAR_CKPT": named}))


def test_what_a_run_writes_itself_need_not_be_brought(tmp_path: Path) -> None:
    for name in ("models/FL_global_model.pt", "models/best_FL_global_model.pt"):
        job = read_job(make_mmar(tmp_path, {"environment MMAR_CKPT": name}))
        check_files(job, tmp_path)
        assert job.model.file == name
