"""The `ops-service` command line."""
