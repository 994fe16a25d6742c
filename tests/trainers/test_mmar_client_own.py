"""Inbound filters, validators and subclasses of Clara's classes at a client, unedited, in a real worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rondo.jobs.job import read_job
from rondo.tensors.files import write_tensors
from rondo.trainers._mmar_clara import COMPAT
from rondo.worker.host import TaskFailed, Worker, open_worker
from tests.mmar.client_parts import with_parts
from tests.worker.jobs import Bench

ARRAYS = {"coef_": np.full((1, 3), 2.0, np.float32), "intercept_": np.ones(1, np.float32)}
PART = "parts_of_client"
INBOUND = "client client inbound_filters"
VALIDATOR = "client cross_site_validation model_validator"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, ARRAYS)


async def opened(worker: Worker, bench: Bench) -> None:
    trainer = read_job(bench.code).client.trainer
    await worker.ask(bench.open(trainer.name, **trainer.options))


def crossed(bench: Bench) -> dict[str, Any]:
    """To validate another's model: behind the last round."""
    return bench.train(6, "validate")


async def test_inbound_filters_own_and_built_in_change_what_is_trained_from(bench: Bench) -> None:
    filters = [{"path": f"{PART}.Doubled"}, {"name": "ExcludeVars", "args": {"exclude_vars": "coef_"}}]
    with_parts(bench.code, {INBOUND: filters, "client client_trainer args step": -3.0}, own=True)
    async with open_worker(bench.spec()) as worker:
        await opened(worker, bench)
        kept = {"folder": str(bench.folder / "run"), "run": 1, "metric": "", "mode": "max"}
        answer = await worker.ask({**bench.train(), "keep": kept})
        assert (answer["kind"], answer["omitted"]) == ("diff", ["coef_"])  # what was not given stays at home
        assert bench.result() == {"intercept_": -3.0}  # the step
        assert (await worker.ask({**bench.train(5, "collect"), "keep": kept}))["omitted"] == []
    assert "got 2.0" in bench.log.read_text()
    assert np.array_equal(bench.result()["coef_"], ARRAYS["coef_"])  # of the model received


@pytest.mark.timeout(300)  # MONAI is loaded twice
async def test_inbound_filters_before_clara_s_trainer(bench: Bench) -> None:
    with_parts(bench.code, {INBOUND: [{"path": f"{PART}.Doubled"}]})
    async with open_worker(bench.spec()) as worker:
        await opened(worker, bench)
        answer, filtered = await worker.ask(bench.train()), bench.result()
    with_parts(bench.code, {})
    (bench.folder / "run" / "mmar_state_0.pt").unlink()
    write_tensors(bench.model, {name: 2 * array for name, array in ARRAYS.items()})
    async with open_worker(bench.spec()) as worker:
        await opened(worker, bench)
        assert (await worker.ask(bench.train()))["metrics"] == answer["metrics"]
    assert all(np.array_equal(array, filtered[name]) for name, array in bench.result().items())


@pytest.mark.parametrize("own", [True, False])
async def test_a_validator_of_ones_own_measures_others_models_through_its_filters(bench: Bench, own: bool) -> None:
    inbound = {"client cross_site_validation inbound_filters": [{"path": f"{PART}.Doubled"}]}
    with_parts(bench.code, {VALIDATOR: {"path": f"{PART}.Largest"}, **inbound}, own)
    assert read_job(bench.code).client.crosses
    async with open_worker(bench.spec()) as worker:
        await opened(worker, bench)
        assert (await worker.ask(crossed(bench)))["metrics"] == {"largest": 4.0}


async def test_a_validator_that_says_nothing_is_told_of(bench: Bench) -> None:
    with_parts(bench.code, {VALIDATOR: {"path": f"{PART}.Silent"}}, own=True)
    async with open_worker(bench.spec()) as worker:
        await opened(worker, bench)
        with pytest.raises(TaskFailed, match="the validator returned NoneType without any metric"):
            await worker.ask(crossed(bench))


@pytest.mark.timeout(300)  # MONAI is loaded twice
async def test_what_builds_upon_clara_s_trainer_and_validator_gets_what_they_do(bench: Bench) -> None:
    with_parts(bench.code, {})
    async with open_worker(bench.spec()) as worker:
        await opened(worker, bench)
        answer, whole = await worker.ask(bench.train()), bench.result()
        error = (await worker.ask(crossed(bench)))["metrics"]["error"]
    (bench.folder / "run" / "mmar_state_0.pt").unlink()
    trainer = {"path": f"{PART}.Careful", "args": {"local_epochs": 1}}
    with_parts(bench.code, {"client client_trainer": trainer, VALIDATOR: {"path": f"{PART}.Squared"}})
    async with open_worker(bench.spec()) as worker:
        await opened(worker, bench)
        built = await worker.ask(bench.train())
        assert built["steps"] == answer["steps"]
        assert built["metrics"] == {"initial_metrics": pytest.approx(answer["metrics"]["error"])}
        assert all(np.allclose(array, whole[name] / 2) for name, array in bench.result().items())
        assert (await worker.ask(crossed(bench)))["metrics"] == {"error": pytest.approx(error**2)}
    assert f"initial {answer['metrics']['error']}" in bench.log.read_text()


