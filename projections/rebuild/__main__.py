"""Where `ops-rebuild-projections` starts.

The processes that help a rebuild begin by importing their parent's main module. This one costs them nothing;
the command line's libraries would cost as much as their own, which are loaded while the command loads these.
"""

from portal_hooks.loading import loading


def main() -> None:
    """Run the command."""
    with loading():
        from projections.rebuild import scan_processes

        if scan_processes.number() > 1:
            scan_processes.start_server()
        from projections.rebuild import cli

    cli.main()


if __name__ == "__main__":
    main()
