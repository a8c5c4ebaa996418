"""Rejected deliveries: authenticated, refused, kept."""
