"""``cairn``: the developer's command. Each noun is a file of its own that adds itself here; today there is none."""

from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(
    name="cairn",
    help="Work with a Cairn server from your own checkout.",
    no_args_is_help=True,
    add_completion=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cairn {version('cairn-forge')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def cairn(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Work with a Cairn server from your own checkout."""


def main() -> None:
    """Run the command line that ``sys.argv`` holds."""
    app()
