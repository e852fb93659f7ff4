"""Who is measured."""

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from reasoning_arena.agents.models import LoadedModel, load_model
from reasoning_arena.train.benchmark.contest import Measurement, in_steps
from reasoning_arena.train.benchmark.grpo import grpo
from reasoning_arena.train.benchmark.ours import ours_batch, ours_reward, ours_sequential
from reasoning_arena.train.benchmark.prompt_tuning import PromptTuning
from reasoning_arena.train.benchmark.reference import ReferenceLoop
from reasoning_arena.train.benchmark.settings import ContestantName, ResolvedSettings


class Entry(NamedTuple):
    """A contestant.

    Attributes:
        measure: measures it on a model.
        climbs: whether ``measure`` can be asked for the time to an accuracy, ``climbs=True``.
        unit: what its rate counts.
        dtype: of its model; None takes what the settings say.
        needs: packages.
        ours: whether it is this project's.
    """

    measure: Callable[..., Measurement]
    climbs: bool = True
    unit: str = "episodes/s"
    dtype: str | None = None
    needs: tuple[str, ...] = ()
    ours: bool = False

    @property
    def missing(self) -> list[str]:
        """Packages that it needs and that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


_reference, _peft = partial(in_steps, ReferenceLoop), partial(in_steps, PromptTuning)
CONTESTANTS: dict[ContestantName, Entry] = {
    "reference-float32": Entry(_reference, dtype="float32"),
    "reference-bfloat16": Entry(_reference, dtype="bfloat16"),
    "peft-float32": Entry(_peft, dtype="float32", needs=("peft",)),
    "peft-bfloat16": Entry(_peft, dtype="bfloat16", needs=("peft",)),
    "trl-float32": Entry(grpo, False, "completions/s", "float32", ("peft", "trl")),
    "trl-bfloat16": Entry(grpo, False, "completions/s", "bfloat16", ("peft", "trl")),
    "ours-sequential": Entry(partial(in_steps, ours_sequential), ours=True),
    "ours-batch": Entry(partial(in_steps, ours_batch), ours=True),
    "ours-reward": Entry(partial(in_steps, ours_reward), False, "completions/s", ours=True),
}


def measure(name: ContestantName, settings: ResolvedSettings, climbs: bool) -> Measurement:
    """Measure one contestant in this process.

    Args:
        name: whom.
        settings: everything else.
        climbs: whether the time to an accuracy is measured too, by who can be asked for it.

    Raises:
        AgentError: the model cannot be had.
    """
    entry = CONTESTANTS[name]
    lm: LoadedModel = load_model(settings.model, settings.device, entry.dtype or settings.dtype)
    if entry.climbs and climbs:
        return entry.measure(lm, settings, climbs=True)
    return entry.measure(lm, settings)
