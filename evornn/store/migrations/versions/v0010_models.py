"""A registry of models: names, versions, files and aliases."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = {"sqlite": "strftime('%Y-%m-%dT%H:%M:%SZ', v.created, 'unixepoch')", "postgresql": "to_timestamp(v.created)"}
ALIASES = {"sqlite": "group_concat(a.alias, ' ')", "postgresql": "string_agg(a.alias, ' ')"}
VIEW = """
    SELECT m.name, v.version,
           (SELECT {aliases} FROM model_aliases a WHERE a.model_version_id = v.id) AS aliases,
           v.run_number AS run, v.run_number IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM runs r JOIN jobs j ON j.id = r.job_id AND j.phase = 'complete' WHERE r.id = v.run_id
           ) AS run_deleted,
           v.question, v.targets, v.horizon, v.network, v.parameters, v.valid_loss, v.test_loss, v.score, v.test_score,
           v.metrics, v.provenance, v.data_digest, v.owner, v.note, v.digest, v.bytes, {created} AS created
    FROM model_versions v JOIN registered_models m ON m.id = v.registered_model_id"""


def upgrade() -> None:
    op.create_table(
        "registered_models",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registered_models"),
        sa.UniqueConstraint("name", name="uq_registered_models_name"),
    )
    op.create_table(
        "model_versions",
        sa.Column("id", ID, nullable=False),
        sa.Column("registered_model_id", ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("run_number", ID, nullable=True),
        sa.Column("question", sa.String(length=20), nullable=True),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("horizon", sa.Integer(), nullable=True),
        sa.Column("network", sa.String(length=200), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=True) for name in ("valid_loss", "test_loss", "test_score")),
        sa.Column("score", sa.String(length=200), nullable=True),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("data_digest", sa.String(length=64), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        _belongs("model_versions", "registered_model", "CASCADE"),
        _belongs("model_versions", "run", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_model_versions"),
        sa.UniqueConstraint("registered_model_id", "version", name="uq_model_versions_registered_model_id_version"),
    )
    op.create_index("ix_model_versions_run_id", "model_versions", ["run_id"])
    op.create_index("ix_model_versions_owner", "model_versions", ["owner"])
    op.create_table(
        "model_files",
        sa.Column("model_version_id", ID, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _belongs("model_files", "model_version", "CASCADE"),
        sa.PrimaryKeyConstraint("model_version_id", name="pk_model_files"),
    )
    op.create_table(
        "model_aliases",
        sa.Column("registered_model_id", ID, nullable=False),
        sa.Column("alias", sa.String(length=100), nullable=False),
        sa.Column("model_version_id", ID, nullable=False),
        _belongs("model_aliases", "registered_model", "CASCADE"),
        _belongs("model_aliases", "model_version", "CASCADE"),
        sa.PrimaryKeyConstraint("registered_model_id", "alias", name="pk_model_aliases"),
    )
    op.create_index("ix_model_aliases_model_version_id", "model_aliases", ["model_version_id"])
    kind = op.get_bind().dialect.name
    op.execute(sa.text(f"CREATE VIEW models AS {VIEW.format(aliases=ALIASES[kind], created=TIME[kind])}"))


def _belongs(table: str, owner: str, on_delete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([f"{owner}_id"], [f"{owner}s.id"], name=f"fk_{table}_{owner}_id", ondelete=on_delete)


def downgrade() -> None:
    op.execute("DROP VIEW models")
    for table in ("model_aliases", "model_files", "model_versions", "registered_models"):
        op.drop_table(table)
