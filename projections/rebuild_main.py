"""Where `ops-rebuild-projections` starts.

The processes that help a rebuild begin by importing their parent's main module. This one costs them nothing;
the command line's libraries would cost as much as their own.
"""


def main() -> None:
    """Run the command."""
    from projections import rebuild_cli

    rebuild_cli.main()
