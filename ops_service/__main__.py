"""`python -m ops_service` is `ops-service`."""

from ops_service.cli import main

main()
