"""The sessions: lists, rows, timelines, explanations; now and as of a past instant."""
