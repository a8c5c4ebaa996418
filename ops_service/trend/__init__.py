"""Conversion by day."""
