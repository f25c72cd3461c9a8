"""Errors of forecasts in original units, and what judges runs after their data are gone."""

import sqlalchemy as sa
from alembic import op

from evornn.store.migrations.versions import v0002_views as views
from evornn.store.migrations.versions import v0006_identity as identity

revision = "0007"
down_revision = "0006"

ERRORS = ("rmse", "mae", "mase", "r2")
BEFORE = identity.VIEWS
VIEWS = BEFORE | {
    "results": BEFORE["results"].replace("r.solved,", "r.solved, r.rmse, r.mae, r.mase, r.r2, r.forecast_errors,")
}


def upgrade() -> None:
    _drop_views()  # a table can't be changed below its views
    for name in ERRORS:
        op.add_column("runs", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("runs", sa.Column("forecast_errors", sa.Text(), nullable=True))
    op.create_table(
        "evaluation_data",
        sa.Column("digest", sa.String(length=64), primary_key=True),
        sa.Column("plain", sa.Text(), nullable=False),
        sa.Column("arrays", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
    )
    views.create(VIEWS)


def downgrade() -> None:
    _drop_views()
    op.drop_table("evaluation_data")
    for name in (*ERRORS, "forecast_errors"):
        op.drop_column("runs", name)
    views.create(BEFORE)


def _drop_views() -> None:
    for name in reversed(BEFORE):
        op.execute(f"DROP VIEW {name}")
