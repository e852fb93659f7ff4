"""What a run leaves behind: config.json, TensorBoard events, results.json, learning_curves.png."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.envs.files import replacing
from reasoning_arena.train.config import Config, Resolved
from reasoning_arena.train.curves import draw_curves
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.held_out import Evaluation
from reasoning_arena.train.memory import peak_memory
from reasoning_arena.train.rounds import RoundResult
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

SAMPLES = 10  # held-out questions shown as text
Json = dict[str, Any]


def new_run_folder(config: Config) -> Path:
    """The folder that a new run will write to.

    Raises:
        TrainingError: it holds something already.
    """
    folder = config.run_dir
    if folder is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        kind = f"{config.loss}-{Path(config.model).name}-seed{config.seed}"
        folder = Path("runs") / f"{stamp}-{kind}-{os.getpid()}"  # others may start within the same second
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"--run-dir {folder} is a file; name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise TrainingError(f"--run-dir {folder} is not empty; name a new folder, or go on with --resume {folder}")
    return folder


def past_results(folder: Path) -> Json:
    """The results of a run that is gone on with.

    Raises:
        TrainingError: they are missing or damaged.
    """
    path = folder / "results.json"
    past = read_json(path)
    number = int | float
    shares: dict[str, Any] = {"episode": int, "reward": number, "accuracy_before": number, "accuracy_after": number}
    rows = {
        "training": shares | {"loss": number | None},
        "evaluations": {"episode": int, "accuracy": number, "per_task": dict},
    }
    for name, kinds in rows.items():
        some = past.get(name)
        whole = isinstance(some, list) and all(isinstance(one, dict) and kinds.keys() <= one.keys() for one in some)
        if not whole or not all(isinstance(one[key], kind) for one in some or () for key, kind in kinds.items()):
            raise TrainingError(f"cannot read {path}: {name!r} is missing or damaged")
    if not past["evaluations"]:
        raise TrainingError(f"cannot read {path}: it lacks the first evaluation")
    if not isinstance(past.get("peak_memory"), int):
        raise TrainingError(f"cannot read {path}: 'peak_memory' is missing or damaged")
    return past


def cut_back(past: Json, episode: int, seconds: float) -> Json:
    """A run's results as they were after so many episodes, and that many seconds of training."""
    rows = {name: [one for one in past[name] if one["episode"] <= episode] for name in ("training", "evaluations")}
    return {**rows, "training_seconds": seconds, "peak_memory": past["peak_memory"]}


