"""The arrays of large checkpoints are in portions."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("checkpoints", sa.Column("edition", sa.Integer(), nullable=True))
    op.create_table(
        "checkpoint_portions",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("edition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_checkpoint_portions_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "edition", "position", name="pk_checkpoint_portions"),
    )


def downgrade() -> None:
    _join_portions(op.get_bind())
    op.drop_table("checkpoint_portions")
    op.drop_column("checkpoints", "edition")


def _join_portions(connection: sa.Connection) -> None:
    """Into the row of the checkpoint, as before."""
    whole = connection.execute(sa.text("SELECT run_id, edition FROM checkpoints WHERE edition IS NOT NULL")).all()
    select = "SELECT content FROM checkpoint_portions WHERE run_id = :run AND edition = :edition ORDER BY position"
    for run, edition in whole:
        arrays = b"".join(connection.scalars(sa.text(select), {"run": run, "edition": edition}))
        statement = sa.text("UPDATE checkpoints SET arrays = :arrays WHERE run_id = :run")
        connection.execute(statement, {"arrays": arrays, "run": run})
