"""The funnel, the sessions and their timelines."""