class Records:
    """Writes a run's folder while it runs.

    Args:
        folder: the run folder, which is made where there is none.
        config: of the run.
        policy: that learns.
        past: the results of the run that is gone on with, up to where it goes on, or None.

    Raises:
        TrainingError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path, config: Resolved, policy: SoftPromptPolicy, past: Json | None = None) -> None:
        self.folder = folder
        self.config = config
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"cannot make the run folder {folder}: {error}") from error
        self.parameters, self.device = policy.soft_prompt.size, policy.lm.device
        self._take_up(past)
        # Events from there on were of what is done anew.
        behind = None if past is None else self.training[-1]["episode"] + 1 if self.training else 1
        self._first: Evaluation | None = None
        write_json(folder / "config.json", config.to_json())
        self.writer = SummaryWriter(str(folder), purge_step=behind)
        self.writer.add_custom_scalars(
            {
                "before and after each update": {
                    "accuracy": ["Multiline", ["train/accuracy_before", "train/accuracy_after"]],
                },
                "held-out problems": {
                    "accuracy": [
                        "Multiline",
                        ["eval/accuracy", *[f"eval/{task}/accuracy" for task in config.tasks]],
                    ],
                    "generalisation": ["Multiline", ["eval/accuracy", "generalisation/.*/accuracy"]],
                },
            }
        )
        shown = {k: v if isinstance(v, (bool, int, float)) else str(v) for k, v in config.to_json().items()}
        for summary in hparams(shown, {"eval/accuracy": 0.0, "train/loss": 0.0}):
            self.writer._get_file_writer().add_summary(summary)

    def _take_up(self, past: Json | None) -> None:
        past = past or {"training": [], "evaluations": [], "training_seconds": 0.0, "peak_memory": 0}
        self.training: list[Json] = past["training"]
        self.evaluations: list[Json] = past["evaluations"]
        self.seconds: float = past["training_seconds"]
        self.earlier_peak: int = past["peak_memory"]  # of the processes that had a part in the run before this one

    def add_rounds(self, results: Sequence[RoundResult], rms: float, seconds: float) -> None:
        """Note the rounds after those noted so far; they took so many seconds."""
        self.seconds += seconds
        batch = self.config.batch_size
        at = self.training[-1]["episode"] if self.training else 0
        for result in results:
            at += batch
            accuracies = {"accuracy_before": result.accuracy_before, "accuracy_after": result.accuracy_after}
            loss = None if result.update is None else result.update.loss
            self.training.append({"episode": at, "loss": loss, "reward": result.reward, **accuracies})
            scalars = {
                "train/reward": result.reward,
                **{f"train/{k}": v for k, v in accuracies.items()},
                **result.extra,
            }
            if result.update is not None:
                scalars |= {"train/loss": result.update.loss, "soft_prompt/grad_norm": result.update.grad_norm}
            for tag, value in scalars.items():
                self.writer.add_scalar(tag, value, at)
        self.writer.add_scalar("soft_prompt/rms", rms, at)
        self.writer.add_scalar("speed/episodes_per_second", batch * len(results) / seconds, at)

    def add_evaluation(self, episode: int, evaluation: Evaluation, elsewhere: Mapping[str, float]) -> None:
        """Note held-out accuracy, here and by name elsewhere, and write everything that is known so far."""
        row = {"episode": episode, "accuracy": evaluation.accuracy, "per_task": evaluation.per_task}
        if elsewhere:
            row["generalisation"] = dict(elsewhere)
        for name, accuracy in elsewhere.items():
            self.writer.add_scalar(f"generalisation/{name}/accuracy", accuracy, episode)
        self.evaluations.append(row)
        self.writer.add_scalar("eval/accuracy", evaluation.accuracy, episode)
        for task, accuracy in evaluation.per_task.items():
            self.writer.add_scalar(f"eval/{task}/accuracy", accuracy, episode)
        self._first = self._first or evaluation
        self.writer.add_text("held_out/answers", _samples(self._first, evaluation), episode)
        self.write()

    def results(self) -> Json:
        """What results.json holds."""
        first, last = (
            {key: one[key] for key in ("accuracy", "per_task")} for one in (self.evaluations[0], self.evaluations[-1])
        )
        episodes = self.training[-1]["episode"] if self.training else 0
        return {
            "config": self.config.to_json(),
            "initial": first,
            "final": last,
            "evaluations": self.evaluations,
            "training": self.training,
            "training_seconds": self.seconds,
            "episodes_per_second": episodes / self.seconds if self.seconds else None,
            "parameters": self.parameters,
            "peak_memory": max(self.earlier_peak, peak_memory(self.device)),
        }

    def write(self) -> None:
        """Bring results.json and the events up to date."""
        if self.evaluations:
            write_json(self.folder / "results.json", self.results())
        self.writer.flush()

    def close(self) -> None:
        """Write, draw learning_curves.png, and stop."""
        self.write()
        if self.evaluations:
            draw_curves(self.results(), self.folder / "learning_curves.png")
        self.writer.close()


class NoRecords(Records):
    """What processes beside the first have in place of records: nothing is written."""

    def __init__(self, folder: Path, config: Resolved, policy: SoftPromptPolicy, past: Json | None = None) -> None:
        self._take_up(past)

    def add_rounds(self, results: Sequence[RoundResult], rms: float, seconds: float) -> None:
        """Nothing."""

    def add_evaluation(self, episode: int, evaluation: Evaluation, elsewhere: Mapping[str, float]) -> None:
        """Nothing."""

    def results(self) -> Json:
        """Nothing."""
        return {}

    def write(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def write_json(path: Path, value: Json) -> None:
    """Replace a file by that value, whole or not at all.

    Raises:
        TrainingError: the disk does not take it.
    """
    try:
        with replacing(path) as part:
            part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error}") from error


def read_json(path: Path) -> Json:
    """A JSON object from a run folder.

    Raises:
        TrainingError: it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise TrainingError(f"cannot read {path}: it holds no JSON object")
    return value


def _samples(first: Evaluation, now: Evaluation) -> str:
    """A Markdown table of questions with the answers now and at the first evaluation since the run was last started."""
    rows = ["| question | before | now | gold | |", "|---|---|---|---|---|"]
    for before, after in list(zip(first.exchanges, now.exchanges, strict=True))[:SAMPLES]:
        cells = (
            after.question,
            before.answer,
            after.answer,
            after.gold,
            "right" if after.correct else "wrong",
        )
        rows.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return "\n".join(rows)