async def test_filters_of_ones_own_change_the_local_model_that_others_validate(bench: Bench) -> None:
    filters = [{"path": f"{PART}.Doubled"}, {"path": f"{PART}.Less"}]
    outbound = {"client cross_site_validation outbound_filters": filters}
    with_parts(bench.code, outbound, own=True)
    kept = {"folder": str(bench.folder / "run"), "run": 1, "metric": "", "mode": "max"}
    async with open_worker(bench.spec()) as worker:
        await opened(worker, bench)
        await worker.ask({**bench.train(), "keep": kept})
        answer = await worker.ask({**bench.train(5, "collect"), "keep": kept})
    assert (answer["path"], answer["omitted"]) == (str(bench.out), ["intercept_"])
    (left,) = bench.result().items()
    assert left[0] == "coef_" and np.array_equal(left[1], 2 * (ARRAYS["coef_"] + 1.0))


NAMES = """
from nvflare.apis import Model, ModelPersistor, Trainer
from nvflare.apis.aggregator import Aggregator
from nvflare.apis.event_type import EventType
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import FLConstants, ShareableKey, ShareableValue
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, ShareableKey, ShareableValue
from nvflare.apis.trainer import Trainer
from nvflare.apis.validator import Validator
from nvflare.common.signal import Signal
from nvflare.components.handlers.intime_model_selection_handler import IntimeModelSelectionHandler
from nvflare.utils.fed_utils import generate_failure
from nvflare.utils.fl_ctx_sanity_check import server_fl_ctx_sanity_check
from medl.apps.fed_learn.filters.he_eval_decryptor import HEEvalDecryptor
from medl.apps.fed_learn.trainers.client_trainer import ClientTrainer
from medl.apps.fed_learn.validators.client_validator import ClientValidator
from nvflare.experimental.homomorphic_encryption.he_intime_accumulate_model_aggregator import (
    HEInTimeAccumulateWeightedAggregator,
)
from nvflare.experimental.homomorphic_encryption.he_model_decryptor import HEModelDecryptor
from nvflare.experimental.homomorphic_encryption.he_model_encryptor import HEModelEncryptor
from nvflare.experimental.homomorphic_encryption.he_model_shareable_generator import HEModelShareableGenerator
from nvflare.experimental.homomorphic_encryption.he_pt_file_model_persistor import HEPTFileModelPersistor
from nvflare.experimental.homomorphic_encryption.he_pt_model_reader_writer import HEPTModelReaderWriter
from nvflare.experimental.homomorphic_encryption.homomorphic_encrypt import count_encrypted_layers, load_tenseal_context

encrypting = [one for name, one in list(globals().items()) if name.startswith("HE")]
for one in (*encrypting, count_encrypted_layers, load_tenseal_context):
    try:
        one("client_context.tenseal")
    except RuntimeError as error:
        assert "homomorphic encryption is not part of this version" in str(error)
        print("refused", one.__name__)

selection, context, peer = IntimeModelSelectionHandler(weigh_by_local_iter=True), FLContext(), FLContext()
context.set_prop(FLConstants.CURRENT_ROUND, 1)
context.set_prop(FLConstants.PEER_CONTEXT, peer)
selection.handle_event(EventType.START_ROUND, context)
for metric, steps in ((0.5, 1), (0.8, 3)):
    update = Shareable()
    update[ShareableKey.META] = {FLConstants.INITIAL_METRICS: metric, FLConstants.NUM_STEPS_CURRENT_ROUND: steps}
    peer.set_prop(FLConstants.SHAREABLE, update)
    selection.handle_event(EventType.BEFORE_ACCEPT, context)
selection.handle_event(EventType.BEFORE_AGGREGATION, context)
print("best", round(selection.best_val_metric, 6), context.get_prop(FLConstants.IS_BEST))
"""


def test_every_name_that_published_code_imports_is_there_and_encryption_says_that_it_is_not() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NAMES], env={"PYTHONPATH": str(COMPAT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused") == 9
    assert "best 0.725 True" in done.stdout  # (1 * 0.5 + 3 * 0.8) / 4
