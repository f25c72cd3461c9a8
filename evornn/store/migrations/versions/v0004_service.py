"""What a service needs: tokens, heartbeats of dispatchers, a role for queries, a view for comparing trainers, and a
leaderboard that reads only the job it is asked for."""

import sqlalchemy as sa
from alembic import op

from evornn.store.migrations.versions import v0002_views as views
from evornn.store.migrations.versions import v0003_scores as before

revision = "0004"
down_revision = "0003"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# The same as before without GROUP BY, through which SQLite takes no condition into the window functions below.
LEADERBOARD = """
    WITH placed AS (
        SELECT q.*,
               ROW_NUMBER() OVER (g ORDER BY test_loss NULLS LAST) AS test_place,
               ROW_NUMBER() OVER (g ORDER BY valid_loss NULLS LAST) AS valid_place,
               ROW_NUMBER() OVER (g ORDER BY test_score NULLS LAST) AS score_place,
               COUNT(test_loss) OVER g AS tests, COUNT(valid_loss) OVER g AS valids,
               COUNT(test_score) OVER g AS scores
        FROM results q WINDOW g AS (PARTITION BY job, task, network, trainer)),
    grouped AS (
        SELECT experiment, job, task, network, trainer, ROW_NUMBER() OVER g AS number,
               MAX(parameters) OVER g AS parameters, COUNT(*) OVER g AS runs,
               SUM(CASE WHEN state = 'succeeded' THEN 1 ELSE 0 END) OVER g AS succeeded,
               SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) OVER g AS failed,
               MIN(valid_loss) OVER g AS best_valid_loss,
               AVG(CASE WHEN valid_place IN ((valids + 1) / 2, (valids + 2) / 2) THEN valid_loss END) OVER g
                   AS median_valid_loss,
               AVG(CASE WHEN test_place IN ((tests + 1) / 2, (tests + 2) / 2) THEN test_loss END) OVER g
                   AS median_test_loss,
               MAX(score) OVER g AS score,
               AVG(CASE WHEN score_place IN ((scores + 1) / 2, (scores + 2) / 2) THEN test_score END) OVER g
                   AS median_test_score,
               SUM(CASE WHEN solved THEN 1 WHEN NOT solved THEN 0 END) OVER g AS solved,
               AVG(network_steps) OVER g AS mean_network_steps, AVG(seconds) OVER g AS mean_seconds
        FROM placed WINDOW g AS (PARTITION BY job, task, network, trainer))
    SELECT RANK() OVER (PARTITION BY job, task ORDER BY median_valid_loss NULLS LAST) AS place, experiment, job, task,
           network, trainer, parameters, runs, succeeded, failed, best_valid_loss, median_valid_loss,
           median_test_loss, score, median_test_score, solved, mean_network_steps, mean_seconds
    FROM grouped WHERE number = 1"""
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
    op.execute("DROP VIEW leaderboard")
    views.create({"leaderboard": LEADERBOARD, "comparisons": COMPARISONS})


def downgrade() -> None:
    for view in ("comparisons", "leaderboard"):
        op.execute(f"DROP VIEW {view}")
    views.create({"leaderboard": before.VIEWS["leaderboard"]})
    op.drop_index("ix_runs_job_id_state", "runs")
    for name in ("slots", "held"):
        op.drop_column("workers", name)
    op.drop_table("readers")
    op.drop_table("tokens")
