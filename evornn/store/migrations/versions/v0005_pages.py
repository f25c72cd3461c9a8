"""Pages of a filter are found by an index, in the order of runs' numbers; dispatchers say which machines they have."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

FILTERS = ("state", "task", "network", "trainer")


def upgrade() -> None:
    for name in FILTERS:
        op.create_index(f"ix_runs_{name}_id", "runs", [name, "id"])
    op.add_column("workers", sa.Column("machines", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "machines")
    for name in FILTERS:
        op.drop_index(f"ix_runs_{name}_id", "runs")
