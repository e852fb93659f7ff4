"""Rounds of learning from reward: answers that the environment paid, weighted by what they earned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train import distributed
from reasoning_arena.train.config import Resolved
from reasoning_arena.train.estimators import ESTIMATORS, exact, merged, rloo
from reasoning_arena.train.losses import weighted_completions
from reasoning_arena.train.optimizer import Optimizer, Update
from reasoning_arena.train.rounds import Lanes, RoundResult, new_stream, texts
from reasoning_arena.train.stream import Lesson

ENUMERATED = 8  # answers to a closed question, up to which each of them is paid


class Group(NamedTuple):
    """The answers to one question that are paid and learnt from.

    Attributes:
        texts: what the environment is told.
        tokens: the same in tokens, the stop token last.
        enumerated: whether these are all the answers that the question allows, rather than samples.
        entropy: of the distribution that samples came from, in nats an answer, as they estimate it.
    """

    texts: list[str]
    tokens: list[tuple[int, ...]]
    enumerated: bool
    entropy: float = 0.0


class PaidRound(NamedTuple):
    """What is known of a round before its questions are answered again."""

    update: Update | None
    questions: Sequence[str]
    tasks: Sequence[str]
    reward: float
    accuracy_before: float
    extra: dict[str, float]


class Effort:
    """How many samples a question gets: as many as make one success likely, going by the last ones of its task.

    Args:
        least: samples, where they succeed often, and at first.
        most: where they hardly ever do.
    """

    MEMORY = 0.9  # of the counts, a question

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most
        self.successes: dict[str, float] = {}
        self.samples: dict[str, float] = {}

    def of(self, task: str) -> int:
        """For the next question of a task."""
        rate = (self.successes.get(task, 0.0) + 1) / (self.samples.get(task, 0.0) + self.least)
        return min(max(self.least, round(1 / rate)), self.most)

    def note(self, task: str, rewards: torch.Tensor) -> None:
        """Count what the samples of a question earned."""
        self.successes[task] = self.MEMORY * self.successes.get(task, 0.0) + int((rewards > 0).sum())
        self.samples[task] = self.MEMORY * self.samples.get(task, 0.0) + len(rewards)


class RewardRound:
    """Reward-weighted log-probabilities of answers that the environment paid. The gold answer is never looked at.

    The answers are the policy's own samples; with the estimator ``exact``, a question that says which answers it allows
    gets each of those instead. A third environment with the same seeds asks every question once for each answer.
    """

    def __init__(self, config: Resolved, policy: SoftPromptPolicy, optimizer: Optimizer) -> None:
        self.config, self.policy, self.optimizer = config, policy, optimizer
        self.estimator = ESTIMATORS[config.estimator]
        self.stream = new_stream(config)
        self.before, self.after = Lanes(config, self.stream.progression), Lanes(config, self.stream.progression)
        self.effort = Effort(config.samples_per_question, config.most_samples)
        self.slots = max(self.effort.most, ENUMERATED if self.estimator.enumerates else 0)
        self.paid = Lanes(config, self.stream.progression, self.slots)
        # Of 64 bits, torch's generator on a CPU would look at the lower half alone.
        seed = np.random.SeedSequence([config.seed, distributed.rank()]).generate_state(1)[0]
        self.generator = torch.Generator(policy.lm.device).manual_seed(int(seed))
        self.last: PaidRound | None = None  # not yet answered again
        self.results: list[RoundResult] = []

    def play(self) -> Update | None:
        """Learn from the next batch of questions."""
        questions, tasks = self.before.questions, self.before.tasks
        greedy, groups = self._answers(questions, tasks, self.before.candidates)
        before, _ = self.before.answer(greedy)
        told = [text for group in groups for text in (*group.texts, *[""] * (self.slots - len(group.texts)))]
        rewards = torch.from_numpy(self.paid.answer(told)[0]).float().view(-1, self.slots)  # (B, S)
        paid = [some[: len(group.texts)] for some, group in zip(rewards, groups, strict=True)]
        update, extra = self._learn(questions, tasks, groups, paid)
        self.stream.note(tasks, list(before > 0))
        sampled = [k for k, group in enumerate(groups) if not group.enumerated]
        for k in sampled:
            self.effort.note(tasks[k], paid[k])
        # What the policy itself earned: its samples, or where there are none its greedy answer.
        earned = torch.from_numpy(before).float()
        earned[sampled] = torch.tensor([float(paid[k].mean()) for k in sampled])
        extra |= self.stream.progression.figures()
        if sampled:
            success = torch.tensor([float((paid[k] > 0).float().mean()) for k in sampled])
            extra |= {
                "train/success_rate": float(success.mean()),
                "train/dead_groups": float(((success == 0) | (success == 1)).float().mean()),
                "train/entropy": sum(group.entropy for group in groups) / len(sampled),
                "train/samples": sum(len(paid[k]) for k in sampled) / len(sampled),
            }
        self.last = PaidRound(update, questions, tasks, float(earned.mean()), float((before > 0).mean()), extra)
        return update

    def settle(self, *, everything: bool) -> list[RoundResult]:
        """The rounds answered again: all but the last, whose questions wait to be put beside the next ones."""
        if everything and self.last is not None:
            self._note_after(texts(self.policy.act(self.last.questions, self.last.tasks)))
        results, self.results = self.results, []
        return results

    def _answers(
        self, questions: Sequence[str], tasks: Sequence[str], candidates: Sequence[tuple[str, ...]]
    ) -> tuple[list[str], list[Group]]:
        """Greedy answers to the questions, and those to be paid: samples, or all that there are.

        The last round's questions are answered again beside them: what was learnt from them is what these begin with.
        """
        encoder, size = self.policy.encoder, [self.effort.of(task) for task in tasks]
        closed = [self.estimator.enumerates and 0 < len(allowed) <= ENUMERATED for allowed in candidates]
        again, again_tasks = ((), ()) if self.last is None else (self.last.questions, self.last.tasks)
        temperatures: list[Sequence[float]] = [(0.0,)] * len(again)
        temperatures += [
            (0.0,) if enumerated else (0.0, *[self.config.temperature] * n)
            for enumerated, n in zip(closed, size, strict=True)
        ]
        said = self.policy.act(
            [*again, *questions],
            [*again_tasks, *tasks],
            temperatures=temperatures,
            generator=self.generator,
            scored_next=True,
        )
        if again:
            self._note_after(texts(said[: len(again)]))
        rest = iter(said[len(again) :])
        greedy, groups = [], []
        for allowed, enumerated, n in zip(candidates, closed, size, strict=True):
            greedy.append(next(rest).text)
            if enumerated:
                groups.append(Group(list(allowed), [encoder.completion_ids(text) for text in allowed], True))
            else:
                samples = [next(rest) for _ in range(n)]
                entropy = -sum(sample.logprob for sample in samples) / n
                groups.append(Group(texts(samples), [sample.tokens for sample in samples], False, entropy))
        return greedy, groups

    def _note_after(self, answers: Sequence[str]) -> None:
        """Complete the last round with the answers after its update."""
        assert self.last is not None
        after, _ = self.after.answer(answers)
        update, _, _, reward, before, extra = self.last
        self.results.append(RoundResult(update, reward, before, float((after > 0).mean()), extra))
        self.last = None

    def _learn(
        self, questions: Sequence[str], tasks: Sequence[str], groups: Sequence[Group], paid: Sequence[torch.Tensor]
    ) -> tuple[Update | None, dict[str, float]]:
        """One step on the answers that carry a weight, or none where none does, and figures by TensorBoard tag.

        Every question counts once, however many answers to it there are, and so does everything gone over again.
        """
        pull = self.config.kl
        weights = [self._weights(group, rewards) for group, rewards in zip(groups, paid, strict=True)]
        chosen = [
            (k, i)
            for k, group in enumerate(groups)
            for i in range(len(group.tokens))
            if weights[k][i] or (pull and not group.enumerated)
        ]
        again = self.stream.replay.draw()
        if not chosen and not again:
            self.stream.replay.remember([], torch.zeros(0))  # other processes may have some
            return self.optimizer.step(None), {}
        rows: dict[int, list[int]] = {}  # of each question that has any
        for n, (k, _) in enumerate(chosen):
            rows.setdefault(k, []).append(n)
        prompts = [*(questions[k] for k in rows), *(one.question for one in again)]
        named = [*(tasks[k] for k in rows), *(one.task for one in again)]
        completions = [*(groups[k].tokens[i] for k, i in chosen), *(one.completion for one in again)]
        owners = [*(u for u, mine in enumerate(rows.values()) for _ in mine), *range(len(rows), len(prompts))]
        scored = self.policy.score(prompts, completions, owners, named)
        known = scored.logprobs.detach().sum(1).cpu()
        worth = [n for n, (k, i) in enumerate(chosen) if paid[k][i] > 0] + [*range(len(chosen), len(completions))]
        lessons = [Lesson(prompts[owners[n]], named[owners[n]], completions[n]) for n in worth]
        self.stream.replay.remember(lessons, known[worth])
        carried = torch.tensor([*(float(weights[k][i]) for k, i in chosen), *[1.0] * len(again)])
        for k, mine in rows.items():
            if groups[k].enumerated:
                carried[mine] = exact(torch.ones(len(mine)), known[mine])
        extra = {}
        sampled = [mine for k, mine in rows.items() if not groups[k].enumerated]
        if pull and sampled:
            new = prompts[: len(rows)], completions[: len(chosen)], owners[: len(chosen)]
            apart = known[: len(chosen)] - self.policy.unprompted(*new).cpu()
            for mine in sampled:  # relative to the others, so that all of it is charged
                carried[mine] -= pull * rloo(apart[mine][None])[0] / len(mine)
            extra = {"train/kl": float(torch.cat([apart[mine] for mine in sampled]).mean())}
        carried *= self.stream.emphasis.factors(named)[owners]
        return self.optimizer.step(weighted_completions(scored, carried, len(groups) + len(again))), extra

    def _weights(self, group: Group, rewards: torch.Tensor) -> torch.Tensor:
        """The weights of a question's answers; of enumerated ones, what was paid has some that is yet to be found."""
        if group.enumerated:
            return merged((rewards > 0).float(), group.tokens)
        return merged(self.estimator.weights(rewards[None])[0] / len(rewards), group.tokens)

    def skip(self, rounds: int) -> None:
        """Pass over questions."""
        for lanes in (self.before, self.after, self.paid):
            lanes.skip(rounds)

    def state_dict(self) -> dict[str, Any]:
        """The state of the sampling."""
        return {
            "generator": self.generator.get_state(),
            "successes": dict(self.effort.successes),
            "samples": dict(self.effort.samples),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sample on from a saved state."""
        self.generator.set_state(state["generator"].cpu())
        self.effort.successes, self.effort.samples = dict(state["successes"]), dict(state["samples"])
