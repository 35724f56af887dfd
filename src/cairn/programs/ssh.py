"""``cairnd ssh``: git over SSH at CAIRN_SSH_ADDRESS."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from cairn.base.log import get_logger
from cairn.base.settings import Settings
from cairn.git_server.ssh import SshDoor, listen_ssh
from cairn.git_server.ssh_bridge import listen_bridge
from cairn.git_server.ssh_limits import ConnectionLimits
from cairn.identity.host_keys import load_or_create_host_keys
from cairn.ops.heartbeat import beating
from cairn.ops.metrics_folder import share_metrics
from cairn.programs.services import open_services
from cairn.programs.start import AddressTaken, run, settle_memory, split_address, start, stop_requested

HELP = """Usage: cairnd ssh

Answer git over SSH at CAIRN_SSH_ADDRESS; everybody logs in as "git" with a key registered in their settings. Stop with
Ctrl-C or SIGTERM: running clones and pushes get CAIRN_DRAIN_SECONDS to finish. A second signal stops at once.
"""
_log = get_logger(__name__)


def main() -> None:
    """Serve until a stop signal."""
    settings, _ = start("ssh", HELP)
    run("ssh", lambda: serve(settings))


def bridge(door: SshDoor) -> AbstractAsyncContextManager[None]:
    """Answer the wrappers of a site's own sshd, where the operator names a socket."""
    path = door.settings.ssh_socket
    return nullcontext() if path == Path() else listen_bridge(door, path)


async def serve(settings: Settings) -> int:
    """Serve until a stop signal and return the exit code."""
    share_metrics(settings.data_dir)
    # Only now: prometheus-client looks for the folder when it is imported.
    from cairn.ops.metrics import Metrics

    stopping = stop_requested()
    async with (
        open_services(settings) as services,
        beating(services.database, "ssh"),
        asyncio.TaskGroup() as group,
    ):
        metrics = Metrics(program="ssh")
        door = SshDoor(
            settings=settings,
            engine=services.engine,
            door=services.git_door,
            authenticator=services.authenticator,
            limits=ConnectionLimits(
                per_address=settings.ssh_connections_per_address, total=settings.ssh_max_connections
            ),
            rates=services.limits,
            words=services.words,
            observe=metrics.git_finished,
        )
        host_keys = await load_or_create_host_keys(services.database, services.secrets)
        host, port = split_address(settings.ssh_address)
        settle_memory()
        sampling = group.create_task(metrics.sample_forever(services.engine))
        try:
            async with listen_ssh(door, host_keys, host=host, port=port), bridge(door):
                _log.info("listening", address=settings.ssh_address)
                await stopping.wait()
        except OSError as error:
            raise AddressTaken(
                f"CAIRN_SSH_ADDRESS={settings.ssh_address}: cannot listen there ({error.strerror})"
            ) from None
        finally:
            sampling.cancel()
    return 0
