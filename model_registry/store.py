"""Registered model versions in MLflow, with aliases: the only file of the registry that imports mlflow.

A registered version is a plain artifact folder `weights/<artifact name>/<file>`; the alias `champion` names
the version that jobs run, `challenger` the one under trial.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_registry.artifacts import sha256_of
from model_registry.catalog import model_class
from model_registry.errors import NightjarError, UsageError
from model_registry.home import home
from model_registry.reading import one_line

ALIASES = ("champion", "challenger")
EXPERIMENT = "nightjar-models"
SHA256_TAG = "sha256/"  # and the artifact's name
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of one model, its files fetched."""

    version: str  # "mlflow-3": version 3 of the registered model
    weights: tuple[tuple[str, str], ...]  # (artifact name, local path)


def default_uri() -> str:
    """A SQLite file under Nightjar's home."""
    return f"sqlite:///{home() / 'mlflow.db'}"


def tracking_uri() -> str:
    """`$MLFLOW_TRACKING_URI`, else the default. (mlflow itself sets that variable once it is connected.)"""
    return os.environ.get("MLFLOW_TRACKING_URI") or default_uri()


def artifact_root() -> str | None:
    """Where a store without a server puts its files (mlflow would take the working folder); a server decides itself."""
    return None if tracking_uri().startswith(("http://", "https://")) else (home() / "mlartifacts").as_uri()


def experiment_id(client: Any, name: str) -> str:
    """Return the experiment's id, made on first use."""
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, artifact_location=artifact_root()))


def connect() -> Any:
    """Return an MLflow client of the configured store; the SQLite file is made on first use."""
    mlflow = _mlflow()
    with _using_store():
        home().mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(tracking_uri())
        return mlflow.MlflowClient(tracking_uri())


def _mlflow() -> Any:
    """Import mlflow; it reads these variables while it is imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return mlflow


@contextmanager
def _using_store() -> Iterator[None]:
    """Raise NightjarError in one sentence where the store cannot be reached, or refuses."""
    _mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        sentence = f"the model registry {tracking_uri()} cannot be used: {one_line(error)}"
        raise NightjarError(re.sub(r"//[^/@\s]*@", "//***@", sentence)) from error  # passwords are not for a terminal


def is_empty() -> bool:
    """Tell without importing mlflow, which takes seconds, that nothing is registered on this machine."""
    path = home() / "mlflow.db"
    if tracking_uri() != default_uri():
        return False
    return not path.exists() or _has_no_models(path)


def _has_no_models(path: Path) -> bool:
    """Look into MLflow's own table; where that is not as it was in its version 3, only mlflow can tell."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute("SELECT 1 FROM registered_models LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return False


def register(name: str, files: Mapping[str, Path], alias: str | None = None) -> str:
    """Upload the files (artifact name -> file or folder) as a new version of model `name`; return its number."""
    _check_files(name, files)
    if alias:
        check_alias(alias)
    with _using_store():
        client = connect()
        run = client.create_run(experiment_id(client, EXPERIMENT), run_name=f"register {name}")
        for row, path in files.items():
            upload = client.log_artifacts if path.is_dir() else client.log_artifact
            upload(run.info.run_id, str(path), f"weights/{row}")
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        source = f"{run.info.artifact_uri}/weights"
        tags = {SHA256_TAG + row: digest(only_file(path)) for row, path in files.items()}
        version = str(client.create_model_version(name, source, run.info.run_id, tags=tags).version)
        client.set_terminated(run.info.run_id)
    if alias:
        promote(name, version, alias)
    return version


def _check_files(name: str, files: Mapping[str, Path]) -> None:
    wanted = model_class(name).spec.artifacts
    if set(files) != set(wanted):
        found = ", ".join(sorted(files)) or "none"
        raise UsageError(f"model {name} loads the artifacts {', '.join(wanted)}; given: {found}")
    if absent := [str(path) for path in files.values() if not path.is_file() and not any(path.glob("*"))]:
        raise UsageError(f"there is no file and no folder of files at {', '.join(absent)}")


def check_alias(alias: str) -> None:
    """Raise UsageError for an alias that no version can have."""
    if alias not in ALIASES:
        raise UsageError(f"alias {alias!r} is not known; allowed: {', '.join(ALIASES)}")


def promote(name: str, version: str, alias: str = "champion") -> None:
    """Point `alias` at a version."""
    check_alias(alias)
    if version not in (found := registered_versions(name)):
        raise UsageError(f"model {name} has no registered version {version}; found: {', '.join(found) or 'none'}")
    with _using_store():
        connect().set_registered_model_alias(name, alias, version)


