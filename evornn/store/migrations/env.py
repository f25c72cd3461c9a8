"""Runs inside the transaction that `evornn.store.upgrades` opened: a migration happens as a whole or not at all."""

from alembic import context

from evornn.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite changes a table by making a new one
)
context.run_migrations()
