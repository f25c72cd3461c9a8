"""Owners share the slots and have quotas; large jobs come and go in portions; events name actors; tokens expire."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from evornn.store.migrations.versions import v0002_views as views
from evornn.store.migrations.versions import v0007_forecasts as forecasts

revision = "0008"
down_revision = "0007"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BEFORE = forecasts.VIEWS
COMPLETE = "JOIN jobs j ON j.id = r.job_id AND j.phase = 'complete'"  # what is being queued or deleted isn't seen
VIEWS = BEFORE | {
    name: BEFORE[name].replace("JOIN jobs j ON j.id = r.job_id", COMPLETE) for name in ("results", "learning_curves")
}
LIMITS = ("queued", "running", "priority", "upload_bytes", "stored_bytes")
NEEDS_GPU = {
    "sqlite": "coalesce(json_extract(fragments, '$.resources.gpus'), 0) > 0",
    "postgresql": "coalesce(CAST(CAST(fragments AS JSON) #>> '{resources,gpus}' AS DOUBLE PRECISION), 0) > 0",
}


def upgrade() -> None:
    _drop_views()  # a table can't be changed below its views
    op.add_column("jobs", sa.Column("phase", sa.String(length=10), nullable=False, server_default="complete"))
    op.add_column("jobs", sa.Column("phase_until", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    unseen = sa.text("phase <> 'complete'")
    op.create_index("ix_jobs_phase", "jobs", ["phase"], sqlite_where=unseen, postgresql_where=unseen)
    op.add_column("runs", sa.Column("owner", sa.String(length=200), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("batch", ID, nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("gpu", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE runs SET owner = (SELECT owner FROM jobs WHERE jobs.id = runs.job_id), "
        f"gpu = {NEEDS_GPU[op.get_bind().dialect.name]}"
    )
    op.drop_index("ix_runs_claim", "runs")
    order: list[Any] = ["state", "gpu", sa.text("priority DESC"), "owner", "batch", "id"]
    op.create_index("ix_runs_claim", "runs", order)
    op.add_column("jobs", sa.Column("archived", sa.Double(), nullable=True))
    archived = sa.text("archived IS NOT NULL")
    op.create_index("ix_jobs_archived", "jobs", ["archived"], sqlite_where=archived, postgresql_where=archived)
    op.add_column("tokens", sa.Column("expires", sa.Double(), nullable=True))
    op.add_column("events", sa.Column("actor", sa.String(length=200), nullable=False, server_default=""))
    op.create_table(
        "quotas",
        sa.Column("owner", sa.String(length=200), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in LIMITS),
        sa.PrimaryKeyConstraint("owner", name="pk_quotas"),
    )
    op.create_table(
        "uploads",
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name="pk_uploads"),
    )
    views.create(VIEWS)


def downgrade() -> None:
    _drop_views()
    for table in ("uploads", "quotas"):
        op.drop_table(table)
    op.drop_column("events", "actor")
    op.drop_column("tokens", "expires")
    op.drop_index("ix_jobs_archived", "jobs")
    op.drop_column("jobs", "archived")
    op.drop_index("ix_runs_claim", "runs")
    op.create_index("ix_runs_claim", "runs", ["state", sa.text("priority DESC"), "id"])
    for name in ("gpu", "batch", "owner"):
        op.drop_column("runs", name)
    op.drop_index("ix_jobs_phase", "jobs")
    for name in ("size", "phase_until", "phase"):
        op.drop_column("jobs", name)
    views.create(BEFORE)


def _drop_views() -> None:
    for name in reversed(BEFORE):
        op.execute(f"DROP VIEW {name}")
