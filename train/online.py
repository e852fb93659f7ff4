"""Online learning: a question, an answer, what it was worth, a gradient step, and the same question again.

python -m train.online --loss supervised
python -m train.online --loss reward
torchrun --nproc-per-node 2 -m train.online
tensorboard --logdir runs
"""

import sys
from collections.abc import Sequence

import tyro
from reasoning_arena.train import distributed
from reasoning_arena.train.command import exit_status
from reasoning_arena.train.config import ENDLESS, Config
from reasoning_arena.train.interrupts import interrupts
from reasoning_arena.train.records import Json
from reasoning_arena.train.run import Run
from tqdm import tqdm
from transformers.utils.logging import disable_progress_bar


def train(config: Config) -> Json:
    """Run one training run from beginning to end, or until it is interrupted.

    Args:
        config: everything about it.

    Returns:
        what results.json holds; nothing in the processes that write none.

    Raises:
        ArenaError, AgentError, TrainingError: something that was asked for cannot be had; all messages say what.
        KeyboardInterrupt: it was interrupted; everything is saved, and the argument is the run folder.
    """
    silent = config.quiet or not distributed.is_first()
    if silent:
        disable_progress_bar()  # transformers' own, of loading
    run = Run(config)
    lm = run.policy.lm
    if not silent:
        print(
            f"{config.loss} learning of {run.policy.soft_prompt.size:,} numbers on {lm.name} "
            f"({lm.device}, {run.config.dtype}) → {run.folder}",
            file=sys.stderr,
        )
    total = None if run.config.episodes == ENDLESS else run.rounds * run.batch
    bar = tqdm(total=total, initial=run.episode, unit="episode", disable=silent, dynamic_ncols=True)
    with bar, interrupts(silent=silent) as received:
        for episode, update, held_out in run.play(lambda: bool(received), bar.set_description):
            loss = "–" if update is None else f"{update.loss:.3f}"
            reward = f"{run.records.training[-1]['reward']:+.2f}" if run.records.training else "–"
            bar.set_description("learning", refresh=False)
            bar.set_postfix(loss=loss, reward=reward, held_out=f"{held_out:.1%}")
            bar.update(episode - bar.n)
        stopped = distributed.anywhere(bool(received))
    if stopped and not run.over:
        raise KeyboardInterrupt(run.folder)
    return run.records.results()


def report(results: Json, folder: object) -> str:
    """A few lines of text on what a run reached."""
    first, last = results["initial"], results["final"]
    lines = [f"{'held-out accuracy':<20}{'before':>8}{'after':>8}"]
    lines.append(f"{'all':<20}{first['accuracy']:>8.1%}{last['accuracy']:>8.1%}")
    both = [task for task in first["per_task"] if task in last["per_task"]]
    lines += [f"{task:<20}{first['per_task'][task]:>8.1%}{last['per_task'][task]:>8.1%}" for task in both]
    speed = results["episodes_per_second"]
    if speed:
        lines.append(f"{results['training_seconds']:.0f} s of training, {speed:.2f} episodes/s")
    lines.append(f"tensorboard --logdir {folder}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when the run is done, 2 when it cannot be done as asked, 130 when it was interrupted."""

    def run() -> None:
        config = tyro.cli(Config, prog="python -m train.online", args=arguments)
        if config.resume is None:
            config.refuse_unused()
        with distributed.joined():
            results = train(config)
        if results:
            print(report(results, results["config"]["run_dir"] or "runs"))

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
