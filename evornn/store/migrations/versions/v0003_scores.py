"""How a run is judged in its task's own terms: score, test_score, solved; and how many runs solved the task."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

from evornn.store.migrations.versions import v0002_views as before

revision = "0003"
down_revision = "0002"

COLUMNS: dict[str, TypeEngine[Any]] = {
    "score": sa.String(length=200),
    "test_score": sa.Double(),
    "solved": sa.Boolean(),
}
VIEWS = {
    "results": """
        SELECT e.name AS experiment, r.job_id AS job, r.id AS run, r.task, r.network, r.trainer, r.seed, r.state,
               r.parameters, r.train_loss, r.valid_loss, r.test_loss, r.score, r.test_score, r.solved,
               r.champion_valid, r.mark, r.network_steps, r.evaluations, r.updates, r.seconds, r.stopped_by, r.hits,
               r.failures, r.error, r.not_finite,
               {created} AS created, {started} AS started, {finished} AS finished
        FROM runs r JOIN jobs j ON j.id = r.job_id JOIN experiments e ON e.id = j.experiment_id""",
    "leaderboard": """
        WITH placed AS (
            SELECT q.*,
                   ROW_NUMBER() OVER (g ORDER BY test_loss NULLS LAST) AS test_place,
                   ROW_NUMBER() OVER (g ORDER BY valid_loss NULLS LAST) AS valid_place,
                   ROW_NUMBER() OVER (g ORDER BY test_score NULLS LAST) AS score_place,
                   COUNT(test_loss) OVER g AS tests, COUNT(valid_loss) OVER g AS valids,
                   COUNT(test_score) OVER g AS scores
            FROM results q WINDOW g AS (PARTITION BY job, task, network, trainer)),
        grouped AS (
            SELECT experiment, job, task, network, trainer, MAX(parameters) AS parameters, COUNT(*) AS runs,
                   SUM(CASE WHEN state = 'succeeded' THEN 1 ELSE 0 END) AS succeeded,
                   SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS failed,
                   MIN(valid_loss) AS best_valid_loss,
                   AVG(CASE WHEN valid_place IN ((valids + 1) / 2, (valids + 2) / 2) THEN valid_loss END)
                       AS median_valid_loss,
                   AVG(CASE WHEN test_place IN ((tests + 1) / 2, (tests + 2) / 2) THEN test_loss END)
                       AS median_test_loss,
                   MAX(score) AS score,
                   AVG(CASE WHEN score_place IN ((scores + 1) / 2, (scores + 2) / 2) THEN test_score END)
                       AS median_test_score,
                   SUM(CASE WHEN solved THEN 1 WHEN NOT solved THEN 0 END) AS solved,
                   AVG(network_steps) AS mean_network_steps, AVG(seconds) AS mean_seconds
            FROM placed GROUP BY experiment, job, task, network, trainer)
        SELECT RANK() OVER (PARTITION BY job, task ORDER BY median_valid_loss NULLS LAST) AS place, grouped.*
        FROM grouped""",
    "learning_curves": before.VIEWS["learning_curves"],
}


def upgrade() -> None:
    before.downgrade()  # a table can't be changed below its views
    for name, kind in COLUMNS.items():
        op.add_column("runs", sa.Column(name, kind, nullable=True))
    before.create(VIEWS)


def downgrade() -> None:
    before.downgrade()
    for name in COLUMNS:
        op.drop_column("runs", name)
    before.upgrade()
