"""What can be known of a job before it runs anywhere: nothing of it is executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rondo.base.errors import BadInput
from rondo.jobs.check import check_job
from rondo.jobs.job import read_job
from tests.jobs.folders import CODE, SERVER, fill, make_job


def check(folder: Path) -> None:
    check_job(read_job(folder), folder)


def complaint(folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        check(folder)
    return str(caught.value)


def test_a_sound_job_passes(tmp_path: Path) -> None:
    check(make_job(tmp_path))


def test_a_script_job_with_everything_named_passes(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        server=SERVER + 'aggregator = { name = "trimmed_mean", trim = 0.2 }\n',
        model='[model]\nfile = "start/init.safetensors"\n',
        client='[client]\nscript = "code/train.py"\nfilters = ["svt", { name = "exclude_vars", vars = "head" }]\n',
    )
    check(fill(job, {"start/init.safetensors": "", "code/train.py": "import rondo"}))


def test_other_trainers_options_are_looked_into(tmp_path: Path) -> None:
    client = '[client]\ntrainer = { name = "torch", model = "clinic:M", data = "records:load", train = "clinic:t" }\n'
    assert "job.toml [client] trainer data: no module 'records' in the job's folder" in complaint(
        make_job(tmp_path, client=client)
    )
    check(fill(tmp_path, {"records/__init__.py": ""}))


def test_what_a_trainer_is_to_make_it_must_know_how_to_make(tmp_path: Path) -> None:
    told = complaint(make_job(tmp_path / "a", model="[model]\ntrainer = true\n"))
    assert told == "job.toml [model] trainer: the trainer function makes none"
    told = complaint(make_job(tmp_path / "b", server=SERVER + "own_parts = true\n"))
    assert told == "job.toml [server] own_parts: the trainer function makes none"


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ('aggregator = "maen"', "job.toml [server] aggregator: no 'maen' in aggregate (did you mean 'mean'?)"),
        (
            'aggregator = { name = "trimmed_mean", trimm = 0.1 }',
            "job.toml [server] aggregator: unknown key 'trimm' (did you mean 'trim'?)",
        ),
        ('aggregator = { name = "trimmed_mean", trim = "a" }', "job.toml [server] aggregator: Expected `float`"),
        ('aggregator = "seam"', "job.toml [server] aggregator: no 'seam' in aggregate"),
        (
            'aggregator = { name = "fedopt", betta2 = 0.9 }',
            "job.toml [server] aggregator: unknown key 'betta2' (did you mean 'beta2'?)",
        ),
        ('aggregator = { name = "fedopt", tau = 0 }', "job.toml [server] aggregator: tau must be at least 1e-12"),
        (
            'min_clients = 6\naggregator = { name = "krum", byzantine = 2 }',
            "job.toml [server] aggregator: krum with these options needs 7 updates a round, min_clients is 6 "
            "(min_clients = 7 or more)",
        ),
    ],
)
def test_an_aggregator_that_is_not_there_is_named(tmp_path: Path, server: str, says: str) -> None:
    assert says in complaint(make_job(tmp_path, server=f"{SERVER}{server}\n"))


def test_krum_with_enough_clients_passes(tmp_path: Path) -> None:
    check(make_job(tmp_path, server=SERVER + 'min_clients = 7\naggregator = { name = "krum", byzantine = 2 }\n'))


@pytest.mark.parametrize(
    ("client", "says"),
    [
        ('trainer = "functoin"', "job.toml [client] trainer: no 'functoin' in trainers (did you mean 'function'?)"),
        ('trainer = "function"', "job.toml [client] trainer: Object missing required field `class`"),
        (
            'trainer = { name = "function", klass = "a:b" }',
            "job.toml [client] trainer: unknown key 'klass' (did you mean 'class'?)",
        ),
        (
            'trainer = { name = "function", class = "Clinic" }',
            "job.toml [client] trainer class: must look like \"module:name\", is 'Clinic'",
        ),
        (
            'trainer = { name = "function", class = "nets.big:Clinic" }',
            "job.toml [client] trainer class: no module 'nets.big' in the job's folder (it would be nets/big.py)",
        ),
        ('script = "train.py"', "job.toml [client] trainer script: no file 'train.py' in the job's folder"),
        (
            'trainer = { name = "function", class = "clinic:Clinic" }\nfilters = ["svt", "percentil"]',
            "job.toml [client] filters[1]: no 'percentil' in filters (did you mean 'percentile'?)",
        ),
        (
            'trainer = { name = "function", class = "clinic:Clinic" }\nfilters = [{ name = "percentile", gama = 1 }]',
            "job.toml [client] filters[0]: unknown key 'gama' (did you mean 'gamma'?)",
        ),
    ],
)
def test_a_trainer_or_filter_that_is_not_there_is_named(tmp_path: Path, client: str, says: str) -> None:
    assert says in complaint(make_job(tmp_path, client=f"[client]\n{client}\n"))


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "job.toml [model] function: no module 'nets'" in complaint(
        make_job(tmp_path / "a", model='[model]\nfunction = "nets:new"\n')
    )
    assert "job.toml [model] file: no file 'init.pt' in the job's folder" in complaint(
        make_job(tmp_path / "b", model='[model]\nfile = "init.pt"\n')
    )


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def f(:\n    pass\n", "tools/bad.py:1:7: "),
        ("x = 1\n  y = 2\n", "tools/bad.py:2:2: unexpected indent"),
        ("return 1\n", "tools/bad.py:1:1: 'return' outside function"),
        (b"x = '\xff'\n", "tools/bad.py:1:"),
        (b"x = 1\n\n\ny = '\xff'\n", "tools/bad.py:4: not utf-8 text (save the file as UTF-8)"),
        (b"x = 1\0", "tools/bad.py:"),
        ("(" * 1000, "tools/bad.py:1:201: too many nested parentheses"),
        ("x = " + "not " * 100_000 + "1", "tools/bad.py: cannot be compiled: nested too deeply"),
        ("x = a" + ".b" * 90 + "()" * 20_000, "tools/bad.py: cannot be compiled: maximum recursion depth"),
        ("\nimport a" + ".b" * 100, "tools/bad.py:2: a dotted name of more than 100 parts"),
        ("\nimport a" + ".\\\n b" * 100, "tools/bad.py:2: a dotted name of more than 100 parts"),
        ("# coding: utf-7\nimport a", "tools/bad.py: the encoding utf-7 (save the file as UTF-8)"),
        ("# coding: klingon\n", "tools/bad.py:1:1: unknown encoding: klingon"),
        ("#" * ((1 << 20) + 1), "tools/bad.py: larger than 1048576 bytes"),
    ],
)
def test_python_that_does_not_compile_is_named(tmp_path: Path, source: str | bytes, says: str) -> None:
    assert says in complaint(fill(make_job(tmp_path), {"tools/bad.py": source}))


@pytest.mark.parametrize(
    "source",
    [
        "raise SystemExit('this was executed')",
        'pattern = "\\d"  # warns\nx = 1 is 1\n',
        b"# coding: latin-1\nname = '\xfc'\n",
        b"\xef\xbb\xbfx = 1\n",
        '"""' + "One. Word. Per. Sentence. " * 20 + '"""',
        "",
    ],
)
def test_odd_python_that_compiles_passes_and_is_not_executed(tmp_path: Path, source: str | bytes) -> None:
    check(fill(make_job(tmp_path), {"odd.py": source}))


def test_python_has_a_bound_in_all(tmp_path: Path) -> None:
    many = {f"big{number:02}.py": "#" * (1 << 20) for number in range(16)}
    assert "bytes of Python, more than 16777216" in complaint(fill(make_job(tmp_path), many))


def test_litter_is_not_compiled(tmp_path: Path) -> None:
    check(fill(make_job(tmp_path), {".venv/lib/bad.py": "(", "__pycache__/bad.py": "(", "notes.txt": "("}))


def test_links_are_refused(tmp_path: Path) -> None:
    (make_job(tmp_path) / "more.py").symlink_to("clinic.py")
    assert "'more.py' is a link" in complaint(tmp_path)


def test_reading_a_job_loads_nothing_heavy() -> None:
    """The command line reads jobs; numpy may come only with ``check_job``."""
    code = "import sys; import rondo.jobs.job, rondo.jobs.package, rondo.jobs.check; print('numpy' in sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout == "False\n"


def test_the_code_of_the_tests_compiles() -> None:
    compile(CODE, "clinic.py", "exec")


@pytest.mark.parametrize(
    ("transfer", "says"),
    [
        ('up = "int7"', "job.toml [transfer] up: no 'int7' in codecs (did you mean 'int8'?)"),
        (
            'down = { name = "planes", leve = 3 }',
            "job.toml [transfer] down: unknown key 'leve' (did you mean 'level'?)",
        ),
        ('down = "topk"', "job.toml [transfer] down: topk is for updates only"),
        ('up = "coding"', "job.toml [transfer] up: no 'coding' in codecs"),
    ],
)
def test_codecs_are_looked_into(tmp_path: Path, transfer: str, says: str) -> None:
    job = make_job(tmp_path)
    text = (job / "job.toml").read_text()
    (job / "job.toml").write_text(f"{text}\n[transfer]\n{transfer}\n")
    assert says in complaint(job)
    (job / "job.toml").write_text(f'{text}\n[transfer]\nup = "int8"\ndown = "planes"\n')
    check(job)
