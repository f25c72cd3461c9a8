"""Alembic's migrations of the store; `evornn.store.upgrades` runs them."""