def demote(name: str, alias: str) -> None:
    """Take an alias away, so that jobs run the version built in; without the alias nothing happens."""
    check_alias(alias)
    if any(alias in aliases for aliases in registered_versions(name).values()):
        with _using_store():
            connect().delete_registered_model_alias(name, alias)


def registered_versions(name: str) -> dict[str, tuple[str, ...]]:
    """Return every version's number with the aliases that name it, newest first."""
    model_class(name)
    if is_empty():
        return {}
    with _using_store():
        client = connect()
        models = client.search_registered_models(f"name = '{name}'")
        aliases = dict(models[0].aliases) if models else {}
        versions = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda v: -int(v.version))
    return {
        str(v.version): tuple(alias for alias, number in aliases.items() if str(number) == str(v.version))
        for v in versions
    }


def resolve(name: str, alias: str) -> RegisteredVersion | None:
    """Return the version that `alias` names with its files on this machine, or None if it names none."""
    check_alias(alias)
    for version, aliases in registered_versions(name).items():
        if alias in aliases:
            with _using_store():
                return RegisteredVersion(f"mlflow-{version}", _local(connect(), name, version))
    return None


def fetched(name: str, version: str) -> RegisteredVersion:
    """Return a version by its name in verdicts ("mlflow-3"), whatever alias it has, with its files on this machine."""
    with _using_store():
        return RegisteredVersion(version, _local(connect(), name, version.removeprefix("mlflow-")))


def _local(client: Any, name: str, version: str) -> tuple[tuple[str, str], ...]:
    """Fetch a version's folder once a machine; a copy damaged since then is fetched again."""
    found = client.get_model_version(name, version)
    wanted = {tag.removeprefix(SHA256_TAG): value for tag, value in found.tags.items() if tag.startswith(SHA256_TAG)}
    folder = home() / "registered" / name / f"{version}-{found.run_id}"
    if folder.exists() and (damage := _damage(folder, wanted)):
        log.warning("%s; it is fetched again", damage)
        shutil.rmtree(folder)
    if not folder.exists():
        _download(client.get_model_version_download_uri(name, version), folder, wanted)
    return tuple((row, str(only_file(folder / row))) for row in sorted(wanted))


def _download(source: str, folder: Path, wanted: Mapping[str, str]) -> None:
    """Bring a folder; it appears under its name only when whole and verified."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        local = Path(_mlflow().artifacts.download_artifacts(artifact_uri=source, dst_path=scratch))
        if damage := _damage(local, wanted):
            raise NightjarError(f"{source} is not what was registered: {damage}")
        try:
            local.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise


def _damage(folder: Path, wanted: Mapping[str, str]) -> str | None:
    """Say what is wrong with the first row whose content is not what was registered, or None."""
    for row, sha256 in wanted.items():
        path = folder / row
        if not path.exists():
            return f"{path} is missing"
        if (found := digest(only_file(path))) != sha256:
            return f"{path} has sha256 {found}, it was registered with {sha256}"
    return None


def only_file(path: Path) -> Path:
    """Return the file itself, the file of a folder that holds just one, or the folder."""
    files = list(path.iterdir()) if path.is_dir() else [path]
    return files[0] if len(files) == 1 else path


def digest(path: Path) -> str:
    """Hash a file, or a folder as the hash of its files' names and hashes."""
    if path.is_file():
        return sha256_of(path)
    lines = [f"{file.relative_to(path)} {sha256_of(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def start_run(experiment: str, name: str, tags: Mapping[str, str]) -> str:
    """Begin a run that steps are logged to, and return its id."""
    with _using_store():
        client = connect()
        return str(client.create_run(experiment_id(client, experiment), run_name=name, tags=dict(tags)).info.run_id)


def log_step(run_id: str, step: int, metrics: Mapping[str, float], files: Mapping[str, str]) -> None:
    """Add a value to each metric of a run, and put files in place of those of the step before."""
    with _using_store():
        from mlflow.entities import Metric

        client, now = connect(), time.time_ns() // 1_000_000
        client.log_batch(run_id, metrics=[Metric(name, float(value), now, step) for name, value in metrics.items()])
        for name, text in files.items():
            client.log_text(run_id, text, name)


def end_run(run_id: str) -> None:
    """Say that no more comes."""
    with _using_store():
        connect().set_terminated(run_id)
