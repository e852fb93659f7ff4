"""One training run: what it is made of, and how it goes on from one round to the next."""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from reasoning_arena.agents.models import LoadedModel, choose_device, choose_dtype, dtype_name, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train import distributed
from reasoning_arena.train.checkpoint import fitting, latest_checkpoint, load_state, save_checkpoint
from reasoning_arena.train.config import Config, Resolved
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.held_out import Evaluator, generalisation
from reasoning_arena.train.learners import new_steering
from reasoning_arena.train.optimizer import Optimizer, Update
from reasoning_arena.train.records import Json, NoRecords, Records, cut_back, new_run_folder, past_results, read_json
from reasoning_arena.train.reward import RewardRound
from reasoning_arena.train.rounds import Round, pooled
from reasoning_arena.train.supervised import SupervisedRound

ROUNDS: dict[str, Callable[[Resolved, SoftPromptPolicy, Optimizer], Round]] = {
    "supervised": SupervisedRound,
    "contrastive": SupervisedRound,
    "reward": RewardRound,
}

RESUMED = "resume", "episodes", "quiet"  # what a run that is gone on with can be told


class Progress(NamedTuple):
    """Where a run stands after a round: its episode, the step that was taken, and the last held-out accuracy."""

    episode: int
    update: Update | None
    held_out: float


