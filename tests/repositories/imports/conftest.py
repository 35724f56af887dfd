"""A forge that may reach this machine, ada, and another server with a repository worth having."""

from tests.factories.other_server import ada, forge, server, source

__all__ = ["ada", "forge", "server", "source"]
