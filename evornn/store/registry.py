"""The registry of models: files under names, with versions that the store counts, and aliases such as `production`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, bindparam, delete, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from evornn.errors import EvornnError
from evornn.models.origin import ModelMetrics, Provenance
from evornn.store import progress
from evornn.store.database import Database
from evornn.store.errors import Conflict, NotFound, retry_transaction
from evornn.store.filters import ModelQuery, keywords_of
from evornn.store.names import ModelReference, check_alias, check_model_name, check_names
from evornn.store.quotas import check_model_quota
from evornn.store.reads import run_of
from evornn.store.records import ModelKey, ModelVersion, NewModel, RunId
from evornn.store.schema import jobs, model_aliases, model_files, model_versions, registered_models, runs
from evornn.store.submissions import ensure_row

MOST_BYTES = 2**25  # of a file
LONGEST_NOTE = 10_000  # characters
ABOUT = ("question", "targets", "horizon", "network", "parameters")  # that file, table and record have in common
# made once: to put a statement together takes longer than to run it
_KEY = (
    select(registered_models.c.name, model_versions.c.version, model_versions.c.digest)
    .select_from(model_versions.join(registered_models))
    .where(registered_models.c.name == bindparam("name"))
    .order_by(model_versions.c.id.desc())
    .limit(1)
)
KEY_OF_NEWEST = _KEY
KEY_OF_VERSION = _KEY.where(model_versions.c.version == bindparam("version"))
KEY_OF_ALIAS = _KEY.where(
    exists().where(model_aliases.c.model_version_id == model_versions.c.id, model_aliases.c.alias == bindparam("alias"))
)


class RegistryMixin(Database):
    """Register, list, alias, delete."""

    @retry_transaction
    def register_model(
        self,
        name: str,
        model: NewModel,
        *,
        run: RunId | None = None,
        note: str = "",
        owner: str = "",
        limited: bool = True,
    ) -> ModelVersion:
        """Keep a file as the next version of a model.

        Args:
            name: The model; a new name belongs to its first owner.
            model: The file, and what it says of itself.
            run: The run of this store that it comes from.
            note: What people should know of it.
            owner: Who registers it.
            limited: Whether the owner may add to its own models only, within its quota; "" has none.

        Returns:
            The version.

        Raises:
            EvornnError: The name has other characters than letters, digits, _ and -; the file is too large, or the
                note too long.
            NotFound: There is no such run.
            Conflict: The name belongs to somebody else.
            QuotaExceeded: The owner stores too much.
        """
        check_model_name(name)
        check_names(owner=owner)
        _check_sizes(model, note)
        values = _values(model) | {"owner": owner, "note": note, "run_number": run, "run_id": run}
        with self.write_transaction() as connection:
            if run is not None:
                run_of(connection, run)
                connection.execute(select(runs.c.id).where(runs.c.id == run).with_for_update(key_share=True))
            if limited and owner:
                check_model_quota(connection, owner, len(model.content))
            number, version = _next_version(connection, name, owner, limited)
            new = insert(model_versions).values(registered_model_id=number, version=version, **values)
            key = connection.execute(new.returning(model_versions.c.id)).scalar_one()
            connection.execute(insert(model_files).values(model_version_id=key, content=model.content))
            return _read(connection, model_versions.c.id == key)[0]

    @keywords_of(ModelQuery)
    def models(self, query: ModelQuery) -> list[ModelVersion]:
        """The versions of registered models that match, newest first."""
        columns = {"name": registered_models.c.name, "owner": model_versions.c.owner}
        chosen = [columns[name] == value for name, value in query.criteria().items()]
        if query.before is not None:
            chosen.append(model_versions.c.id < query.before)
        with self.read_transaction() as connection:
            return _read(connection, *chosen, limit=query.limit)

    def model(self, reference: str) -> ModelVersion:
        """The version that is meant by NAME (its newest one), NAME@ALIAS or NAME:VERSION. Raises NotFound."""
        with self.read_transaction() as connection:
            return _find(connection, reference)

    def find_model(self, reference: str) -> ModelKey:
        """`model` without what it says of itself, for those who ask often. Raises NotFound."""
        meant = ModelReference.parse(reference)
        statement = KEY_OF_VERSION if meant.version is not None else KEY_OF_ALIAS if meant.alias else KEY_OF_NEWEST
        with self.read_transaction() as connection:
            row = connection.execute(statement, vars(meant)).first()
        if row is None:
            raise NotFound(f"no model {meant}: `evornn models ls` lists all")
        return ModelKey(*row)

    def model_file(self, reference: str) -> bytes:
        """The bytes of a version's .safetensors file. Raises NotFound."""
        with self.read_transaction() as connection:
            return _content(connection, _find(connection, reference).id)

    def model_owner(self, name: str) -> str:
        """Who may change a model. Raises NotFound."""
        with self.read_transaction() as connection:
            return str(_name_row(connection, name)["owner"])

    @retry_transaction
    def set_model_alias(self, reference: str, alias: str) -> ModelVersion:
        """Let an alias mean a version from now on, whichever it meant before. Raises NotFound, EvornnError."""
        check_alias(alias)
        with self.write_transaction() as connection:
            found = _find(connection, reference)
            key = {"registered_model_id": _name_row(connection, found.name)["id"], "alias": alias}
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            new = dialect.insert(model_aliases).values(**key, model_version_id=found.id)
            columns = [column.name for column in model_aliases.primary_key]
            connection.execute(new.on_conflict_do_update(index_elements=columns, set_={"model_version_id": found.id}))
            return _read(connection, model_versions.c.id == found.id)[0]

    @retry_transaction
    def delete_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias; the version stays. Raises NotFound."""
        with self.write_transaction() as connection:
            number = _name_row(connection, name)["id"]
            own = model_aliases.c.registered_model_id == number, model_aliases.c.alias == alias
            if not connection.execute(delete(model_aliases).where(*own)).rowcount:
                raise NotFound(f"the model {name} has no alias {alias!r}: `evornn models ls` lists all")

    @retry_transaction
    def delete_model(self, reference: str) -> ModelVersion:
        """Delete a version with its file, for ever; its number isn't given again.

        Args:
            reference: NAME:VERSION.

        Returns:
            The version that was deleted.

        Raises:
            NotFound: There is no such version.
            Conflict: An alias means it, or the reference has no version.
        """
        if ModelReference.parse(reference).version is None:
            raise Conflict(f"{reference}: name the version to delete, as in {ModelReference.parse(reference).name}:1")
        with self.write_transaction() as connection:
            found = _find(connection, reference)
            if found.aliases:
                raise Conflict(
                    f"the alias {found.aliases[0]} means {found.reference}: give it to another version first, or "
                    f"remove it, `evornn models alias {found.name} {found.aliases[0]} --remove`"
                )
            connection.execute(delete(model_versions).where(model_versions.c.id == found.id))
            return found


def _next_version(connection: Connection, name: str, owner: str, limited: bool) -> tuple[int, int]:
    """Key of a name, which is made if it is new, and the number of its next version. Raises Conflict."""
    ensure_row(connection, registered_models, {"name": name, "owner": owner})
    counted = update(registered_models).where(registered_models.c.name == name)
    counted = counted.values(versions=registered_models.c.versions + 1)
    table = registered_models.c
    row = connection.execute(counted.returning(table.id, table.versions, table.owner)).one()
    if limited and owner and row.owner != owner:
        raise Conflict(f"the model {name} belongs to another user: choose another name, or ask its owner or an admin")
    return row.id, row.versions


def _find(connection: Connection, reference: str) -> ModelVersion:
    """The version that is meant. Raises NotFound."""
    meant = ModelReference.parse(reference)
    chosen = [registered_models.c.name == meant.name]
    if meant.version is not None:
        chosen.append(model_versions.c.version == meant.version)
    if meant.alias is not None:
        own = model_aliases.c.model_version_id == model_versions.c.id
        chosen.append(exists().where(own, model_aliases.c.alias == meant.alias))
    found = _read(connection, *chosen, limit=1)
    if not found:
        raise NotFound(f"no model {meant}: `evornn models ls` lists all")
    return found[0]


def _name_row(connection: Connection, name: str) -> RowMapping:
    chosen = connection.execute(select(registered_models).where(registered_models.c.name == name)).mappings()
    row = chosen.one_or_none()
    if row is None:
        raise NotFound(f"no model {name}: `evornn models ls` lists all")
    return row


def _content(connection: Connection, key: int) -> bytes:
    chosen = select(model_files.c.content).where(model_files.c.model_version_id == key)
    return bytes(connection.execute(chosen).scalar_one())


def _read(connection: Connection, *which: Any, limit: int | None = None) -> list[ModelVersion]:
    """Versions with their aliases, newest first."""
    rows = connection.execute(_select().where(*which).limit(limit)).mappings().all()
    aliases: dict[int, list[str]] = {}
    for part in progress.chunks([row["id"] for row in rows]):
        named = select(model_aliases.c.model_version_id, model_aliases.c.alias).order_by(model_aliases.c.alias)
        for key, alias in connection.execute(named.where(model_aliases.c.model_version_id.in_(part))):
            aliases.setdefault(key, []).append(alias)
    return [_version(row, aliases.get(row["id"], ())) for row in rows]


def _select() -> Select[Any]:
    seen = and_(runs.c.job_id == jobs.c.id, jobs.c.phase == "complete")
    has_run = exists().where(runs.c.id == model_versions.c.run_id, seen)
    columns = registered_models.c.name, has_run.label("has_run")
    joined = model_versions.join(registered_models)
    return select(model_versions, *columns).select_from(joined).order_by(model_versions.c.id.desc())


def _version(row: RowMapping, aliases: Sequence[str]) -> ModelVersion:
    same = ("id", "name", "version", "digest", "bytes", "owner", "note", "created", *ABOUT)
    values = {name: row[name] for name in same}
    metrics = row["metrics"] | {"naive_errors": tuple(row["metrics"]["naive_errors"])}
    return ModelVersion(
        **values | {"targets": tuple(row["targets"]), "aliases": tuple(aliases)},
        run=row["run_number"],
        run_deleted=row["run_number"] is not None and not row["has_run"],
        metrics=ModelMetrics(**metrics),
        provenance=Provenance(**row["provenance"]),
    )


def _values(model: NewModel) -> dict[str, Any]:
    """The columns that the file fills."""
    losses = ("valid_loss", "test_loss", "test_score")
    numbers = {name: getattr(model.metrics, name) for name in losses}
    return {
        **{name: getattr(model, name) for name in ABOUT},
        **{name: value if value is not None and math.isfinite(value) else None for name, value in numbers.items()},
        "score": model.metrics.score,
        "metrics": asdict(model.metrics),
        "provenance": asdict(model.provenance),
        "data_digest": model.provenance.data_digest,
        "digest": sha256(model.content).hexdigest(),
        "bytes": len(model.content),
    }


def _check_sizes(model: NewModel, note: str) -> None:
    if len(model.content) > MOST_BYTES:
        raise EvornnError(
            f"the model has {len(model.content):,} bytes, and the registry takes {MOST_BYTES:,} at most: keep the "
            "file itself, `evornn model RUN FILE.safetensors`"
        )
    if len(note) > LONGEST_NOTE:
        raise EvornnError(f"the note has {len(note):,} characters, and may have {LONGEST_NOTE:,}: shorten it")
