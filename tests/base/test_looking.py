"""No name that somebody types reads a byte from outside of the workspace, or of what is not to be shown."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.base.errors import BadInput, NotFound, Refused, RondoError
from rondo.base.looking import EXTENSIONS, check_file, check_name, listing, open_file

OUTSIDE = b"a patient's name"
TOKEN = b"a session's token"
INSIDE = b"a line of the log\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return planted(tmp_path)


def planted(top: Path) -> Path:
    """A workspace with links that lead out of it, in it, to its secrets, to themselves; and what blocks a reader."""
    out, workspace = top / "out", top / "workspace"
    for folder in (out / "run_1", workspace / "run_1/deep", workspace / "startup", workspace / "seats"):
        folder.mkdir(parents=True)
    for path in (out / "log.txt", out / "run_1/log.txt", workspace / "startup/client.key", workspace / "ledger.db"):
        path.write_bytes(OUTSIDE)
    for path in (workspace / "seats/0.json", workspace / "seats/secret"):
        path.write_bytes(TOKEN)
    for path in (workspace / "log.txt", workspace / "run_1/log.txt", workspace / "run_1/deep/a.json"):
        path.write_bytes(INSIDE)
    links = {
        "out.txt": "../out/log.txt", "far.log": str(out / "log.txt"), "away": "../out", "up": "..", "in": "run_1",
        "round.txt": "round.txt", "key.txt": "startup/client.key", "run_1/seat": "../seats",
        "run_1/deep/up": "../../..", "in.txt": "run_1/log.txt", "self.py": f"/proc/{os.getpid()}/environ",
    }  # fmt: skip
    for name, target in links.items():
        (workspace / name).symlink_to(target)
    os.mkfifo(workspace / "pipe.log")
    (workspace / "folder.txt").mkdir()
    return workspace


def content(workspace: Path, name: str) -> bytes:
    with open_file(workspace, name) as file:
        return file.read()


@pytest.mark.parametrize("name", ["log.txt", "./log.txt", "run_1/log.txt", "run_1//deep/./a.json"])
def test_files_of_the_workspace_are_read(workspace: Path, name: str) -> None:
    assert content(workspace, name) == INSIDE


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("/etc/passwd.txt", BadInput, "absolute path is not allowed"),
        ("../out/log.txt", BadInput, ".. in path name is not allowed"),
        ("run_1/../../out/log.txt", BadInput, ".. in path name is not allowed"),
        ("a..txt", BadInput, ".. in path name is not allowed"),
        ("log txt", BadInput, "unsupported file log txt"),
        ("log.txt;id", BadInput, "unsupported file log.txt;id"),
        ("$HOME.txt", BadInput, "unsupported file $HOME.txt"),
        ("log.txt\n", BadInput, "unsupported file log.txt\n"),
        ("lög.txt", BadInput, "unsupported file lög.txt"),
        ("a\0.txt", BadInput, "unsupported file a\0.txt"),
        ("", BadInput, "unsupported file "),
        (".", BadInput, "unsupported file ."),
        ("log.txt/", BadInput, "unsupported file log.txt/"),
        (".txt", BadInput, "unsupported file .txt"),
        ("startup/client.key", BadInput, "unsupported file startup/client.key"),
        ("startup/rootCA.pem", BadInput, "unsupported file startup/rootCA.pem"),
        ("ledger.db", BadInput, "unsupported file ledger.db"),
        ("log.TXT", BadInput, "unsupported file log.TXT"),
        ("a/" * 40 + "a.txt", BadInput, "unsupported file " + "a/" * 40 + "a.txt"),
        ("a" * 300 + ".txt", BadInput, "unsupported file " + "a" * 300 + ".txt"),
        ("seats/0.json", Refused, "seats is not shown"),
        ("./seats//0.json", Refused, "seats is not shown"),
        ("SEATS/0.json", Refused, "SEATS is not shown"),
        ("nothing.txt", NotFound, "no such file: nothing.txt"),
        ("run_2/log.txt", NotFound, "no such file: run_2/log.txt"),
        ("folder.txt", Refused, "not a file: folder.txt"),
        ("pipe.log", Refused, "not a file: pipe.log"),
        ("log.txt/a.txt", Refused, "log.txt/a.txt leads through a link, or no folder"),
        *(
            (name, Refused, f"{name} leads through a link, or no folder")
            for name in ("out.txt", "far.log", "away/log.txt", "in/log.txt", "in.txt", "round.txt", "key.txt",
                         "self.py", "run_1/seat/0.json", "up/out/log.txt", "run_1/deep/up/out/log.txt")
        ),
    ],
)  # fmt: skip
def test_what_is_not_shown_is_refused(workspace: Path, name: str, kind: type[RondoError], said: str) -> None:
    with pytest.raises(kind) as caught:
        content(workspace, name)
    assert caught.value.what == said


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_the_extensions_are_claras(extension: str) -> None:
    assert check_file(f"run_1/a{extension}") == ("run_1", f"a{extension}")
    with pytest.raises(BadInput, match=r"only \.txt \.log \.json \.csv \.sh \.config \.py"):
        check_file(f"run_1/a{extension}x")


def test_a_file_that_the_program_may_not_read_is_told(workspace: Path) -> None:
    """As root everything may be read; then it is."""
    (workspace / "log.txt").chmod(0)
    try:
        assert content(workspace, "log.txt") == INSIDE and os.geteuid() == 0
    except Refused as error:
        assert error.what == "log.txt cannot be read" and os.geteuid() != 0


WORDS = ("log.txt", "out.txt", "far.log", "away", "up", "in", "round.txt", "key.txt", "run_1", "deep", "seat",
         "seats", "0.json", "a.json", "..", ".", "", "startup", "client.key", "pipe.log", "self.py", "in.txt", "out",
         "folder.txt", "secret")  # fmt: skip
LEADING = ("", "./", "away/", "up/", "up/out/", "in/", "run_1/", "run_1//deep/", "run_1/seat/", "run_1/deep/up/out/",
           "seats/", "SEATS/", "startup/", "../out/", "/", "folder.txt/")  # fmt: skip
TYPED = st.one_of(
    st.builds("{}{}".format, st.sampled_from(LEADING), st.sampled_from(WORDS)),
    st.lists(st.sampled_from(WORDS), max_size=6).map("/".join),
    st.text(max_size=20),
    st.text("./ab\0", max_size=9),
)


@pytest.fixture(scope="module")
def standing() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield planted(Path(folder))


@settings(max_examples=300)
@given(name=TYPED)
def test_no_name_reads_what_is_outside(standing: Path, name: str) -> None:
    try:
        assert content(standing, name) == INSIDE
    except RondoError:
        return


@settings(max_examples=300)
@given(name=TYPED, deep=st.booleans(), hidden=st.booleans())
def test_no_name_lists_what_is_outside(standing: Path, name: str, deep: bool, hidden: bool) -> None:
    try:
        listed = listing(standing, name, hidden=hidden, deep=deep)
    except RondoError:
        return
    for folder, entries in listed:
        place = standing / folder if folder else standing
        assert place.resolve().is_relative_to(standing) and "seats" not in place.parts
        assert all(os.path.lexists(place / entry.name) for entry in entries)


def test_a_folder_that_becomes_a_link_leads_nowhere(workspace: Path) -> None:
    """The name is opened part after part: what was looked at before says nothing."""
    assert content(workspace, "run_1/log.txt") == INSIDE
    (workspace / "run_1").rename(workspace / "was")
    (workspace / "run_1").symlink_to("../out/run_1")
    with pytest.raises(Refused):
        content(workspace, "run_1/log.txt")


def test_a_workspace_may_itself_be_a_link(workspace: Path) -> None:
    link = workspace.with_name("link")
    link.symlink_to(workspace)
    assert content(link, "log.txt") == INSIDE and listing(link, ".")


# ---- listings -----------------------------------------------------------------------------------------------------


def names(workspace: Path, name: str = ".", *, hidden: bool = False, deep: bool = False) -> dict[str, list[str]]:
    listed = listing(workspace, name, hidden=hidden, deep=deep)
    return {folder: [entry.name for entry in entries] for folder, entries in listed}


def test_a_folder_is_listed_with_its_links_which_are_not_followed(workspace: Path) -> None:
    (workspace / ".hidden").touch()
    (found,) = names(workspace).values()
    assert {"log.txt", "away", "run_1", "seats", "startup"} <= set(found) and ".hidden" not in found
    assert found == sorted(found)
    assert ".hidden" in names(workspace, hidden=True)["."]
    below = names(workspace, deep=True)
    assert {".", "run_1", "run_1/deep", "startup", "folder.txt"} == set(below)
    assert names(workspace, "run_1") == {"run_1": ["deep", "log.txt", "seat"]}


def test_a_file_is_listed_as_itself(workspace: Path) -> None:
    ((folder, (entry,)),) = listing(workspace, "run_1/log.txt")
    assert (folder, entry.name, entry.size) == ("", "run_1/log.txt", len(INSIDE))
    ((_, (link,)),) = listing(workspace, "away")
    assert link.mode == (workspace / "away").lstat().st_mode


@pytest.mark.parametrize(
    ("name", "kind"),
    [("away/run_1", Refused), ("seats", Refused), ("nothing", NotFound), ("..", BadInput), ("/", BadInput)],
)
def test_what_is_not_listed_is_refused(workspace: Path, name: str, kind: type[RondoError]) -> None:
    with pytest.raises(kind):
        listing(workspace, name)


def test_a_listing_ends(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / f"f{number}"
        folder.mkdir()
        for file in range(6):
            (folder / f"{file}").touch()
    assert sum(len(entries) for _, entries in listing(tmp_path, ".", deep=True, most=10)) == 10
    deepest = tmp_path / "d"
    for _ in range(60):
        deepest = deepest / "d"
    deepest.mkdir(parents=True)
    assert max(folder.count("/") for folder, _ in listing(tmp_path, "d", deep=True)) < 40


def test_a_name_is_taken_apart() -> None:
    assert check_name("./run_1//a.b/") == ("run_1", "a.b") and check_name(".") == ()
