"""Where ``ops-portal-outbox`` starts."""

from portal_hooks.loading import loading


def main() -> int:
    """Run the command."""
    with loading():
        from portal_hooks import outbox_cli

    return outbox_cli.main()
