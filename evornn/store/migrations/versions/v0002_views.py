"""The views results, leaderboard and learning_curves. `docs/reference/store.md` describes their columns."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

VIEWS = {
    "results": """
        SELECT e.name AS experiment, r.job_id AS job, r.id AS run, r.task, r.network, r.trainer, r.seed, r.state,
               r.parameters, r.train_loss, r.valid_loss, r.test_loss, r.champion_valid, r.mark, r.network_steps,
               r.evaluations, r.updates, r.seconds, r.stopped_by, r.hits, r.failures, r.error, r.not_finite,
               {created} AS created, {started} AS started, {finished} AS finished
        FROM runs r JOIN jobs j ON j.id = r.job_id JOIN experiments e ON e.id = j.experiment_id""",
    "leaderboard": """
        WITH placed AS (
            SELECT q.*,
                   ROW_NUMBER() OVER (g ORDER BY test_loss NULLS LAST) AS test_place,
                   ROW_NUMBER() OVER (g ORDER BY valid_loss NULLS LAST) AS valid_place,
                   COUNT(test_loss) OVER g AS tests, COUNT(valid_loss) OVER g AS valids
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
                   AVG(network_steps) AS mean_network_steps, AVG(seconds) AS mean_seconds
            FROM placed GROUP BY experiment, job, task, network, trainer)
        SELECT RANK() OVER (PARTITION BY job, task ORDER BY median_valid_loss NULLS LAST) AS place, grouped.*
        FROM grouped""",
    "learning_curves": """
        SELECT e.name AS experiment, r.job_id AS job, r.id AS run, r.task, r.network, r.trainer, r.seed,
               p.mark, p.network_steps, p.evaluations, p.updates, p.best, p.mean, p.median, p.q25, p.q75,
               p.valid, p.champion_valid, p.seconds, p.not_finite
        FROM progress p JOIN runs r ON r.id = p.run_id JOIN jobs j ON j.id = r.job_id
             JOIN experiments e ON e.id = j.experiment_id""",
}
TIME = {"sqlite": "strftime('%Y-%m-%dT%H:%M:%SZ', r.{}, 'unixepoch')", "postgresql": "to_timestamp(r.{})"}


def upgrade() -> None:
    create(VIEWS)


def create(views: dict[str, str]) -> None:
    time = TIME[op.get_bind().dialect.name]
    times = {name: time.format(name) for name in ("created", "started", "finished")}
    for name, query in views.items():
        op.execute(sa.text(f"CREATE VIEW {name} AS {query.format(**times)}"))


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
