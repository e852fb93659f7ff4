"""Everything that a run can be told. The fields of ``Config`` are the command's flags."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from reasoning_arena.agents.models import DEFAULT_MODEL, DtypeName, absolute_name
from reasoning_arena.agents.soft_prompt import SoftPromptInit
from reasoning_arena.envs import ORIGINAL_FIVE, ProblemSource
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.estimators import ESTIMATORS
from reasoning_arena.train.examples import brief, few_shot, plain, worked

LossName = Literal["supervised", "reward", "contrastive"]
LearnerName = Literal["soft-prompt", "per-task", "mixture", "lora", "hybrid"]
TargetName = Literal["answer", "solution"]
ADAPTED: tuple[LearnerName, ...] = "lora", "hybrid"  # learners that change the model itself
ENDLESS = 10_000_000  # episodes of a run that ends by the clock
STEP = 8  # questions, new and earlier ones, that a supervised step learns from where neither is asked for
# Flags that say how many of something are held in memory together, and the most of it: more would only run out of that.
HELD_AT_ONCE = (
    "batch_size",
    "eval_episodes",
    "soft_tokens",
    "max_new_tokens",
    "own_tokens",
    "experts",
    "lora_rank",
    "samples_per_question",
    "most_samples",
)
MOST_AT_ONCE = 10_000
# What None stands for, by loss.
DEFAULTS: dict[LossName, dict[str, Any]] = {
    "supervised": {
        "episodes": 720,
        "batch_size": 4,
        "eval_interval": 240,
        "lr": 0.2,
        "max_new_tokens": 56,
        "replay_draws": "evenly",
        "init_text": few_shot(worked, 1),
    },
    "reward": {
        "episodes": 1600,
        "batch_size": 16,
        "eval_interval": 400,
        "lr": 0.06,
        "max_new_tokens": 12,
        "replay_draws": "mistakes",
        # Behind examples of sequences, numbers would be drawn for everything.
        "init_text": few_shot(brief, 2, ("sequence", "math", "causal", "grid", "comparison")),
    },
    "contrastive": {
        "episodes": 960,
        "batch_size": 4,
        "eval_interval": 240,
        "lr": 0.1,
        "max_new_tokens": 56,
        "replay_draws": "evenly",
        "init_text": few_shot(plain, 1),
    },
}
ADAPTED_LR: dict[LossName, float] = {"reward": 0.12}  # in place of the above, where the model itself learns


# What some flags are for; elsewhere nothing looks at them.
MEANT_FOR: dict[str, tuple[str, tuple[str, ...]]] = {
    "estimator": ("loss", ("reward",)),
    "samples_per_question": ("loss", ("reward",)),
    "most_samples": ("loss", ("reward",)),
    "temperature": ("loss", ("reward",)),
    "kl": ("loss", ("reward",)),
    "target": ("loss", ("supervised", "contrastive")),
    "own_tokens": ("learner", ("per-task", "mixture")),
    "experts": ("learner", ("mixture",)),
    "lora_rank": ("learner", ADAPTED),
    "init_text": ("init", ("text",)),
}


@dataclass(frozen=True)
class Config:
    """Teach a frozen language model by gradient descent on a soft prompt, one question at a time."""

    loss: LossName = "supervised"
    """supervised: cross-entropy on the gold answer. reward: reward-weighted log-probabilities of the model's own
    answers; the gold answer is never looked at. contrastive: cross-entropy, and where a question allows few answers,
    the gold one's share of the probability of all of them."""
    learner: LearnerName = "soft-prompt"
    """What learns: one soft prompt; per-task, a shared part and one of each task's own; mixture, a shared part and one
    mixed by a gate that reads the question; lora, low-rank adapters in the model; hybrid, those and the soft prompt."""
    model: str = DEFAULT_MODEL
    """The embedded model's name, a Hub id, a local folder, or a .gguf file."""
    episodes: int | None = None
    """Questions to learn from, rounded up to whole batches (720 by default; 1600 from reward, 960 contrastive)."""
    minutes: float | None = None
    """End after the step in which so many minutes of training are over, however many questions that is (unless
    --episodes is given, too), and let the learning rate follow the time."""
    batch_size: int | None = None
    """Questions to each gradient step (4, or 16 from reward); 1 learns from every question before the next one.
    The processes that torchrun starts divide them evenly."""
    eval_interval: int | None = None
    """Episodes from one evaluation to the next (240 by default, 400 from reward)."""
    eval_episodes: int = 200
    """Held-out problems in an evaluation; always the same ones."""
    generalisation: bool = False
    """Evaluate also on phrasings that are held out of training, one difficulty up, and on tasks never trained on."""
    eval_split: Literal["validation", "test"] = "test"
    """Which held-out problems; choose settings on validation."""
    soft_tokens: int | None = None
    """Virtual tokens: how many embeddings learn (by default as many as --init-text has, or 32 for other kinds)."""
    init: SoftPromptInit = "text"
    """What the soft prompt starts from: a text's embeddings, random tokens', or noise of their size."""
    init_text: str | None = None
    """The text, for --init text (by default a few worked examples)."""
    preamble: str | None = None
    """A text in front of the soft prompt, which stays as it is and is computed once (by default none)."""
    init_from: Path | None = None
    """A checkpoint whose soft prompt to start from instead, with its preamble and its number of virtual tokens."""
    own_tokens: int = 8
    """Virtual tokens of each task's own, or of each prompt in the mixture."""
    experts: int = 4
    """Prompts in the mixture."""
    lora_rank: int = 8
    """Rank of the low-rank adapters."""
    lr: float | None = None
    """Learning rate of Adam, in units of the root mean square of the model's embeddings, or of 0.02 for low-rank
    adapters (0.2, from reward 0.06, or 0.12 where there are adapters, contrastive 0.1; less by the square root where a
    step has fewer questions, earlier ones among them, than the default batch)."""
    target: TargetName = "solution"
    """What supervised learning imitates: the worked solution, which ends in the gold answer, or that answer alone."""
    tasks: tuple[str, ...] = ORIGINAL_FIVE
    """Tasks, mixed evenly."""
    difficulty: int = 1
    """1 (easiest) to 5."""
    curriculum: bool = False
    """Begin at difficulty 1, and let each task become harder with success, up to --difficulty."""
    replay: int | None = None
    """Earlier questions that each step goes over again: gold answers, or from reward the answers that earned some
    (supervised as many as make a step of up to eight: 7 beside 1, 6 beside 2, 4 beside 4; from reward twice as many as
    new ones; contrastive none)."""
    replay_draws: Literal["evenly", "mistakes"] | None = None
    """Which earlier questions those are: evenly, as many of each task as it has; mistakes, more of what is likely to be
    missed (by default evenly, from reward mistakes)."""
    replay_capacity: int = 1000
    """How many of those are kept of each task."""
    adaptive: bool = False
    """Learn faster on tasks that go badly, more slowly on those that go well."""
    estimator: Literal["reinforce", "rloo", "grpo", "maxrl", "raft", "exact"] = "exact"
    """How rewards become weights, for --loss reward. All weigh the model's own samples; exact has the environment pay
    every answer that a question allows, where it says which and they are no more than eight, and weighs samples like
    maxrl elsewhere."""
    samples_per_question: int = 8
    """Answers to each question, for --loss reward."""
    most_samples: int | None = None
    """How many those become where a task's hardly ever earn anything, for --loss reward (by default eight times as
    many); the same number keeps all groups equal."""
    kl: float = 0.0
    """What sampled answers are charged for each nat by which they are likelier than unprompted (--loss reward)."""
    temperature: float = 0.8
    """At which those answers are sampled."""
    max_new_tokens: int | None = None
    """The longest answer, in tokens (56, or 12 from reward)."""
    chat_template: bool = False
    """Put questions through the tokenizer's chat template, where it has one, instead of "question, Answer:"."""
    seed: int = 0
    """Of everything random in training; the held-out problems do not depend on it."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 …; balanced spreads a model that is too big for one GPU over all of them. Under torchrun,
    auto and cuda give each process a GPU of its own."""
    dtype: DtypeName = "auto"
    """Of the frozen model; auto is bfloat16 on a GPU that has it, and on a CPU where a measurement finds it faster."""
    run_dir: Path | None = None
    """Where the run is recorded (by default a new folder in runs/)."""
    resume: Path | None = None
    """A run folder to go on from; --episodes may be raised, everything else stays as it was, and is refused here unless
    it is the default."""
    quiet: bool = False
    """No progress bar, nothing said before the end."""

    def check(self) -> None:
        """Refuse what is not allowed.

        Raises:
            TrainingError: a flag's value is not allowed.
            ArenaError: an unknown task or difficulty.
        """
        for name, kind in get_type_hints(Config).items():
            value = getattr(self, name)
            if not _fits(value, kind):
                literals = [one for one in (kind, *get_args(kind)) if get_origin(one) is Literal]
                choices = [choice for one in literals for choice in get_args(one)]
                wanted = f"give {', '.join(choices)}" if choices else f"it is no {getattr(kind, '__name__', kind)}"
                raise TrainingError(f"--{name.replace('_', '-')} {value!r} is not allowed; {wanted}")
        ProblemSource(self.tasks, self.difficulty, self.eval_split)
        for name in ("episodes", "eval_interval", "replay_capacity"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrainingError(f"--{name.replace('_', '-')} {value} is not allowed; give at least 1")
        for name in HELD_AT_ONCE:
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST_AT_ONCE:
                raise TrainingError(f"--{name.replace('_', '-')} {value} is not allowed; give 1 to {MOST_AT_ONCE}")
        for name in ("lr", "temperature", "minutes"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise TrainingError(f"--{name} {value} is not allowed; give a number above 0")
        for name in ("replay", "kl"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise TrainingError(f"--{name} {value} is not allowed; give 0 or more")
        if not 0 <= self.seed < 2**32:
            raise TrainingError(f"--seed {self.seed} is not allowed; give an integer from 0 to {2**32 - 1}")
        if self.curriculum and self.difficulty == 1:
            raise TrainingError("--curriculum rises from difficulty 1 to --difficulty; give one of at least 2")
        for name in ("init", "init_text", "preamble", "soft_tokens"):
            if self.init_from is not None and getattr(self, name) != getattr(Config, name):
                raise TrainingError(f"--{name.replace('_', '-')} has no place beside --init-from, which brings its own")
        if self.kl and self.learner in ADAPTED:
            raise TrainingError(f"--kl is not allowed with --learner {self.learner}, which changes the model itself")
        least = max(ESTIMATORS[self.estimator].least_samples, 2 if self.kl else 1)  # kl is charged relative to a group
        most = self.most_samples
        if self.loss == "reward" and most is not None and most < self.samples_per_question:
            raise TrainingError(
                f"--most-samples {most} is not allowed; give at least --samples-per-question, "
                f"{self.samples_per_question}"
            )
        if self.loss == "reward" and self.samples_per_question < least:
            raise TrainingError(
                f"--samples-per-question {self.samples_per_question} is not allowed with --estimator {self.estimator}"
                f"{' and --kl' if self.kl else ''}; give at least {least}"
            )

    def refuse_unused(self) -> None:
        """Refuse flags that were set but are looked at by other losses, learners or initialisations alone.

        Studies share one configuration between several of these, and do not ask for this.

        Raises:
            TrainingError: there is such a flag.
        """
        for name, (chooser, choices) in MEANT_FOR.items():
            chosen = getattr(self, chooser)
            if chosen not in choices and getattr(self, name) != getattr(Config, name):
                flags = [one.replace("_", "-") for one in (name, chooser)]
                raise TrainingError(
                    f"--{flags[0]} has no place beside --{flags[1]} {chosen}; it is for --{flags[1]} "
                    f"{' or '.join(choices)}"
                )
        for name in ("replay_draws", "replay_capacity"):
            if getattr(self, name) != getattr(Config, name) and not self.resolved().replay:
                raise TrainingError(
                    f"--{name.replace('_', '-')} has no place where nothing is gone over again; give --replay"
                )

    def resolved(self) -> "Resolved":
        """The same, checked, with every number that depends on the loss filled in.

        Raises:
            TrainingError, ArenaError: as ``check`` does.
        """
        self.check()
        if self.minutes is not None and self.episodes is None:
            return dataclasses.replace(self, episodes=ENDLESS).resolved()
        missing = {name: value for name, value in DEFAULTS[self.loss].items() if getattr(self, name) is None}
        if self.init_from is not None:
            del missing["init_text"]
        usual = DEFAULTS[self.loss]["batch_size"]
        batch, replay = self.batch_size or usual, self.replay
        if replay is None:  # a multiple of the batch, so that what divides the one divides the other
            beside = {"supervised": max(0, STEP // batch - 1), "reward": 2, "contrastive": 0}[self.loss]
            replay = missing["replay"] = beside * batch
        if self.most_samples is None:
            missing["most_samples"] = min(8 * self.samples_per_question, MOST_AT_ONCE)
        if "lr" in missing:
            if self.learner in ADAPTED:
                missing["lr"] = ADAPTED_LR.get(self.loss, missing["lr"])
            # Fewer questions, a noisier gradient.
            missing["lr"] *= min(1.0, math.sqrt((batch + replay) / usual))
        # A run may be gone on with from elsewhere.
        start = self.init_from and self.init_from.absolute()
        return Resolved(**vars(self) | missing | {"init_from": start, "model": absolute_name(self.model)})

    def to_json(self) -> dict[str, Any]:
        """All fields in JSON's types."""
        plain = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in plain.items()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Config":
        """The configuration that ``to_json`` wrote.

        Raises:
            TrainingError: it is no such thing.
        """
        known = {one.name for one in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or not set(fields) <= known:
            raise TrainingError("config.json holds settings that this version does not know")
        values = dict(fields)
        try:
            for name in ("run_dir", "resume", "init_from"):
                if values.get(name) is not None:
                    values[name] = Path(values[name])
            config = cls(**values | {"tasks": tuple(values.get("tasks", ORIGINAL_FIVE))})
        except TypeError as error:
            raise TrainingError(f"config.json holds a value of the wrong kind ({error})") from error
        config.check()
        return config


@dataclass(frozen=True)
class Resolved(Config):
    """A configuration with every number filled in."""

    episodes: int = 0
    batch_size: int = 0
    eval_interval: int = 0
    lr: float = 0.0
    replay: int = 0
    replay_draws: Literal["evenly", "mistakes"] = "evenly"
    most_samples: int = 0
    max_new_tokens: int = 0


def _fits(value: object, kind: Any) -> bool:
    """Whether a value is of a field's type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in arguments
    if origin in (UnionType, Union):
        return any(_fits(value, one) for one in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, arguments[0]) for one in value)
    if kind is float:
        kind = int | float
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
