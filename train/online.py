"""Online learning: a question, an answer, what it was worth, a gradient step, and the same question again.

python -m train.online --loss supervised
python -m train.online --loss reward
torchrun --nproc-per-node 2 -m train.online
tensorboard --logdir runs
"""

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

import torch
import tyro
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.models import choose_device, choose_dtype, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.envs import ArenaError
from reasoning_arena.train import distributed
from reasoning_arena.train.checkpoint import latest_checkpoint, load_state, load_steering, save_checkpoint
from reasoning_arena.train.config import ENDLESS, Config
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.evaluate import Evaluator, generalisation
from reasoning_arena.train.learner import Learner
from reasoning_arena.train.learners import new_steering
from reasoning_arena.train.records import Json, NoRecords, Records, new_run_folder, read_json
from reasoning_arena.train.reward import RewardRound
from reasoning_arena.train.rounds import Round, RoundResult
from reasoning_arena.train.supervised import SupervisedRound
from tqdm import tqdm

ROUNDS: dict[str, Callable[[Config, SoftPromptPolicy, Learner], Round]] = {
    "supervised": SupervisedRound,
    "contrastive": SupervisedRound,
    "reward": RewardRound,
}


def train(config: Config) -> Json:
    """Run one training run from beginning to end, or until it is interrupted.

    Args:
        config: everything about it.

    Returns:
        what results.json holds; nothing in the processes that write none.

    Raises:
        ArenaError, AgentError, TrainingError: something that was asked for cannot be had; all messages say what.
    """
    past, checkpoint, folder = None, None, config.resume
    if folder is not None:
        config, past, checkpoint = _resumed(config, folder)
    config = config.resolved()
    episodes, batch, interval, longest = (
        config.episodes,
        config.batch_size,
        config.eval_interval,
        config.max_new_tokens,
    )
    assert episodes is not None
    assert batch is not None
    assert interval is not None
    assert longest is not None

    if batch % distributed.size():
        raise TrainingError(
            f"--batch-size {batch} cannot be divided evenly over {distributed.size()} processes; give a multiple"
        )

    first = distributed.is_first()
    folder = distributed.from_first(folder or (new_run_folder(config) if first else Path()))
    config = dataclasses.replace(config, run_dir=folder)
    device = distributed.own_device(config.device)
    dtype = choose_dtype(config.dtype, choose_device(device))  # where it is measured, one process decides for all
    lm = load_model(config.model, device, distributed.from_first(str(dtype).removeprefix("torch.")))
    policy = SoftPromptPolicy(lm, new_steering(config, lm), chat_template=config.chat_template, max_new_tokens=longest)
    if first and config.chat_template and not policy.encoder.chat_template:
        print(f"model {config.model!r} has no chat template; questions are put without one", file=sys.stderr)
    rounds = -(-episodes // batch)  # the last batch is a whole one
    learner = Learner(policy, config.lr, rounds)  # type: ignore[arg-type]
    learning = ROUNDS[config.loss](config, policy, learner)
    evaluator = Evaluator(config)
    elsewhere = generalisation(config)

    done = 0
    if checkpoint is not None:
        state = load_state(checkpoint)
        load_steering(checkpoint, policy.soft_prompt, state)
        done = state["rounds"]
        learner.load_state_dict(state["learner"])
        if distributed.rank() < len(state["learning"]):  # else it is a process that the run did not have before
            learning.load_state_dict(state["learning"][distributed.rank()])
        learning.skip(done)
    records = (Records if first else NoRecords)(folder, config, policy, past, done * batch)

    def save(episode: int) -> None:
        state = {
            "rounds": episode // batch,
            "learner": learner.state_dict(),
            "learning": distributed.gathered(learning.state_dict()),
        }
        if first:
            save_checkpoint(folder / "checkpoints" / f"episode-{episode:06d}", policy.soft_prompt, lm, state)

    def evaluate(episode: int) -> float:
        evaluation = evaluator(policy)
        records.add_evaluation(episode, evaluation, {name: one(policy).accuracy for name, one in elsewhere.items()})
        return evaluation.accuracy

    if first:
        print(
            f"{config.loss} learning of {policy.soft_prompt.size:,} numbers on {lm.name} "
            f"({lm.device}, {str(lm.dtype).removeprefix('torch.')}) → {folder}",
            file=sys.stderr,
        )
    held_out = records.evaluations[-1]["accuracy"] if records.evaluations else None
    silent = config.quiet or not first
    whole = None if config.episodes == ENDLESS else rounds * batch
    bar = tqdm(total=whole, initial=done * batch, unit="episode", disable=silent, dynamic_ncols=True)
    with bar, _interrupts() as interrupted:
        if held_out is None:
            bar.set_description("first evaluation")
            held_out = evaluate(0)
            save(0)
        bar.set_description("learning")
        limit = None if config.minutes is None else 60 * config.minutes
        clock, episode, saved = time.perf_counter(), done * batch, done * batch
        for step in range(done, rounds):
            if distributed.anywhere(bool(interrupted)):
                break
            if limit is not None:
                learner.progress = distributed.from_first((records.seconds + time.perf_counter() - clock) / limit)
            update = learning.play()
            episode = (step + 1) * batch
            over = learner.progress is not None and learner.progress >= 1
            due = step + 1 == rounds or over or episode // interval > step * batch // interval
            if results := _pooled(learning.settle(everything=due)):
                records.add_rounds(episode, results, policy.soft_prompt.rms, time.perf_counter() - clock)
                clock = time.perf_counter()
            if due:
                held_out = evaluate(episode)
                save(episode)
                saved = episode
                clock = time.perf_counter()
            loss = "–" if update is None else f"{update.loss:.3f}"
            reward = f"{records.training[-1]['reward']:+.2f}" if records.training else "–"
            bar.set_postfix(loss=loss, reward=reward, held_out=f"{held_out:.1%}")
            bar.update(batch)
            if over:
                break
        stopped = distributed.anywhere(bool(interrupted))
        if results := _pooled(learning.settle(everything=True)):  # only where it was interrupted
            records.add_rounds(episode, results, policy.soft_prompt.rms, time.perf_counter() - clock)
        if episode > saved:
            save(episode)
    records.close()
    if stopped:
        raise KeyboardInterrupt(folder)
    return records.results()


def _pooled(results: list[RoundResult]) -> list[RoundResult]:
    """Rounds of a whole batch, from what each process has of them; steps were taken together, and are the same in all.

    Figures that only some processes have are the mean of those.
    """
    if distributed.size() == 1:
        return results
    pooled = []
    for parts in zip(*distributed.gathered(results), strict=True):
        reward, before, after = (fmean(part[i] for part in parts) for i in (1, 2, 3))
        tags = dict.fromkeys(tag for part in parts for tag in part.extra)
        extra = {tag: fmean(part.extra[tag] for part in parts if tag in part.extra) for tag in tags}
        pooled.append(RoundResult(parts[0].update, reward, before, after, extra))
    return pooled


def _resumed(config: Config, folder: Path) -> tuple[Config, Json, Path]:
    """A run's configuration, with more episodes where they are asked for; its results so far; its last checkpoint."""
    if not folder.is_dir():
        raise TrainingError(f"--resume {folder}: there is no such run folder")
    stored = Config.from_json(read_json(folder / "config.json")).resolved()
    episodes = stored.episodes if config.episodes is None else config.episodes
    resumed = dataclasses.replace(stored, episodes=episodes, quiet=config.quiet)
    return resumed, read_json(folder / "results.json"), latest_checkpoint(folder)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that fills when the process is asked to stop; a second request stops it at once."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        if distributed.is_first():
            print("\nstopping after this step; everything will be saved (again to stop at once)", file=sys.stderr)

    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, note)
        except ValueError:  # not in the main thread: whoever runs it there handles its own signals
            break
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def report(results: Json, folder: object) -> str:
    """A few lines of text on what a run reached."""
    first, last = results["initial"], results["final"]
    lines = [f"{'held-out accuracy':<20}{'before':>8}{'after':>8}"]
    lines.append(f"{'all':<20}{first['accuracy']:>8.1%}{last['accuracy']:>8.1%}")
    lines += [f"{task:<20}{first['per_task'][task]:>8.1%}{last['per_task'][task]:>8.1%}" for task in first["per_task"]]
    speed = results["episodes_per_second"]
    if speed:
        lines.append(f"{results['training_seconds']:.0f} s of training, {speed:.2f} episodes/s")
    lines.append(f"tensorboard --logdir {folder}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when the run is done, 2 when it cannot be done as asked, 130 when it was interrupted."""
    which = f"process {os.environ['RANK']}: " if os.environ.get("RANK", "0") != "0" else ""  # of those torchrun started
    try:
        config = tyro.cli(Config, prog="python -m train.online", args=arguments)
        with distributed.joined():
            results = train(config)
    except (ArenaError, AgentError, TrainingError, OSError) as error:
        print(f"{which}error: {error}", file=sys.stderr)
        return 2
    except torch.OutOfMemoryError as error:
        print(
            f"{which}error: out of memory, try a smaller --batch-size ({str(error).splitlines()[0]})",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt as stop:
        where = stop.args[0] if stop.args else None
        if not which:
            print(f"interrupted; go on with --resume {where}" if where else "interrupted", file=sys.stderr)
        return 130
    if results:
        print(report(results, results["config"]["run_dir"] or "runs"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
