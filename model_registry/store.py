"""Registered model versions in MLflow, with aliases: the only file of the registry that imports mlflow.

A registered version is a plain artifact folder `weights/<artifact name>/<file>`; the alias `champion` names
the version that jobs run, `challenger` the one under trial.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_registry.artifacts import sha256_of
from model_registry.errors import NightjarError, UsageError
from model_registry.home import home

ALIASES = ("champion", "challenger")
EXPERIMENT = "nightjar-models"


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
    """Where the default store puts its files; a server decides for itself."""
    return (home() / "mlartifacts").as_uri() if tracking_uri() == default_uri() else None


def experiment_id(client: Any, name: str) -> str:
    """Return the experiment's id, made on first use."""
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, artifact_location=artifact_root()))


def connect() -> Any:
    """Return an MLflow client of the configured store; the SQLite file is made on first use."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    home().mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(tracking_uri())
    return mlflow.MlflowClient(tracking_uri())


def is_empty() -> bool:
    """Tell without importing mlflow that nothing was ever registered on this machine."""
    return tracking_uri() == default_uri() and not (home() / "mlflow.db").exists()


def register(name: str, files: Mapping[str, Path], alias: str | None = None) -> str:
    """Upload the files (artifact name -> file or folder) as a new version of model `name`; return its number."""
    from mlflow.exceptions import MlflowException

    client = connect()
    run = client.create_run(experiment_id(client, EXPERIMENT), run_name=f"register {name}")
    try:
        for row, path in files.items():
            log = client.log_artifacts if path.is_dir() else client.log_artifact
            log(run.info.run_id, str(path), f"weights/{row}")
        _ensure_model(client, name)
        source = f"{run.info.artifact_uri}/weights"
        tags = {f"sha256/{row}": digest(only_file(path)) for row, path in files.items()}
        version = str(client.create_model_version(name, source, run.info.run_id, tags=tags).version)
        client.set_terminated(run.info.run_id)
    except (MlflowException, OSError) as error:
        raise NightjarError(f"model {name} could not be registered in {tracking_uri()}: {error}") from error
    if alias:
        promote(name, version, alias)
    return version


def _ensure_model(client: Any, name: str) -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)


def promote(name: str, version: str, alias: str = "champion") -> None:
    """Point `alias` at a version."""
    from mlflow.exceptions import MlflowException

    if alias not in ALIASES:
        raise UsageError(f"alias {alias!r} is not known; allowed: {', '.join(ALIASES)}")
    try:
        connect().set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        found = ", ".join(registered_versions(name)) or "none"
        raise UsageError(f"model {name} has no registered version {version}; found: {found}") from error


def demote(name: str, alias: str) -> None:
    """Take an alias away, so that jobs run the version built in."""
    connect().delete_registered_model_alias(name, alias)


def registered_versions(name: str) -> dict[str, tuple[str, ...]]:
    """Return every version's number with the aliases that name it, newest first."""
    if is_empty():
        return {}
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
    for version, aliases in registered_versions(name).items():
        if alias in aliases:
            return RegisteredVersion(f"mlflow-{version}", _download(connect(), name, version))
    return None


def _download(client: Any, name: str, version: str) -> tuple[tuple[str, str], ...]:
    """Fetch a version's folder once a machine; it appears under its name only when whole."""
    import mlflow

    found = client.get_model_version(name, version)
    folder = home() / "registered" / name / f"{version}-{found.run_id}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            source = client.get_model_version_download_uri(name, version)
            local = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=scratch)
            with suppress(OSError):  # another process was faster
                Path(local).rename(folder)
    rows = {row.name: only_file(row) for row in sorted(folder.iterdir())}
    for row, path in rows.items():
        if (wanted := found.tags.get(f"sha256/{row}")) != digest(path):
            raise NightjarError(f"{path} is not what version {version} of model {name} was registered with: {wanted}")
    return tuple((row, str(path)) for row, path in rows.items())


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
