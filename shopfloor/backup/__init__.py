"""`shopfloor backup` and `shopfloor restore`: all that a plant knows in one file, while everything runs.

A tar file: `manifest.json` (format, version, schema revision), `database.json` (rows by table), for each stored asset,
and each fifty of its signals, announced or not, `samples/<n>.parquet` and `minutes/<n>.parquet`, what is left of older
samples, and at last `checksums.json` (SHA-256 by member). It holds no secret of the installation, no token, link or
login, but password hashes: keep it private. It fits every variant: what came out of DuckDB and SQLite goes into
InfluxDB and PostgreSQL, and the other way round.
"""

from typing import Final

FORMAT: Final = 4
"""1 had no minutes; 1 and 2 had only what was announced, and no types but numbers and texts.

1 to 3 had tokens, which are not restored, but no ledger and no checksums.
"""
CHECKED: Final = 4
"""The first format with checksums."""
CLOUD: Final = (
    "this command opens the cloud's databases and needs",
    "pip install 'shopfloor[cloud]'; of containers use `tools`",
)
"""What all of this needs, and how to get it."""