class Run:
    """A run from its beginning, or from where it had come to.

    Args:
        config: everything about it.

    Attributes:
        config: the same with every number filled in.
        folder: where it is recorded.
        episode: how many episodes are done.
        rounds: how many rounds there are to be, those done included.
        over: whether all of them have been played, or the time that there was for them is up.

    Raises:
        ArenaError, AgentError, TrainingError: something that was asked for cannot be had.
    """

    def __init__(self, config: Config) -> None:
        past, checkpoint, folder = None, None, config.resume
        if folder is not None:
            config, past, checkpoint = _resumed(config, folder)
        wanted = config.resolved()
        self.batch = wanted.batch_size
        for flag, n in (("batch-size", self.batch), ("replay", wanted.replay)):
            if n % distributed.size():
                raise TrainingError(
                    f"--{flag} {n} cannot be divided evenly over {distributed.size()} processes; give a multiple"
                )
        self.rounds = -(-wanted.episodes // self.batch)  # the last batch is a whole one
        first = distributed.is_first()
        self.folder = distributed.from_first(folder or (new_run_folder(wanted) if first else Path()))
        lm = own_model(wanted)
        self.config = dataclasses.replace(wanted, run_dir=self.folder, dtype=dtype_name(lm.dtype))
        self.policy = new_policy(self.config, lm)
        self.optimizer = Optimizer(self.policy, self.config.lr, self.rounds)
        self.learning = ROUNDS[self.config.loss](self.config, self.policy, self.optimizer)
        self.evaluator, self.elsewhere = Evaluator(self.config), generalisation(self.config)
        self.episode = 0
        if past is not None and checkpoint is not None:
            self.episode, seconds = self._go_on(checkpoint)
            past = cut_back(past, self.episode, seconds)
        self.saved, self.over = self.episode, False
        self.evaluated = past["evaluations"][-1]["episode"] if past else -1
        self.records = (Records if first else NoRecords)(self.folder, self.config, self.policy, past)

    def play(self, stopping: Callable[[], bool], tell: Callable[[str], None] | None = None) -> Iterator[Progress]:
        """Play the rounds that are left, evaluating and saving where it is time to; the first is an evaluation alone.

        Where it ends with an error, what was recorded up to there is written, and no checkpoint.

        Args:
            stopping: whether to end before the next round; everything is saved then.
            tell: is told how far an evaluation has come.
        """
        try:
            yield from self._play(stopping, tell)
        except Exception:
            with suppress(Exception):  # what failed may be the disk
                self.records.close()
            raise

    def _play(self, stopping: Callable[[], bool], tell: Callable[[str], None] | None) -> Iterator[Progress]:
        held_out = self.records.evaluations[-1]["accuracy"] if self.records.evaluations else self._evaluate(tell)
        yield Progress(self.episode, None, held_out)
        clock = time.perf_counter()
        while not self._ends(clock) and not distributed.anywhere(stopping()):
            update = self.learning.play()
            before, self.episode = self.episode, self.episode + self.batch
            interval = self.config.eval_interval
            due = self._ends(clock) or self.episode // interval > before // interval
            clock = self._settle(clock, everything=due)
            if due:
                held_out = self._evaluate(tell)
                clock = time.perf_counter()
            yield Progress(self.episode, update, held_out)
        self._settle(clock, everything=True)  # only where it was stopped, or time is up, is there anything left
        if self.over and self.evaluated < self.episode:
            yield Progress(self.episode, None, self._evaluate(tell))
        self.records.write()  # before the checkpoint: a run is gone on with from that, and needs all records up to it
        if self.episode > self.saved:
            self._save()
        self.records.close()

    def _ends(self, clock: float) -> bool:
        """Whether the run is over; the optimiser is told how far it has come, where that goes by the clock."""
        if self.config.minutes is not None:
            seconds = self.records.seconds + time.perf_counter() - clock
            self.optimizer.progress = distributed.from_first(seconds / (60 * self.config.minutes))
        self.over = self.episode >= self.rounds * self.batch or (self.optimizer.progress or 0) >= 1
        return self.over

    def _settle(self, clock: float, *, everything: bool) -> float:
        """Record what is known of the rounds played since the clock was started; returns when it is started again."""
        results = pooled(self.learning.settle(everything=everything))
        if not results:
            return clock
        now = time.perf_counter()
        self.records.add_rounds(results, self.policy.soft_prompt.rms, now - clock)
        return now

    def _evaluate(self, tell: Callable[[str], None] | None) -> float:
        """Measure and record held-out accuracy, and save."""
        evaluation = self.evaluator(self.policy, tell)
        elsewhere = {name: one(self.policy, tell).accuracy for name, one in self.elsewhere.items()}
        self.records.add_evaluation(self.episode, evaluation, elsewhere)
        self.evaluated = self.episode
        self._save()
        return evaluation.accuracy

    def _save(self) -> None:
        state = {
            "rounds": self.episode // self.batch,
            "seconds": self.records.seconds,
            "optimizer": self.optimizer.state_dict(),
            "learning": distributed.gathered(self.learning.state_dict()),
            "stream": distributed.gathered(self.learning.stream.state_dict()),
        }
        if distributed.is_first():
            folder = self.folder / "checkpoints" / f"episode-{self.episode:06d}"
            save_checkpoint(folder, self.policy.soft_prompt, self.policy.lm, state)
        self.saved = self.episode

    def _go_on(self, checkpoint: Path) -> tuple[int, float]:
        """Take up what a checkpoint holds; returns how many episodes are done, and the seconds that they took."""
        state = load_state(checkpoint)
        with fitting(checkpoint):
            self.policy.soft_prompt.load_state_dict(state["steering"])
            self.optimizer.load_state_dict(state["optimizer"])
            processes, rank = len(state["learning"]), distributed.rank()
            if rank < processes:  # else it is a process that the run did not have before
                self.learning.load_state_dict(state["learning"][rank])
            self.learning.stream.load_state_dict(state["stream"][rank % processes])
            done, seconds = int(state["rounds"]), float(state["seconds"])
        if done > self.rounds:
            raise TrainingError(
                f"--episodes {self.rounds * self.batch} is less than the {done * self.batch} that are done; give more"
            )
        if processes != distributed.size() and self.learning.stream.follows_success:
            raise TrainingError(
                f"each of this run's {processes} processes remembers how its questions went; go on with as many of them"
            )
        self.learning.skip(done)
        return done * self.batch, seconds


def own_model(config: Resolved) -> LoadedModel:
    """The frozen model of this process; where the dtype is measured, one process decides for all."""
    device = distributed.own_device(config.device)
    dtype = choose_dtype(config.dtype, choose_device(device))
    return load_model(config.model, device, distributed.from_first(dtype_name(dtype)))


def new_policy(config: Resolved, lm: LoadedModel) -> SoftPromptPolicy:
    """A model with what steers it at the beginning of a run."""
    policy = SoftPromptPolicy(
        lm, new_steering(config, lm), chat_template=config.chat_template, max_new_tokens=config.max_new_tokens
    )
    if config.chat_template and not policy.encoder.chat_template and distributed.is_first():
        print(f"model {config.model!r} has no chat template; questions are put without one", file=sys.stderr)
    return policy


def _resumed(config: Config, folder: Path) -> tuple[Config, Json, Path]:
    """A run's configuration, with more episodes where they are asked for; its results so far; its last checkpoint."""
    if not folder.is_dir():
        reason = "this is a file" if folder.exists() else "there is no such run folder"
        raise TrainingError(f"--resume {folder}: {reason}")
    plain = Config()
    for one in dataclasses.fields(Config):
        if one.name not in RESUMED and getattr(config, one.name) != getattr(plain, one.name):
            flag = one.name.replace("_", "-")
            raise TrainingError(f"--{flag} has no place beside --resume: it stays what it was")
    stored = Config.from_json(read_json(folder / "config.json")).resolved()
    episodes = stored.episodes if config.episodes is None else config.episodes
    resumed = dataclasses.replace(stored, episodes=episodes, quiet=config.quiet)
    return resumed, past_results(folder), latest_checkpoint(folder)
