"""The embedded store: MLflow's SQLite database, made from a copy of its empty tables.

MLflow makes its tables by some sixty migrations, which takes seconds. `empty_store.sql` holds what
they lead to for one version of MLflow; a test compares the two. Another version migrates.

    python -m kfp_tabular.components.common.tracking.embedded_store     writes the file anew
"""

import fcntl
import importlib.metadata
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.tracking import mlflow_client
from kfp_tabular.components.common.tracking.address import Address

TABLES = Path(__file__).with_name("empty_store.sql")
_HEAD = "-- MLflow "


def ensure(address: Address) -> None:
    """Make the store where it is missing; several processes may do so at once.

    Raises:
        UserError: The folder or the file cannot be used.
    """
    database = address.database
    if database.is_file():
        return
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with locked(database):
            if not database.is_file():
                _make(database)
    except OSError as error:
        raise UserError(
            f"{database}: the tracking store cannot be written: {error.strerror or error}. Name "
            "another folder in KFP_TABULAR_HOME, or turn tracking off: --tracking-uri none."
        ) from error


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the lock of a store, which is released when the process ends in whatever way."""
    with database.with_suffix(".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def tables(version: str) -> str | None:
    """Return the statements that make the empty tables of a version of MLflow; None if unknown."""
    text = TABLES.read_text(encoding="utf-8")
    head, _, statements = text.partition("\n")
    return statements if head == f"{_HEAD}{version}" else None


def migrated(database: Path) -> None:
    """Make the tables by MLflow's own migrations."""
    mlflow_client.load()
    import sqlalchemy
    from mlflow.store.db import utils

    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    utils._initialize_tables(engine)  # as its own store does
    engine.dispose()


def _make(database: Path) -> None:
    partial = database.with_name(f".{database.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    statements = tables(importlib.metadata.version("mlflow-skinny"))
    if statements is None:
        migrated(partial)
    with closing(sqlite3.connect(partial)) as connection:
        if statements is not None:
            connection.executescript(statements)
        # Readers, such as the UI, do not wait for a writer then.
        connection.execute("PRAGMA journal_mode=WAL")
    partial.rename(database)


def _write_tables() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "empty.db")
        migrated(database)
        with closing(sqlite3.connect(database)) as connection:
            statements = "\n".join(connection.iterdump())
    version = importlib.metadata.version("mlflow-skinny")
    files.write_text(TABLES, f"{_HEAD}{version}\n{statements}\n")


if __name__ == "__main__":
    _write_tables()
