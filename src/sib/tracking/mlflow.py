"""MLflow, configured by its own environment variables."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any

from sib.utils.optional import import_optional

EXPERIMENT = "sib"
LONGEST = 500
"""Characters in a parameter that every MLflow server accepts."""
PARAMETERS = 100
"""Most parameters in one message."""


class MLflow:
    """An MLflow run at ``MLFLOW_TRACKING_URI``, in ``MLFLOW_EXPERIMENT_NAME`` or else ``sib``."""

    def __init__(self) -> None:
        self._library = import_optional("mlflow", "mlflow")
        self._client: Any = None
        self._run = ""

    def open(self, folder: Path, options: dict[str, Any], identity: str | None) -> str:
        """Start the run with the options as parameters, or continue the one with that identity."""
        self._client = self._library.MlflowClient()
        if identity is not None:
            self._client.update_run(identity, status="RUNNING")
            self._run = identity
            return identity
        run = self._client.create_run(self._experiment(), run_name=folder.name)
        self._run = run.info.run_id
        param = self._library.entities.Param
        all_of_them = [param(name, str(value)[:LONGEST]) for name, value in options.items()]
        for start in range(0, len(all_of_them), PARAMETERS):
            self._client.log_batch(self._run, params=all_of_them[start : start + PARAMETERS])
        return self._run

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        return self._client.create_experiment(name) if found is None else found.experiment_id

    def log_scalars(self, values: dict[str, float], step: int) -> None:
        """Log all in one message."""
        metric, now = self._library.entities.Metric, int(time() * 1000)
        self._client.log_batch(
            self._run, metrics=[metric(name, value, now, step) for name, value in values.items()]
        )

    def log_figure(self, name: str, png: bytes, step: int) -> None:
        """Add ``NAME/STEP.png`` to the artifacts of the run."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / f"{step:08d}.png"
            file.write_bytes(png)
            self._client.log_artifact(self._run, str(file), name)

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)
