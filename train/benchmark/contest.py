"""What every contestant gets: the same questions, the same soft prompt to start from, one stopwatch."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from reasoning_arena.agents.encoding import Encoder
from reasoning_arena.agents.models import LoadedModel, dtype_name, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.agents.soft_prompt import SoftPrompt, initial_soft_prompt
from reasoning_arena.train.benchmark.settings import ResolvedSettings
from reasoning_arena.train.held_out import Evaluator
from reasoning_arena.train.memory import peak_memory
from reasoning_arena.train.rounds import Lanes
from torch import Tensor

INSTRUCTION = "Answer with the final answer only."  # what the soft prompts start from
WARM_UP = 2  # steps before the stopwatch starts
EVALUATIONS = 10  # on the way to an accuracy


class Contestant(Protocol):
    """Somebody who learns a soft prompt step by step."""

    def step(self) -> int:
        """Learn from the next questions, and say how many those were (or how many completions to them)."""

    def settle(self) -> None:
        """Do the work that was put off."""

    @property
    def soft_prompt(self) -> Tensor:
        """What has been learnt so far, ``[P, D]``."""


class Maker(Protocol):
    """Makes a contestant."""

    def __call__(self, lm: LoadedModel, settings: ResolvedSettings, steps: int) -> Contestant:
        """A new contestant on a model; ``steps`` is how many it may take, where a schedule wants to know."""


@dataclass(frozen=True)
class Climb:
    """How a held-out accuracy was approached.

    Attributes:
        seconds: of learning, evaluations left out, until the accuracy asked for was seen; None where it never was.
        best: the highest accuracy seen.
        episodes: learnt from by the end.
    """

    seconds: float | None
    best: float
    episodes: int


@dataclass(frozen=True)
class Measurement:
    """What one contestant did in one process.

    Attributes:
        rate: episodes or completions a second.
        done: how many of them were timed.
        peak_memory: the most memory that the process held, bytes; on CUDA, of the device's.
        dtype: what the frozen model computed in.
        climb: time to an accuracy, where it was asked for.
        notes: further figures.
    """

    rate: float
    done: int
    peak_memory: int
    dtype: str
    climb: Climb | None = None
    notes: dict[str, float] = field(default_factory=dict)


def start(lm: LoadedModel, settings: ResolvedSettings) -> SoftPrompt:
    """The soft prompt that everyone starts from: the words of an instruction."""
    return initial_soft_prompt(lm, settings.soft_tokens, "text", INSTRUCTION, torch.Generator())


def asked(settings: ResolvedSettings, batch: int) -> Iterator[list[tuple[str, str]]]:
    """Batches of questions and gold answers without end, those that a training run of ours is asked."""
    lanes = Lanes(settings.config("supervised", batch))
    while True:
        questions = lanes.questions
        _, told = lanes.answer([""] * batch)
        yield list(zip(questions, told["gold_answer"], strict=True))


def tokens(encoder: Encoder, question: str, gold: str) -> tuple[list[int], list[int]]:
    """A question's and its gold answer's tokens, as ours reads them."""
    return list(encoder.prompt_ids(question)), list(encoder.completion_ids(gold))


def in_steps(make: Maker, lm: LoadedModel, settings: ResolvedSettings, *, climbs: bool = False) -> Measurement:
    """Measure a contestant that learns step by step.

    Args:
        make: makes it.
        lm: its model.
        settings: how long.
        climbs: whether the time to an accuracy is measured too, from a new start.
    """
    contestant = make(lm, settings, 1000)
    for _ in range(WARM_UP):
        done = contestant.step()
    contestant.settle()
    begin, total = time.perf_counter(), 0
    while time.perf_counter() - begin < settings.seconds:
        total += contestant.step()
    contestant.settle()
    if lm.device.type == "cuda":
        torch.cuda.synchronize(lm.device)
    rate = total / (time.perf_counter() - begin)
    peak = peak_memory(lm.device)
    climb = None
    if climbs:
        steps = max(1, int(rate * settings.accuracy_seconds / done))
        climb = _climb(make(lm, settings, steps), settings, dtype_name(lm.dtype))
    return Measurement(rate, total, peak, dtype_name(lm.dtype), climb)


def _climb(contestant: Contestant, settings: ResolvedSettings, dtype: str) -> Climb:
    """Learn until the held-out accuracy is reached or the time is over."""
    lm = load_model(settings.model, settings.device, dtype)  # its own: nothing of ours touches another's model
    soft_prompt = start(lm, settings)
    policy = SoftPromptPolicy(
        lm, soft_prompt, chat_template=settings.chat_template, max_new_tokens=settings.max_new_tokens
    )
    evaluate = Evaluator(settings.config("supervised", settings.batch_size))
    best, episodes, learnt = evaluate(policy).accuracy, 0, 0.0
    for due in range(1, EVALUATIONS + 1):
        if best >= settings.accuracy:
            return Climb(learnt, best, episodes)
        begin = time.perf_counter() - learnt
        while time.perf_counter() - begin < due * settings.accuracy_seconds / EVALUATIONS:
            episodes += contestant.step()
        contestant.settle()
        learnt = time.perf_counter() - begin
        soft_prompt.weight.data.copy_(contestant.soft_prompt)
        best = max(best, evaluate(policy).accuracy)
    return Climb(learnt if best >= settings.accuracy else None, best, episodes)
