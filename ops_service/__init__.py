"""The Ops service: HTTP in front of the event log and its read models. A folder per noun."""
