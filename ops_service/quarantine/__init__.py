"""Quarantined events: the list and the retry."""
