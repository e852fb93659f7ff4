"""What the benchmark can be told. The fields of ``Settings`` are the command's flags."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from reasoning_arena.agents.models import DEFAULT_MODEL, DtypeName, choose_device, choose_dtype, dtype_name
from reasoning_arena.envs import ORIGINAL_FIVE
from reasoning_arena.train.config import Config, LossName, Resolved
from reasoning_arena.train.errors import TrainingError

ContestantName = Literal[
    "reference-float32",
    "reference-bfloat16",
    "peft-float32",
    "peft-bfloat16",
    "trl-float32",
    "trl-bfloat16",
    "ours-sequential",
    "ours-batch",
    "ours-reward",
]
SizeName = Literal["full", "small"]
ALL: tuple[ContestantName, ...] = get_args(ContestantName)
# What None stands for, by size.
SIZES: dict[SizeName, dict[str, Any]] = {
    "full": {"seconds": 20.0, "repeats": 3, "questions": 4, "accuracy_seconds": 120.0},
    "small": {"seconds": 3.0, "repeats": 1, "questions": 2, "accuracy_seconds": 0.0},
}


@dataclass(frozen=True)
class Settings:
    """Measure how fast a soft prompt learns here, beside the reference's loop, PEFT and TRL, on the same questions."""

    size: SizeName = "full"
    """What the flags below are by default; small leaves out the time to an accuracy and ends in two to four minutes."""
    contestants: tuple[ContestantName, ...] | None = None
    """Who is measured (by default everyone; nobody in bfloat16 where ours is not, and with --size small trl-float32
    only then). Each runs in a process of its own, one after another. reference: one question at a time, generate, loss,
    step, generate. peft: prompt tuning, the training step alone. trl: GRPOTrainer with prompt tuning. ours: episodes
    with the predictions before and after."""
    seconds: float | None = None
    """Seconds of work that a rate is measured over, after warming up (20, or 3)."""
    repeats: int | None = None
    """How often everyone is measured, in turn; the median counts (3, or 1)."""
    model: str = DEFAULT_MODEL
    """The embedded model's name, a Hub id, a local folder, or a .gguf file."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 …"""
    dtype: DtypeName = "auto"
    """Of the frozen model behind ours; auto measures whether bfloat16 is the faster one."""
    soft_tokens: int = 8
    """Virtual tokens."""
    batch_size: int = 16
    """Questions to a step of peft and ours-batch."""
    questions: int | None = None
    """Questions to a step of trl and ours-reward (4, or 2)."""
    samples_per_question: int = 8
    """Answers to each of those."""
    max_new_tokens: int = 16
    """The longest answer; of trl and ours-reward every answer's length, since nothing ends one early there."""
    chat_template: bool = False
    """Put questions through the tokenizer's chat template, where it has one, instead of "question, Answer:"."""
    tasks: tuple[str, ...] = ORIGINAL_FIVE
    """Tasks, mixed evenly."""
    difficulty: int = 1
    """1 (easiest) to 5."""
    accuracy: float = 0.3
    """The held-out accuracy that the time to is measured, from 0 to 1."""
    accuracy_seconds: float | None = None
    """Seconds of learning that reference, peft and supervised ours get to reach it; 0 leaves it out (120, or 0)."""
    eval_episodes: int = 100
    """Held-out problems that the accuracy is measured on, ten times on the way."""
    seed: int = 0
    """Of the questions and of the sampling."""
    json: Path | None = None
    """A file that gets all figures, as they are measured."""

    def check(self) -> None:
        """Refuse what is not allowed.

        Raises:
            TrainingError: a flag's value is not allowed.
            ArenaError: an unknown task or difficulty.
        """
        for name in ("repeats", "questions", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrainingError(f"--{name.replace('_', '-')} {value} is not allowed; give at least 1")
        if self.samples_per_question < 2:
            raise TrainingError(f"--samples-per-question {self.samples_per_question} is not allowed; give at least 2")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise TrainingError(f"--seconds {self.seconds} is not allowed; give a number above 0")
        if self.accuracy_seconds is not None and not (
            math.isfinite(self.accuracy_seconds) and self.accuracy_seconds >= 0
        ):
            raise TrainingError(f"--accuracy-seconds {self.accuracy_seconds} is not allowed; give at least 0")
        if not 0 <= self.accuracy <= 1:
            raise TrainingError(f"--accuracy {self.accuracy} is not allowed; give a number from 0 to 1")
        if self.contestants is not None and not self.contestants:
            raise TrainingError(f"--contestants needs at least one of {', '.join(ALL)}")
        if self.json is not None and not self.json.absolute().parent.is_dir():
            raise TrainingError(f"--json {self.json}: there is no folder {self.json.absolute().parent}")
        self.config("supervised", self.batch_size)

    def resolved(self) -> "ResolvedSettings":
        """The same, checked, with everything that depends on size and machine filled in.

        Raises:
            TrainingError, ArenaError: as ``check`` does.
            AgentError: there is no such device.
        """
        self.check()
        device = choose_device(self.device)
        dtype = dtype_name(choose_dtype(self.dtype, device))  # once, for all processes
        # Where bfloat16 is emulated, a step in it takes minutes.
        slow = [name for name in ALL if name.endswith("bfloat16")] if dtype == "float32" else []
        if self.size == "small" and not slow:
            slow = ["trl-float32"]
        defaults = {"contestants": tuple(name for name in ALL if name not in slow), **SIZES[self.size]}
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return ResolvedSettings(**vars(self) | missing | {"device": str(device), "dtype": dtype})

    def config(self, loss: LossName, batch: int) -> Resolved:
        """The training run that ours is, and whose questions everyone is asked."""
        config = Config(
            loss=loss,
            model=self.model,
            batch_size=batch,
            eval_episodes=self.eval_episodes,
            soft_tokens=self.soft_tokens,
            target="answer",
            tasks=self.tasks,
            difficulty=self.difficulty,
            estimator="reinforce",  # every sample learns, as every one goes through TRL's step
            samples_per_question=self.samples_per_question,
            most_samples=self.samples_per_question,
            temperature=1.0,
            replay=0,  # nobody else goes over anything again
            max_new_tokens=self.max_new_tokens,
            chat_template=self.chat_template,
            seed=self.seed,
            device=self.device,
            dtype=self.dtype,
        )
        return config.resolved()

    def to_json(self) -> dict[str, Any]:
        """All fields in JSON's types."""
        plain = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in plain.items()}


@dataclass(frozen=True)
class ResolvedSettings(Settings):
    """Settings with everything filled in."""

    contestants: tuple[ContestantName, ...] = ()
    seconds: float = 0.0
    repeats: int = 0
    questions: int = 0
    accuracy_seconds: float = 0.0
