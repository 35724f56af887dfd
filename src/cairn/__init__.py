"""Cairn: a self-hosted Git forge. Start reading at ARCHITECTURE.md."""

__version__ = "0.1.0"
