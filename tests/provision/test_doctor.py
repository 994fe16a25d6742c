"""The doctor names exactly what is wrong, over real sockets."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from rondo.net.server import open_server
from rondo.pki.authority import Authority, Issued, make_authority
from rondo.pki.certificates import Role, day
from rondo.pki.kit import Kit
from rondo.provision.doctor import LITTLE, TOO_LITTLE, Finding, Surroundings, check_disk, examine
from rondo.provision.revoke import revoke
from rondo.provision.state import opened as opened_state
from tests.ports import free_port
from tests.provision.listeners import listening, proxy, says, silent, tls
from tests.provision.projects import DAY, opened, project, run

NOW = time.time()  # OpenSSL looks at the real clock


class Project:
    """A project provisioned at ``now`` whose server is ``cn`` on a free port of this machine."""

    def __init__(self, folder: Path, now: float = NOW, cn: str = "localhost", admin_port: int | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        value = project(server__cn=cn, server__fed_learn_port=self.port, server__admin_port=admin_port)
        outcome = run(folder, value, now, encrypt=False)  # encryption is tested elsewhere, and slow
        self.client, self.admin, self.server = (
            opened(outcome, name, folder / name) for name in ("client1", "lead@org1.com", cn)
        )
        with opened_state(folder / "state", "Project1", now) as state:
            self.root: Authority = state.authority

    def served(self) -> Issued:
        return Issued(self.server.certificate, self.server.cert_pem, self.server.key_pem)


def look(kit: Kit, now: float = NOW, timeout: float = 5.0, environ: dict[str, str] | None = None) -> dict[str, Finding]:
    found = examine(kit.workspace, Surroundings(now, environ or {}, timeout))
    return {one.name: one for one in found}


def states(found: dict[str, Finding]) -> dict[str, str]:
    return {name: one.state for name, one in found.items() if name != "disk"}


@pytest.fixture
def site(tmp_path: Path) -> Project:
    return Project(tmp_path)


def seen(site: Project, shown: Issued, client_ca: bytes | None = None) -> dict[str, Finding]:
    """What the doctor says to the client while a server that shows ``shown`` answers."""
    with listening(tls(site.folder, shown, client_ca or site.root.certificate.pem), site.port):
        return look(site.client)


def test_nothing_is_wrong(site: Project) -> None:
    with listening(tls(site.folder, site.served(), site.root.certificate.pem), site.port):
        for kit in (site.client, site.admin):
            found = look(kit)
            assert states(found) == {
                "kit": "ok",
                "key rights": "ok",
                "certificate": "ok",
                "service.options": "ok",
                "name": "ok",
                "port": "ok",
                "TLS": "ok",
                "clock": "ok",
            }
            assert "not needed and not used: grpc.max_send_message_length" in found["service.options"].what
            assert "824 days left" in found["certificate"].what or "825 days left" in found["certificate"].what


async def test_our_own_server_accepts_its_clients_and_nobody_elses(tmp_path: Path) -> None:
    ours, theirs = Project(tmp_path / "ours"), Project(tmp_path / "theirs")
    async with open_server(ours.server, {}, [ours.port]):
        found = await asyncio.to_thread(look, ours.client)
        assert found["TLS"].state == "ok", found["TLS"]
        found = await asyncio.to_thread(look, ours.server)
        assert found[f"port {ours.port}"] == Finding(
            f"port {ours.port}", "ok", "in use by this kit's own server, which is running"
        )
    theirs_at_ours = theirs.server
    async with open_server(theirs_at_ours, {}, [ours.port]):
        found = await asyncio.to_thread(look, ours.client)
        assert found["TLS"].state == "bad" and "not this project's authority" in found["TLS"].what
        found = await asyncio.to_thread(look, ours.server)
        assert found[f"port {ours.port}"].state == "bad" and "cannot listen" in found[f"port {ours.port}"].what


def test_closed_port(site: Project) -> None:
    found = look(site.client)
    assert states(found)["name"] == "ok" and "TLS" not in found
    assert found["port"].state == "bad"
    assert "connection refused" in found["port"].what and f"localhost:{site.port}" in found["port"].what


def test_unknown_name(tmp_path: Path) -> None:
    found = look(Project(tmp_path, cn="no-such-host.invalid").client)
    assert found["name"].state == "bad" and "no-such-host.invalid cannot be resolved" in found["name"].what
    assert found["port"].state == "bad"


def test_foreign_authority(site: Project) -> None:
    foreign = make_authority("Project1", NOW).issue(Role.SERVER, "localhost", "nvidia", NOW)
    found = seen(site, foreign)
    assert found["TLS"].state == "bad"
    assert "'localhost' was signed by 'Project1', which is not this project's authority" in found["TLS"].what
    assert "same state folder" in found["TLS"].hint


def test_expired_server_certificate(site: Project) -> None:
    old = site.root.issue(Role.SERVER, "localhost", "nvidia", NOW - 10 * DAY, days=3)
    found = seen(site, old)
    assert found["TLS"].state == "bad"
    assert f"the server's certificate expired on {day(NOW - 7 * DAY)}" in found["TLS"].what
    assert found["TLS"].hint == "whoever provisions: rondo provision renew localhost"


def test_host_name_mismatch(site: Project) -> None:
    found = seen(site, site.root.issue(Role.SERVER, "fl.example.org", "nvidia", NOW))
    assert found["TLS"].state == "bad"
    assert "this kit dials localhost, the server's certificate is for fl.example.org" in found["TLS"].what


def test_a_client_that_poses_as_the_server(site: Project) -> None:
    found = seen(site, site.root.issue(Role.CLIENT, "localhost", "nvidia", NOW))
    assert found["TLS"].state == "bad" and "certificate of client localhost" in found["TLS"].what


def test_clock_behind_the_servers_certificate(site: Project) -> None:
    found = seen(site, site.root.issue(Role.SERVER, "localhost", "nvidia", NOW + DAY))
    assert found["TLS"].state == found["clock"].state == "bad"
    assert "is valid from" in found["TLS"].what and found["TLS"].hint == "set this machine's clock"
    assert "before the certificate of localhost was made" in found["clock"].what


def test_clock_behind_our_own_certificate(site: Project) -> None:
    found = look(site.client, NOW - 30 * DAY)
    assert found["clock"].state == "bad" and "before the certificate of Project1 was made" in found["clock"].what


def test_server_that_does_not_accept_us(site: Project) -> None:
    other = make_authority("Project1", NOW).certificate.pem
    found = seen(site, site.served(), client_ca=other)
    assert found["TLS"].state == "bad"
    assert "the server does not accept this kit's certificate" in found["TLS"].what


def test_server_that_hangs_up(site: Project) -> None:
    with listening(tls(site.folder, site.served(), site.root.certificate.pem, answer=b""), site.port):
        found = look(site.client)
    assert found["TLS"].state == "bad" and "closed the connection without a word" in found["TLS"].what


def test_something_else_on_the_port(site: Project) -> None:
    with listening(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), site.port):
        found = look(site.client)
    assert found["port"].state == "ok" and found["TLS"].state == "bad"
    assert "does not speak our TLS" in found["TLS"].what


def test_something_silent_on_the_port(site: Project) -> None:
    with listening(silent, site.port):
        found = look(site.client, timeout=0.3)
    assert found["TLS"].state == "bad" and "no word within 0.3 s" in found["TLS"].what


def test_own_certificate_expired_or_about_to(tmp_path: Path) -> None:
    site = Project(tmp_path, now=NOW - 800 * DAY)
    found = look(site.client)["certificate"]
    assert found.state == "warn" and "days left" in found.what
    assert "rondo provision renew client1" in found.hint
    found = look(site.client, NOW + 30 * DAY)["certificate"]
    assert found.state == "bad" and f"the certificate of client1 expired on {day(NOW + 25 * DAY)}" in found.what


def test_key_open_to_others_and_changed_kit(site: Project) -> None:
    (site.client.folder / "client.key").chmod(0o644)
    found = look(site.client)["key rights"]
    assert found.state == "bad" and "chmod 600" in found.hint
    (site.client.folder / "start.sh").write_text("exit 0\n")
    assert list(look(site.client)) == ["kit"]
    assert "start.sh" in look(site.client)["kit"].what


# ---- proxies -----------------------------------------------------------------------------------------------------


def through(port: int, login: str = "", **more: str) -> dict[str, str]:
    return {"HTTPS_PROXY": f"http://{login}localhost:{port}", **more}


def test_through_a_proxy_with_password_and_date(site: Project) -> None:
    asked: list[str] = []
    date = f"Date: {formatdate(NOW + 20, usegmt=True)}\r\n"
    with (
        listening(tls(site.folder, site.served(), site.root.certificate.pem), site.port),
        proxy(site.port, asked, date) as port,
    ):
        found = look(site.client, environ=through(port, "user:p%40ss@"))
    assert set(states(found).values()) == {"ok"}
    assert "through the proxy" in found["port"].what
    assert all(f"CONNECT localhost:{site.port} HTTP/1.1\r\n" in request for request in asked) and len(asked) == 3
    assert "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in asked[0]


def test_proxys_clock_tells_on_ours(site: Project) -> None:
    date = f"Date: {formatdate(NOW + 4000, usegmt=True)}\r\n"
    with (
        listening(tls(site.folder, site.served(), site.root.certificate.pem), site.port),
        proxy(site.port, [], date) as port,
    ):
        clock = look(site.client, environ=through(port))["clock"]
    assert clock.state == "warn" and "behind the proxy's clock" in clock.what


def test_no_proxy_is_honoured(site: Project) -> None:
    with listening(tls(site.folder, site.served(), site.root.certificate.pem), site.port):
        found = look(site.client, environ=through(free_port(), NO_PROXY="localhost"))
    assert found["port"].state == "ok" and "directly" in found["port"].what


def test_name_is_the_proxys_business(tmp_path: Path) -> None:
    site = Project(tmp_path, cn="no-such-host.invalid")
    with (
        listening(tls(tmp_path, site.served(), site.root.certificate.pem)) as target,
        proxy(target, []) as port,
    ):
        found = look(site.client, environ=through(port))
    assert set(states(found).values()) == {"ok"}
    assert "resolved by the proxy" in found["name"].what


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy refuses the way to localhost", "allow CONNECT"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407", "USER:PASSWORD"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not that of an HTTP proxy", ""),
        (b"", "not that of an HTTP proxy", ""),
    ],
)
def test_what_a_proxy_may_say(site: Project, answer: bytes, said: str, hint: str) -> None:
    with listening(says(answer)) as port:
        found = look(site.client, environ=through(port, "user:secret@"))["port"]
    assert found.state == "bad" and said in found.what and hint in found.hint
    assert "secret" not in found.what + found.hint


def test_dead_and_unusable_proxies(site: Project) -> None:
    found = look(site.client, environ=through(free_port()))["port"]
    assert found.state == "bad" and "proxy localhost" in found.what and "connection refused" in found.what
    found = look(site.client, environ={"HTTPS_PROXY": "socks5://localhost:1"})["proxy"]
    assert found.state == "bad" and "HTTPS_PROXY" in found.what


# ---- servers -----------------------------------------------------------------------------------------------------


def test_server_kit_with_free_ports(tmp_path: Path) -> None:
    second = free_port()
    site = Project(tmp_path, admin_port=second)
    found = look(site.server)
    assert set(states(found).values()) == {"ok"}
    assert {f"port {site.port}", f"port {second}", "revocations"} <= set(found)


def test_server_port_in_use(site: Project) -> None:
    with listening(silent, site.port):
        found = look(site.server, timeout=0.3)[f"port {site.port}"]
    assert found.state == "bad" and "Address already in use" in found.what


def test_server_kit_with_revocations(site: Project) -> None:
    revoke(site.folder / "state", ["client2"], (site.server.workspace,), NOW)
    assert "list 1 with 1 revoked" in look(site.server)["revocations"].what
    (site.server.folder / "revoked.json").write_text("{}")
    assert look(site.server)["revocations"].state == "bad"


def test_server_name_that_nobody_resolves(tmp_path: Path) -> None:
    found = look(Project(tmp_path, cn="no-such-host.invalid").server)["name"]
    assert found.state == "warn" and "every participant" in found.hint


@pytest.mark.parametrize(("free", "state"), [(TOO_LITTLE - 1, "bad"), (LITTLE - 1, "warn"), (LITTLE, "ok")])
def test_disk(tmp_path: Path, free: int, state: str) -> None:
    assert check_disk(tmp_path, free).state == state
