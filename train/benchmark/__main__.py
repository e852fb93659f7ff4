"""How fast a soft prompt learns here, beside the loop it descends from, PEFT and TRL.

python -m train.benchmark --size small
python -m train.benchmark --contestants reference-float32 ours-sequential --json figures.json
pip install 'reasoning-arena[benchmark]'    # for PEFT and TRL
"""

import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
import tyro
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.models import load_model
from reasoning_arena.envs import ArenaError
from reasoning_arena.train.benchmark.arithmetic import TrainingStep, training_step
from reasoning_arena.train.benchmark.contestants import CONTESTANTS, measure
from reasoning_arena.train.benchmark.report import Result, Results, table, to_json
from reasoning_arena.train.benchmark.settings import ContestantName, ResolvedSettings, Settings
from reasoning_arena.train.command import exit_status
from reasoning_arena.train.processes import in_own_process
from reasoning_arena.train.records import write_json


def benchmark(
    settings: ResolvedSettings, note: Callable[[Results, TrainingStep | None], None]
) -> tuple[Results, TrainingStep | None]:
    """Measure everyone in turn, as often as is asked for.

    Args:
        settings: who, how long, and on what.
        note: is told what is known after every measurement.

    Raises:
        AgentError, ArenaError, TrainingError: something that was asked for cannot be had.
    """
    results: Results = {name: Result() for name in settings.contestants}
    for repeat in range(settings.repeats):
        for name, result in results.items():
            if result.problem is None:
                _measure_again(name, result, settings, repeat)
                note(results, None)
    step = None
    if "ours-batch" in results:
        print("the training step's arithmetic", file=sys.stderr)
        step = in_own_process(training_step, settings)
        note(results, step)
    return results, step


def _measure_again(name: ContestantName, result: Result, settings: ResolvedSettings, repeat: int) -> None:
    """Add one more measurement of a contestant to its result, or why there is none."""
    if missing := CONTESTANTS[name].missing:
        result.problem = f"not installed: {', '.join(missing)} (pip install 'reasoning-arena[benchmark]')"
        return
    print(f"{name} ({repeat + 1} of {settings.repeats})", file=sys.stderr)
    try:
        climbs = repeat == 0 and bool(settings.accuracy_seconds)
        result.measurements.append(in_own_process(measure, name, settings, climbs))
        print(f"  {result.measurements[-1].rate:.2f} {CONTESTANTS[name].unit}", file=sys.stderr)
    except (AgentError, ArenaError):
        raise
    except Exception as error:  # a peer's own failure is a finding, not the end
        reason = str(error).strip().splitlines()
        result.problem = f"failed: {type(error).__name__}: {reason[0] if reason else 'no message'}"


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on."""
    cuda = device.type == "cuda"
    versions = {"python": platform.python_version()}
    for name in ("torch", "transformers", "peft", "trl"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        "device": torch.cuda.get_device_name(device) if cuda else f"{platform.machine()} CPU",
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "versions": versions,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when everything was measured, 2 when it cannot be done as asked, 130 when it was interrupted."""

    def run() -> None:
        settings = tyro.cli(Settings, prog="python -m train.benchmark", args=arguments).resolved()
        load_model(settings.model, "cpu", "float32")  # whatever has to be fetched is fetched before the stopwatch runs
        where = machine(torch.device(settings.device))

        def note(results: Results, step: TrainingStep | None) -> None:
            if settings.json is not None:
                write_json(settings.json, to_json(settings, where, results, step))

        results, step = benchmark(settings, note)
        print(table(settings, where, results, step))

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
