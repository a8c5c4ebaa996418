"""The event log and its read models: append, fold, project, rebuild. SQLAlchemy Core; no HTTP."""
