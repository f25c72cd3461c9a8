"""Alembic's migrations of the store; `evornn.store.upgrading` runs them."""
