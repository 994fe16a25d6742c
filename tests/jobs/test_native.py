"""``job.toml``: what is said, what goes without saying, and how each mistake is answered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rondo.base.errors import BadInput
from rondo.jobs.job import Choice, Job, read_job
from rondo.jobs.parts import ClientPart, ModelPart, ServerPart, TransferPart
from tests.jobs.folders import MODEL, fill, make_job

FULL = """
name = "thyroid"
[server]
min_clients = 4
max_clients = 8
wait_after_min_clients = 2.5
start_round = 2
num_rounds = 15
round_timeout = 60
aggregator = { name = "trimmed_mean", trim = 0.1 }
aggregation_weights = { site_a = 1.5, "site@b" = 2 }
weigh_by = "steps"
best_metric = "val_auc"
best_mode = "min"
final_validation = false
seed = "any string"
keep_updates = 1
[model]
function = "nets.clinic:Net.new"
args = { hidden = [16, 8], scale = 0.5, note = "a.b", deep = { on = true } }
[client]
trainer = { name = "function", class = "clinic:Clinic", args = { lr = 0.1 } }
filters = [ { name = "exclude_vars", vars = ["head"] }, "percentile" ]
attempts = 0
"""


def read(folder: Path, text: str) -> Job:
    return read_job(fill(folder, {"job.toml": text}))


def complaint(folder: Path, **sections: str) -> str:
    with pytest.raises(BadInput) as caught:
        read_job(make_job(folder, **sections))
    return str(caught.value)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    assert read(tmp_path, FULL) == Job(
        name="thyroid",
        server=ServerPart(
            min_clients=4,
            max_clients=8,
            wait_after_min_clients=2.5,
            start_round=2,
            num_rounds=15,
            round_timeout=60.0,
            aggregator=Choice(name="trimmed_mean", options={"trim": 0.1}),
            aggregation_weights={"site_a": 1.5, "site@b": 2.0},
            weigh_by="steps",
            best_metric="val_auc",
            best_mode="min",
            final_validation=False,
            seed="any string",
            keep_updates=1,
        ),
        model=ModelPart(
            function="nets.clinic:Net.new",
            args={"hidden": [16, 8], "scale": 0.5, "note": "a.b", "deep": {"on": True}},
        ),
        client=ClientPart(
            trainer=Choice(name="function", options={"class": "clinic:Clinic", "args": {"lr": 0.1}}),
            filters=(Choice(name="exclude_vars", options={"vars": ["head"]}), Choice(name="percentile")),
            attempts=0,
        ),
    )


def test_what_goes_without_saying(tmp_path: Path) -> None:
    job = read_job(make_job(tmp_path))
    server = job.server
    assert (server.min_clients, server.max_clients, server.wait_after_min_clients) == (1, 100, 10.0)
    assert (server.start_round, server.num_rounds, server.round_timeout) == (0, 3, 0.0)
    assert (server.aggregator, server.aggregation_weights, server.weigh_by) == (Choice(name="mean"), {}, "samples")
    assert (server.best_metric, server.best_mode, server.seed, server.keep_updates) == ("", "max", "", 0)
    assert server.final_validation
    assert (job.client.filters, job.client.attempts) == ((), 3)


def test_script_is_short_for_the_trainer_of_that_name(tmp_path: Path) -> None:
    job = read_job(make_job(tmp_path, client='[client]\nscript = "code/train.py"\nargs = ["--epochs", "2"]\n'))
    assert job.client.trainer == Choice(name="script", options={"script": "code/train.py", "args": ["--epochs", "2"]})
    assert not job.server.final_validation


def test_a_job_with_nothing_to_do_is_a_job(tmp_path: Path) -> None:
    assert read_job(make_job(tmp_path, server="[server]\nstart_round = 5\nnum_rounds = 5\n")).server.start_round == 5


def test_a_job_survives_the_way_to_a_worker(tmp_path: Path) -> None:
    job = read(tmp_path, FULL)
    assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("min_clients = 0", "min_clients must be at least 1, is 0"),
        ("min_clients = -1", "min_clients must be at least 1, is -1"),
        ("max_clients = 0", "max_clients must be at least 1, is 0"),
        ("max_clients = 2000000", "max_clients must be at most 1000000, is 2000000"),
        ("min_clients = 5\nmax_clients = 4", "min_clients is 5 but max_clients lets only 4 in"),
        ("min_clients = 1.5", "Expected `int`, got `float` - at `$.min_clients`"),
        ("min_clients = true", "Expected `int`, got `bool` - at `$.min_clients`"),
        ('min_clients = "2"', "Expected `int`, got `str` - at `$.min_clients`"),
        ("start_round = -1", "start_round must be at least 0, is -1"),
        ("start_round = 2147483648", "start_round must be at most 2147483647, is 2147483648"),
        ("wait_after_min_clients = -0.5", "wait_after_min_clients must be at least 0, is -0.5"),
        ("wait_after_min_clients = nan", "wait_after_min_clients must be at most"),
        ("round_timeout = -1", "round_timeout must be at least 0, is -1"),
        ("round_timeout = inf", "round_timeout must be at most 31622400, is inf"),
        ("keep_updates = -1", "keep_updates must be at least 0, is -1"),
        ("aggregation_weights = { a = 0 }", "the weight of a must be > 0, is 0"),
        ("aggregation_weights = { a = -1.0 }", "the weight of a must be > 0, is -1.0"),
        ("aggregation_weights = { a = inf }", "the weight of a must be > 0, is inf"),
        ("aggregation_weights = { a = nan }", "the weight of a must be > 0, is nan"),
        ('aggregation_weights = { "../a" = 1 }', "'../a' is not a site name"),
        ('weigh_by = "size"', "Invalid enum value 'size' - at `$.weigh_by`"),
        ('best_mode = "max"', "best_mode without best_metric"),
        ('best_metric = "a\\u001b[2J"', "best_metric must be at most 256 printable characters"),
        ("seed = 7", "Expected `str`, got `int` - at `$.seed`"),
        ("aggregator = {}", "job.toml [server] aggregator: name is missing"),
        ("aggregator = 3", "job.toml [server] aggregator: expected a table, got int"),
        ('aggregator = "../mean"', "job.toml [server] aggregator: name must be letters, digits and underscores"),
        ("aggregator = { name = 3 }", "Expected `str`, got `int` - at `$.name`"),
        ('aggregator = { name = "mean", from = 2024-01-01 }', "from is a date; write it as a string"),
        ('aggregator = { name = "mean", a = [1, nan] }', "a[1] must be a finite number, is nan"),
        ('aggregator = { name = "mean", a = { b = 9223372036854775808 } }', "a.b must be at most"),
        (f'aggregator = {{ name = "mean", a = {"[" * 20}{"]" * 20} }}', "is nested more than 16 deep"),
        ("min_client = 1", "unknown key 'min_client' (did you mean 'min_clients'?)"),
    ],
)
def test_a_wrong_value_of_the_server_is_answered_with_a_sentence(tmp_path: Path, line: str, says: str) -> None:
    text = complaint(tmp_path, server=f"[server]\nnum_rounds = 3\n{line}\n")
    assert text.startswith("job.toml [server]")
    assert says in text


@pytest.mark.parametrize(
    ("value", "says"),
    [("-1", "must be at least 0, is -1"), ("2147483648", "must be at most 2147483647"), ("3.0", "Expected `int`")],
)
def test_num_rounds_is_a_whole_number(tmp_path: Path, value: str, says: str) -> None:
    assert says in complaint(tmp_path, server=f"[server]\nnum_rounds = {value}\n")


@pytest.mark.parametrize("server", ["", "[server]\nmin_clients = 2\n"])
def test_num_rounds_is_required(tmp_path: Path, server: str) -> None:
    assert "job.toml [server]: num_rounds is missing" in complaint(tmp_path, server=server)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("", "exactly one of function"),
        ('[model]\nfunction = "a:b"\nfile = "i.pt"\n', "got both"),
        ("[model]\nargs = {}\n", "got neither"),
        ('[model]\nfunction = "clinic.new_model"\n', "function must look like \"module:name\", is 'clinic.new_model'"),
        ('[model]\nfunction = "clinic:new-model"\n', "must look like"),
        ('[model]\nfunction = "../clinic:new"\n', "must look like"),
        ('[model]\nfile = "init.pkl"\n', "file must end in .safetensors or .pt, is 'init.pkl'"),
        ('[model]\nfile = "/etc/init.pt"\n', "is absolute or empty"),
        ('[model]\nfile = "../init.pt"\n', '".." part'),
        ('[model]\nfile = "a\\\\init.pt"\n', "has a backslash"),
        ('[model]\nfile = "init.pt"\nargs = { a = 1 }\n', "args are for a function"),
        ('[model]\nfunction = "a:b"\nargs = { a = 10:30:00 }\n', "args.a is a time; write it as a string"),
        ('[model]\nfunktion = "a:b"\n', "unknown key 'funktion' (did you mean 'function'?)"),
    ],
)
def test_a_wrong_model_is_answered_with_a_sentence(tmp_path: Path, model: str, says: str) -> None:
    text = complaint(tmp_path, model=model)
    assert text.startswith("job.toml [model]")
    assert says in text


@pytest.mark.parametrize(
    ("client", "says"),
    [
        ("", "exactly one of trainer"),
        ('[client]\ntrainer = "sklearn"\nscript = "train.py"\n', "got both"),
        ("[client]\nattempts = 2\n", "got neither"),
        ('[client]\ntrainer = "sklearn"\nargs = ["a"]\n', "args go with script"),
        ('[client]\nscript = ""\n', "script names no file"),
        ('[client]\nscript = "../train.py"\n', '".." part'),
        ('[client]\nscript = "C:/train.py"\n', "begins with a drive letter"),
        ('[client]\nscript = "train.py"\nargs = [1]\n', "Expected `str`, got `int` - at `$.args[0]`"),
        ('[client]\ntrainer = { class = "a:b" }\n', "job.toml [client] trainer: name is missing"),
        (
            '[client]\ntrainer = "sklearn"\nfilters = [ { vars = [] } ]\n',
            "job.toml [client] filters[0]: name is missing",
        ),
        ('[client]\ntrainer = "sklearn"\nfilters = [ "svt", 3 ]\n', "at `$.filters[1]`"),
        ('[client]\ntrainer = "sklearn"\nfilters = "svt"\n', "Expected `array`, got `str` - at `$.filters`"),
        ('[client]\ntrainer = "sklearn"\nattempts = -1\n', "attempts must be at least 0, is -1"),
        ('[client]\ntrainer = "sklearn"\nattempts = 101\n', "attempts must be at most 100, is 101"),
        ('[client]\ntrainer = "sklearn"\nfilter = []\n', "unknown key 'filter' (did you mean 'filters'?)"),
    ],
)
def test_a_wrong_client_is_answered_with_a_sentence(tmp_path: Path, client: str, says: str) -> None:
    text = complaint(tmp_path, client=client)
    assert text.startswith("job.toml [client]")
    assert says in text


@pytest.mark.parametrize(
    ("first_lines", "says"),
    [
        ("", "the job has no name"),
        ('name = ""\n', "name must be up to 128 letters"),
        ('name = "a/b"\n', "name must be up to 128 letters"),
        ("name = 3\n", "Expected `str`, got `int` - at `$.name`"),
        ('name = "a"\nnum_rounds = 3\n', "unknown key 'num_rounds' (it belongs under [server])"),
        ('name = "a"\nscript = "t.py"\n', "unknown key 'script' (it belongs under [client])"),
        ('name = "a"\n[servers]\n', "unknown key 'servers' (did you mean 'server'?)"),
        ('name = "a"\nserver = 3\n', "job.toml [server]: expected a table, got int"),
        ('name = "a"\n[[client]]\n', "job.toml [client]: expected a table, got list"),
    ],
)
def test_the_outermost_keys_are_checked_too(tmp_path: Path, first_lines: str, says: str) -> None:
    rest = f'{MODEL}[client]\nscript = "t.py"\n'.replace("[client]", "" if "[[client]]" in first_lines else "[client]")
    if "server = 3" not in first_lines:
        rest = "[server]\nnum_rounds = 1\n" + rest
    with pytest.raises(BadInput) as caught:
        read(tmp_path, first_lines + rest)
    assert says in str(caught.value)


def test_a_folder_without_a_job_is_told_what_a_job_is(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no job here \(.* job.toml or .* or configs/metadata.json\)"):
        read_job(tmp_path)
    with pytest.raises(BadInput, match="no job here"):
        read_job(tmp_path / "nowhere")


def test_a_job_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "job.toml").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="is a link, not a file"):
        read_job(tmp_path / "a")
    (tmp_path / "b" / "job.toml").mkdir(parents=True)
    with pytest.raises(BadInput, match="is a folder, not a file"):
        read_job(tmp_path / "b")
    (tmp_path / "c").mkdir()
    os.mkfifo(tmp_path / "c" / "job.toml")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BadInput, match="is a pipe, not a file"):
        read_job(tmp_path / "c")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("content", "where", "says"),
    [
        (b'name = "a"\n[server\n', "job.toml:2:8", "expected ']'"),
        (b"name = ", "job.toml:1:8", "invalid value"),
        (b'a = 1\nb = "x\ny"\n', "job.toml:2:7", "illegal character"),
        (b'name = """abc', "job.toml:1:14", "unterminated string"),
        (b"a = 1\na = 2\n", "job.toml:2:6", "cannot overwrite a value"),
        (b"a = 1\nb = '\xff'\n", "job.toml:2:6", "not UTF-8 text (save the file as UTF-8)"),
        (b"a = " + b"[" * 100_000, "job.toml", "nested too deeply"),
        (b"a = " + b"{ a = " * 100_000, "job.toml", "nested too deeply"),
        (b"a = " + b"9" * 5000, "job.toml", "Exceeds the limit"),
        (b"#" * (1 << 20) + b"\n", "job.toml", "larger than 1048576 bytes"),
    ],
)
def test_broken_toml_is_answered_with_its_place(tmp_path: Path, content: bytes, where: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_job(fill(tmp_path, {"job.toml": content}))
    assert caught.value.where.endswith(where)
    assert says in str(caught.value)


LONG = ".".join("a" * 17)


@pytest.mark.parametrize(
    "text",
    [
        f"\n{LONG} = 1",
        f"\n[{LONG}]",
        f"\n[[ {LONG} ]]",
        "\n" + " . ".join(['"x y"', "'z'"] * 9) + " = 1",
        f'\nb = {{ c = """x"""", {LONG} = 1 }}',
        f"\nb = {{ c = '''x'''', {LONG} = 1 }}",
        f"b = {{ c = '''\n''''', {LONG} = 1 }}",
    ],
)
def test_a_key_that_would_take_all_memory_is_refused_before_it_is_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_job(fill(tmp_path, {"job.toml": text}))
    assert str(caught.value) == "job.toml:2: a key of more than 16 parts"


@pytest.mark.parametrize(
    "value",
    [f'"{LONG}"', f"'{LONG}'", f'"""\n{LONG}\n"""', f"'''{LONG}'''", f'"\\"{LONG}"', f"1 # {LONG}", f'""#{LONG}'],
)
def test_dots_in_text_are_no_key(tmp_path: Path, value: str) -> None:
    job = make_job(tmp_path, model=f'[model]\nfunction = "a:b"\nargs.text = {value}\n')
    assert "text" in read_job(job).model.args


def test_parts_made_by_hand_are_checked_alike() -> None:
    wrong: list[dict[str, Any]] = [{"num_rounds": -1}, {"num_rounds": 1, "min_clients": 0}]
    for values in wrong:
        with pytest.raises(ValueError, match="must be at least"):
            ServerPart(**values)
    with pytest.raises(ValueError, match="exactly one of"):
        ModelPart()


def test_files_travel_as_they_are_unless_the_job_says_more(tmp_path: Path) -> None:
    assert read(tmp_path, FULL).transfer == TransferPart()
    assert TransferPart().chosen == {"up": None, "down": None}
    coded = FULL + '[transfer]\nup = { name = "topk", fraction = 0.05 }\ndown = "bf16"\n'
    up, down = Choice(name="topk", options={"fraction": 0.05}), Choice(name="bf16")
    assert read(tmp_path, coded).transfer.chosen == {"up": up, "down": down}


@pytest.mark.parametrize(
    ("transfer", "says"),
    [
        ('upp = "int8"', "job.toml [transfer]: unknown key 'upp' (did you mean 'up'?)"),
        ("up = 8", "job.toml [transfer] up: expected a table, got int"),
        ('up = { name = "none", level = 3 }', "up: there is nothing to choose for none"),
    ],
)
def test_a_wrong_transfer_is_refused(tmp_path: Path, transfer: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, f"{FULL}[transfer]\n{transfer}\n")
    assert says in str(caught.value)


def test_what_a_site_has_to_give(tmp_path: Path) -> None:
    text = 'gpus = 2\ncpus = 8\nmemory = "1.5 GiB"\ndisk = "500 MB"\nrun_time = "90 min"\n'
    needs = read(tmp_path, f"{FULL}[resources]\n{text}").resources
    assert (needs.gpus, needs.cpus, needs.memory_bytes, needs.disk_bytes, needs.seconds) == (
        2, 8, 3 << 29, 500_000_000, 5400.0,
    )  # fmt: skip
    needs = read(tmp_path, FULL).resources
    assert (needs.gpus, needs.cpus, needs.memory_bytes, needs.disk_bytes, needs.seconds) == (0, 0, 0, 0, 0.0)


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ('memory = "lots"', 'memory: an amount looks like "16 GiB" (units: B, KB, MB, GB'),
        ('memory = "16"', "this is '16'"),
        ('run_time = "2 GiB"', 'run_time: an amount looks like "12 h" (units: s, min, h, d)'),
        ('disk = "0 GB"', "an amount is more than nothing"),
        ("gpus = -1", "`int` >= 0"),
        ('ram = "2 GB"', "unknown key 'ram'"),
    ],
)
def test_wrong_resources_are_refused(tmp_path: Path, resources: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, f"{FULL}[resources]\n{resources}\n")
    assert says in str(caught.value) and "job.toml [resources]" in str(caught.value)
