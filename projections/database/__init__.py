"""The database: engines, tables, migrations, and the one place that begins and commits."""
