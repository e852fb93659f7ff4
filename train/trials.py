"""Studies of whole training runs that take equally long: which runs, and what is kept of each as soon as it ends.

Each run has a process of its own, so that its peak memory is its own. With ``--out`` a run is kept as soon as it ends:
a study that was interrupted, or that is given more to do, only does what is missing there.
"""

import dataclasses
import hashlib
import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple

from reasoning_arena.agents.adapters import require_peft
from reasoning_arena.agents.models import DtypeName, choose_device, choose_dtype, dtype_name
from reasoning_arena.train.config import ADAPTED, Config
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.online import train
from reasoning_arena.train.processes import in_own_process
from reasoning_arena.train.records import Json, read_json
from reasoning_arena.train.studies import Study
from tqdm import tqdm


@dataclass(frozen=True)
class EquallyLong(Study):
    """Flags of studies whose runs take equally long."""

    goes_on: ClassVar[bool] = True
    minutes: float = 5.0
    """Of training, without evaluations, for each run."""
    problems: int = 400
    """Held-out problems."""

    def config(self, **changes: Any) -> Config:
        """A training run's configuration, with what the study decides."""
        never = 10**9  # it is evaluated at its beginning and at its end
        decided = {"minutes": self.minutes, "eval_episodes": self.problems, "eval_interval": never, "quiet": True}
        return super().config(**decided | changes)


class Trial(NamedTuple):
    """One run: what its figures are kept under, seed included, and how it is configured."""

    name: dict[str, Any]
    config: Config


def trials(out: Path | None, wanted: Sequence[Trial]) -> Iterator[list[Json]]:
    """Run what is missing; after each run, the figures of all that there are, in the order in which they are wanted.

    Args:
        out: the study's folder.
        wanted: the runs.

    Raises:
        TrainingError: nothing is wanted, or the folder holds results that are no part of it.
    """
    if not wanted:
        raise TrainingError("there is nothing to run: a list of what to train is empty")
    if any(trial.name == other.name for trial, other in combinations(wanted, 2)):
        raise TrainingError("something is to be run twice; name it once")
    for _, config in wanted:  # what the last run would fail for is known before the first
        config.check()
        if config.learner in ADAPTED:
            require_peft()
    grid = [(_fingerprint(trial.config), trial) for trial in wanted]
    kept = _kept(out, [settings for settings, _ in grid])
    dtypes: dict[tuple[str, str], DtypeName] = {}  # "auto" is measured once, and not anew by every run
    for settings, (_, config) in tqdm(grid, unit="run", disable=None):
        if settings not in kept:
            asked = config.dtype, config.device
            if asked not in dtypes:
                dtypes[asked] = dtype_name(choose_dtype(config.dtype, choose_device(config.device)))
            figures = in_own_process(_measure, dataclasses.replace(config, dtype=dtypes[asked]))
            kept[settings] = figures | {"settings": settings}
        # Its own name last: what is kept may have that of another run with the same settings.
        yield [kept[settings] | trial.name for settings, trial in grid if settings in kept]


def _measure(config: Config) -> Json:
    """Train once; called in a process of its own."""
    with TemporaryDirectory() as scratch:
        results = train(dataclasses.replace(config, run_dir=Path(scratch) / "run"))
    wanted = "initial", "final", "training_seconds", "episodes_per_second", "parameters", "peak_memory"
    figures = {name: results[name] for name in wanted}
    return figures | {"episodes": results["training"][-1]["episode"], "dtype": results["config"]["dtype"]}


def _fingerprint(config: Config) -> str:
    """Of all flags that a run depends on."""
    return hashlib.sha256(json.dumps(config.resolved().to_json(), sort_keys=True).encode()).hexdigest()[:16]


def _kept(out: Path | None, grid: Container[str]) -> dict[str, Json]:
    """The runs that an earlier study left in the same folder, by their settings' fingerprint."""
    if out is None or not (out / "results.json").exists():
        return {}
    past = read_json(out / "results.json").get("runs")
    if not isinstance(past, list) or not all(isinstance(one, dict) and one.get("settings") in grid for one in past):
        raise TrainingError(f"--out {out} holds results that are no part of this study; name another folder")
    return {one["settings"]: one for one in past}
