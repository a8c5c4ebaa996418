"""Where `ops-service` starts; `python -m ops_service` is the same.

The processes that `serve --workers` starts import this module, too: they need nothing of the command line.
"""

from portal_hooks.loading import loading


def main() -> None:
    """Run the command."""
    with loading():
        from ops_service.commands import cli

    cli.main()


if __name__ == "__main__":
    main()
