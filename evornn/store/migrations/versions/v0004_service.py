"""What a service needs: tokens, heartbeats of dispatchers, a role for queries, and a view for comparing trainers."""

import sqlalchemy as sa
from alembic import op

from evornn.store.migrations.versions import v0002_views as before

revision = "0004"
down_revision = "0003"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COMPARISONS = """
    SELECT a.experiment, a.job, a.task, a.network, a.trainer, b.trainer AS other_trainer,
           a.runs, b.runs AS other_runs, a.succeeded, b.succeeded AS other_succeeded,
           a.median_valid_loss, b.median_valid_loss AS other_median_valid_loss,
           a.median_valid_loss / NULLIF(b.median_valid_loss, 0) AS valid_loss_ratio,
           a.median_test_loss, b.median_test_loss AS other_median_test_loss,
           a.median_test_loss / NULLIF(b.median_test_loss, 0) AS test_loss_ratio,
           a.score, a.median_test_score, b.median_test_score AS other_median_test_score,
           1.0 * a.solved / NULLIF(a.succeeded, 0) AS solved_share,
           1.0 * b.solved / NULLIF(b.succeeded, 0) AS other_solved_share,
           a.mean_network_steps, b.mean_network_steps AS other_mean_network_steps,
           a.mean_seconds, b.mean_seconds AS other_mean_seconds
    FROM leaderboard a JOIN leaderboard b
         ON b.job = a.job AND b.task = a.task AND b.network = a.network AND b.trainer <> a.trainer"""


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("last_used", sa.Double(), nullable=True),
        sa.Column("revoked", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("name", name="uq_tokens_name"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    op.create_table(
        "readers",
        sa.Column("role", sa.String(length=63), nullable=False),
        sa.Column("password", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("role", name="pk_readers"),
    )
    for name in ("slots", "held"):
        op.add_column("workers", sa.Column(name, sa.Integer(), nullable=True))
    op.create_index("ix_runs_job_id_state", "runs", ["job_id", "state", "finished"])
    before.create({"comparisons": COMPARISONS})


def downgrade() -> None:
    op.execute("DROP VIEW comparisons")
    op.drop_index("ix_runs_job_id_state", "runs")
    for name in ("slots", "held"):
        op.drop_column("workers", name)
    op.drop_table("readers")
    op.drop_table("tokens")
