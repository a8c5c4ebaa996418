"""A runnable stand-in for the onboarding portal: its three endpoints, with every hook in its place."""

from portal_hooks.reference_portal.app import create_app

__all__ = ["create_app"]
