"""Tickets: what operators work on."""
