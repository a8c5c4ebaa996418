"""``python -m portal_hooks.reference_portal``: run the reference portal."""

import argparse
import logging
import os
import sys

import uvicorn

from portal_hooks import ConfigurationError, OnboardHooks
from portal_hooks.reference_portal.app import create_app


def main() -> int:
    """Run until interrupted; 2 when a setting is missing or wrong."""
    parser = argparse.ArgumentParser(prog="python -m portal_hooks.reference_portal", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    arguments = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        hooks = OnboardHooks.from_env()
    except ConfigurationError as error:
        print(f"portal: {error}", file=sys.stderr)
        return 2
    app = create_app(hooks, desk_url=os.environ.get("OPS_DESK_URL") or None)
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main())
