"""`shopfloor backup` and `shopfloor restore`: users, assets and all samples in one file, while everything runs.

A tar file: `manifest.json` (format, version, schema revision), `database.json` (rows by table) and for each stored
asset, and each fifty of its signals, announced or not, `samples/<n>.parquet` and `minutes/<n>.parquet`, what is left of
older samples. It holds no secret of the installation and no login, but password hashes: keep it private. It fits every
variant: what came out of DuckDB and SQLite goes into InfluxDB and PostgreSQL, and the other way round.
"""

from typing import Final

FORMAT: Final = 3
"""1 had no minutes; 1 and 2 had only what was announced, and no types but numbers and texts."""
