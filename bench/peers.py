"""The peers: nginx + fcgiwrap + ``git http-backend``, and sshd + git, on free ports with bare repositories."""

import getpass
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.ports import accepts_connections, free_port
from tests.services.processes import ServerProcess, find_program

_FCGI_CHILDREN = 4
"""Requests the HTTP peer works on at once: what two cores do fastest."""


@dataclass(frozen=True)
class HttpPeer:
    """Stock git over HTTP; repositories are bare folders below ``root``."""

    port: int
    root: Path
    processes: tuple[ServerProcess, ...]

    def url(self, name: str) -> str:
        """Return the address of a repository."""
        return f"http://127.0.0.1:{self.port}/{name}.git"


@dataclass(frozen=True)
class SshPeer:
    """Stock sshd; ``command`` is what GIT_SSH_COMMAND must be."""

    port: int
    root: Path
    command: str

    def url(self, name: str) -> str:
        """Return the address of a repository."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{self.root}/{name}.git"


def bare_repository(root: Path, name: str, source: Path | None = None) -> Path:
    """Make a bare repository that accepts pushes, packed as a well-kept server has it."""
    path = root / f"{name}.git"
    if source is None:
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    else:
        subprocess.run(["git", "clone", "-q", "--bare", "--no-local", source, path], check=True)
        subprocess.run(["git", "-C", path, "repack", "-adq", "--write-bitmap-index"], check=True)
    subprocess.run(["git", "-C", path, "config", "http.receivepack", "true"], check=True)
    subprocess.run(["git", "-C", path, "config", "uploadpack.allowFilter", "true"], check=True)
    return path


@contextmanager
def _nginx_before(
    folder: Path, port: int, script: Path, parameters: str, *, at_once: int, more: str = ""
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Run a CGI ``script`` behind fcgiwrap and nginx at a port until the block ends; yield the two programs.

    ``parameters`` are lines of nginx's configuration for each request, ``more`` lines for its server.
    """
    nginx, fcgiwrap, socket = find_program("nginx"), find_program("fcgiwrap"), folder / "fcgi.sock"
    wrap = ServerProcess(
        [str(fcgiwrap), "-c", str(at_once), "-s", f"unix:{socket}"],
        log=folder / "fcgiwrap.log",
        is_ready=socket.exists,
        environ={
            **os.environ,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        },
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"""
        {"user root;" if os.geteuid() == 0 else ""}
        worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log error;
        events {{ worker_connections 1024; }}
        http {{
          access_log off; client_max_body_size 0; client_body_temp_path {folder}/body;
          fastcgi_temp_path {folder}/fastcgi; proxy_temp_path {folder}/proxy; uwsgi_temp_path {folder}/uwsgi;
          scgi_temp_path {folder}/scgi;
          server {{
            listen 127.0.0.1:{port};
            {more}
            location / {{
              fastcgi_pass unix:{socket};
              include /etc/nginx/fastcgi_params;
              fastcgi_param SCRIPT_FILENAME {script};
              fastcgi_param PATH_INFO $uri;
              fastcgi_param GIT_CONFIG_COUNT 1;
              fastcgi_param GIT_CONFIG_KEY_0 safe.directory;
              fastcgi_param GIT_CONFIG_VALUE_0 "*";
              {parameters}
            }}
          }}
        }}
        """
    )
    front = ServerProcess(
        [str(nginx), "-c", str(config), "-p", str(folder)],
        log=folder / "nginx.out",
        is_ready=lambda: accepts_connections(port),
    )
    try:
        wrap.start()
        front.start()
        yield wrap, front
    finally:
        front.stop()
        wrap.stop()


@contextmanager
def http_peer(folder: Path, *, at_once: int = _FCGI_CHILDREN) -> Iterator[HttpPeer]:
    """Run nginx in front of fcgiwrap and git http-backend, without any authentication, until the block ends.

    Of more requests than ``at_once`` the rest waits.
    """
    root, port = folder / "repositories", free_port()
    root.mkdir(parents=True)
    backend = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-http-backend"
    parameters = f"""
        fastcgi_request_buffering off; fastcgi_buffering on;
        fastcgi_param GIT_PROJECT_ROOT {root};
        fastcgi_param GIT_HTTP_EXPORT_ALL "";
    """
    static = f"location /static/ {{ alias {root}/; sendfile on; }}"
    with _nginx_before(folder, port, backend, parameters, at_once=at_once, more=static) as programs:
        yield HttpPeer(port, root, programs)


@contextmanager
def cgit_peer(folder: Path, repository: Path, *, at_once: int = _FCGI_CHILDREN) -> Iterator[str]:
    """Run cgit behind nginx and fcgiwrap over one bare repository until the block ends; yield its address.

    Without cgit's own cache: what it answers is worked out each time, as what it is compared with is.
    """
    script = Path("/usr/lib/cgit/cgit.cgi")
    if not script.exists():
        raise FileNotFoundError("install cgit (Debian package) to measure")
    port = free_port()
    folder.mkdir(parents=True)
    settings = folder / "cgitrc"
    options = ["enable-blame=1", "enable-log-filecount=0", "cache-size=0", "virtual-root=/", "snapshots="]
    settings.write_text("\n".join([*options, "repo.url=code", f"repo.path={repository}"]) + "\n")
    parameters = f"""
        fastcgi_param SCRIPT_NAME "";
        fastcgi_param QUERY_STRING $args;
        fastcgi_param CGIT_CONFIG {settings};
    """
    with _nginx_before(folder, port, script, parameters, at_once=at_once):
        yield f"http://127.0.0.1:{port}/code"


@contextmanager
def ssh_peer(folder: Path, *, key: Path) -> Iterator[SshPeer]:
    """Run a private sshd that accepts ``key`` for the present user until the block ends."""
    sshd, port = find_program("sshd"), free_port()
    root = folder / "repositories"
    root.mkdir(parents=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True)
    authorized = folder / "authorized_keys"
    authorized.write_text(key.with_suffix(".pub").read_text())
    authorized.chmod(0o600)
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile {folder}/sshd.pid\n"
        f"AuthorizedKeysFile {authorized}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "AcceptEnv GIT_PROTOCOL\nMaxStartups 100\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    process = ServerProcess(
        [str(sshd), "-D", "-e", "-f", str(config)], log=folder / "sshd.log", is_ready=lambda: accepts_connections(port)
    )
    options = ("IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    command = " ".join([f"ssh -i {key}", *(f"-o {option}" for option in options)])
    try:
        process.start()
        yield SshPeer(port, root, command)
    finally:
        process.stop()
