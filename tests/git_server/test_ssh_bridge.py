"""A site's own sshd in front of Cairn: the real one, its two wrappers, stock git; and who may ask at the socket."""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.programs import LOGIN, Installation, running_installation
from tests.services.ports import accepts_connections, free_port, wait_until
from tests.services.processes import ServerProcess, find_program

CAIRND = f"{sys.executable} -m cairn.programs.cairnd"


@dataclass(frozen=True)
class Site:
    """Cairn behind a private sshd that listens at ``port``."""

    cairn: Installation
    port: int
    bridge: Path

    @property
    def user(self) -> str:
        """Everybody's login at this sshd."""
        return pwd.getpwuid(os.geteuid()).pw_name

    def url(self, name: str) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}/{LOGIN}/{name}.git"

    def ask(self, question: object, *, descriptors: tuple[int, ...] = ()) -> dict[str, object]:
        """Ask at the socket as a wrapper does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(20)
            connection.connect(str(self.bridge))
            socket.send_fds(connection, [json.dumps(question).encode() + b"\n"], list(descriptors))
            found: dict[str, object] = json.loads(connection.recv(65536))
            return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    sshd, keygen = find_program("sshd"), find_program("ssh-keygen")
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    bridge = folder / "cairn.sock"
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True, timeout=30)
    # sshd wants a program that only root can change, with all its folders: env is one, wherever the checkout lies.
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile {folder}/sshd.pid\n"
        "UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        f"AuthorizedKeysFile none\nAuthorizedKeysCommandUser {pwd.getpwuid(os.geteuid()).pw_name}\n"
        f"AuthorizedKeysCommand {find_program('env')} {CAIRND} ssh-authorized-keys --socket {bridge} %t %k\n"
        "AcceptEnv GIT_PROTOCOL\nMaxStartups 100\nStrictModes no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    process = ServerProcess(
        [str(sshd), "-D", "-e", "-f", str(folder / "sshd_config")],
        log=folder / "sshd.log",
        is_ready=lambda: accepts_connections(port),
    )
    environ = {"CAIRN_SSH_SOCKET": str(bridge)}
    with running_installation(tmp_path_factory.mktemp("behind-sshd"), environ) as running:
        try:
            process.start()
            yield Site(running, port, bridge)
        finally:
            process.stop()


def client(site: Site, folder: Path) -> StockRepository:
    repository = StockRepository(folder / "client", site.cairn.git_environment(folder / "home"))
    repository.path.mkdir()
    repository.git("init", "-q", "-b", "main")
    return repository


def test_git_pushes_and_clones_through_the_sites_own_sshd(site: Site, tmp_path: Path) -> None:
    site.cairn.create("engine")
    here = client(site, tmp_path)
    here.commit({"a.txt": "one\n", "b.bin": os.urandom(3 << 20)}, "first")
    here.git("push", "-q", site.url("engine"), "main")
    for version in ("0", "1", "2"):
        copy = f"copy-{version}"
        here.git("-c", f"protocol.version={version}", "clone", "-q", site.url("engine"), copy)
        assert StockRepository(here.path / copy, here.environment).oid("HEAD") == here.oid("HEAD")


def test_what_cairn_refuses_is_told_as_through_its_own_door(site: Site, tmp_path: Path) -> None:
    here = client(site, tmp_path)
    with pytest.raises(StockGitFailed, match="not found"):
        here.git("ls-remote", site.url("no-such"))
    ssh = here.environment["GIT_SSH_COMMAND"].split()
    done = subprocess.run(
        [*ssh, "-p", str(site.port), f"{site.user}@127.0.0.1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Hi ada!" in done.stderr
    done = subprocess.run(
        [*ssh, "-p", str(site.port), f"{site.user}@127.0.0.1", "id; echo here"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "Cairn runs no" in done.stderr


def test_a_key_that_nobody_registered_gets_no_line(site: Site, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True, timeout=30)
    other = (tmp_path / "other.pub").read_text().split()
    known = (site.cairn.key.with_suffix(".pub")).read_text().split()
    command = [*CAIRND.split(), "ssh-authorized-keys", "--socket", str(site.bridge)]
    assert subprocess.run([*command, *other[:2]], capture_output=True, check=True, timeout=60).stdout == b""
    line = subprocess.run([*command, *known[:2]], capture_output=True, text=True, check=True, timeout=60).stdout
    assert line.startswith('restrict,command="')
    assert line.rstrip().endswith(" ".join(known[:2]))
    with pytest.raises(StockGitFailed, match="Permission denied"):
        StockRepository(tmp_path, site.cairn.git_environment(tmp_path / "h", key=tmp_path / "other")).git(
            "ls-remote", site.url("engine")
        )


def test_a_wrapper_without_its_program_says_what_to_do(tmp_path: Path) -> None:
    command = [*CAIRND.split(), "ssh-serve", "--socket", str(tmp_path / "absent.sock"), "SHA256:x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 75
    assert "does not answer" in done.stderr
    done = subprocess.run([*CAIRND.split(), "ssh-serve"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_only_this_account_reaches_the_socket(site: Site) -> None:
    assert site.bridge.stat().st_mode & 0o777 == 0o600
    if os.geteuid() != 0:
        return
    site.bridge.chmod(0o666)  # even if somebody opened it up
    try:
        code = (
            "import os, socket, sys\n"
            "os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX)\n"
            "s.connect(sys.argv[1])\n"
            's.sendall(b\'{"ask": "key", "line": ""}\\n\')\n'
            "print(s.recv(100))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(site.bridge)], capture_output=True, text=True, timeout=60, check=False
        )
        assert "fingerprint" not in done.stdout
    finally:
        site.bridge.chmod(0o600)


@pytest.mark.parametrize(
    "question",
    [{}, [], {"ask": "serve", "fingerprint": "x"}, {"ask": "shell"}, {"ask": 7}, "x" * 100_000],
    ids=["empty", "list", "no descriptors", "unknown", "number", "long"],
)
def test_nonsense_is_answered_with_an_error(site: Site, question: object) -> None:
    assert "error" in site.ask(question)


def test_a_session_ends_with_its_wrapper(site: Site, tmp_path: Path) -> None:
    """The client's sshd may die with everything it started: nothing of the session stays in Cairn."""
    site.cairn.create("waiting")
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", f"{site.cairn.key}.pub"], capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()[1]
    command = [*CAIRND.split(), "ssh-serve", "--socket", str(site.bridge), fingerprint]
    environment = {**os.environ, "SSH_ORIGINAL_COMMAND": f"git-receive-pack '{LOGIN}/waiting.git'"}
    pid = site.cairn.ssh.pid
    before = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as wrapper:
        assert wrapper.stdout is not None
        assert wrapper.stdout.read(4)  # the advertisement has begun
        wrapper.send_signal(signal.SIGKILL)
    wait_until(
        lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) <= before,
        within_seconds=20,
        what="the session's descriptors are closed",
    )
