"""Every run knows its data: digests of the data, and of code of the user's own, that it was submitted with."""

import sqlalchemy as sa
from alembic import op

from evornn.store.migrations.versions import v0002_views as views
from evornn.store.migrations.versions import v0003_scores as scores
from evornn.store.migrations.versions import v0004_service as service

revision = "0006"
down_revision = "0005"

COLUMNS = ("data_digest", "code_digest")
BEFORE = {
    "results": scores.VIEWS["results"],
    "leaderboard": service.LEADERBOARD,
    "comparisons": service.COMPARISONS,
    "learning_curves": scores.VIEWS["learning_curves"],
}
VIEWS = BEFORE | {"results": BEFORE["results"].replace("r.parameters,", "r.parameters, r.data_digest, r.code_digest,")}


def upgrade() -> None:
    _drop_views()  # a table can't be changed below its views
    for name in COLUMNS:
        op.add_column("runs", sa.Column(name, sa.String(length=64), nullable=True))
    views.create(VIEWS)


def downgrade() -> None:
    _drop_views()
    for name in COLUMNS:
        op.drop_column("runs", name)
    views.create(BEFORE)


def _drop_views() -> None:
    for name in reversed(BEFORE):
        op.execute(f"DROP VIEW {name}")
