"""Rounds of supervised learning: cross-entropy on the gold answer that the environment shows, or on its solution."""

from collections.abc import Sequence
from typing import Any

import torch
from reasoning_arena.agents.language_model import Scored
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.envs.episode import Info
from reasoning_arena.train.config import Config
from reasoning_arena.train.learner import Learner, Update
from reasoning_arena.train.losses import per_token, weighted_completions
from reasoning_arena.train.rounds import Lanes, Rewards, RoundResult, texts

SETTLE_ROWS = 24  # answers that are decoded together; more would take gigabytes of keys and values


class SupervisedRound:
    """Cross-entropy on the gold answer, or on the worked solution.

    A question's gold answer is told by a twin environment that was answered with nothing. Scoring it gives the loss,
    and at once what greedy decoding answers before the update; scoring it again, what it answers after. Only answers
    that differ need decoding, and those of several rounds are decoded together. With a model that cannot foresee its
    answers they are decoded one round after another, which gives the same.
    """

    def __init__(self, config: Config, policy: SoftPromptPolicy, learner: Learner) -> None:
        self.config, self.policy, self.learner = config, policy, learner
        self.before, self.after = Lanes(config), Lanes(config)
        self.scout = Lanes(config) if policy.foresees else None
        self.last: tuple[Update, Scored, Sequence[str]] | None = None  # not yet scored again
        self.waiting: list[tuple[Update, Scored, Scored]] = []  # not yet decoded
        self.results: list[RoundResult] = []

    def play(self) -> Update:
        """Learn from the next batch of questions."""
        policy = self.policy
        if self.scout is None:
            questions = self.before.questions
            rewards, told = self.before.answer(texts(policy.act(questions)))
            update = self._step(policy.score(questions, self._targets(told)))
            self._note(update, rewards, self.after.answer(texts(policy.act(questions)))[0])
            return update
        questions = self.scout.questions
        targets = self._targets(self.scout.answer([""] * len(questions))[1])
        scored = policy.score(questions, targets, keep_contexts=True)
        self._score_again()  # with the soft prompt that this round begins with, whose keys and values are still there
        update = self._step(scored)
        self.last = update, scored._replace(logprobs=scored.logprobs.detach()), questions
        return update

    def settle(self, *, everything: bool) -> list[RoundResult]:
        """Decode what has to be decoded, once enough has come together."""
        if everything:
            self._score_again()
        rows = sum(len(scored.completions) + len(again.completions) for _, scored, again in self.waiting)
        if rows >= SETTLE_ROWS or (everything and rows):
            said = self.policy.greedy_answers(*(scored for _, *pair in self.waiting for scored in pair))
            for (update, _, _), first, then in zip(self.waiting, said[::2], said[1::2], strict=True):
                self._note(update, self.before.answer(texts(first))[0], self.after.answer(texts(then))[0])
            self.waiting = []
        results, self.results = self.results, []
        return results

    def _step(self, scored: Scored) -> Update:
        return self.learner.step(weighted_completions(scored, per_token(scored), len(scored.completions)))

    @torch.no_grad()
    def _score_again(self) -> None:
        """Score the last round's targets with what was learnt from them."""
        if self.last is not None:
            update, scored, questions = self.last
            again = self.policy.score(questions, scored.completions, keep_contexts=True)
            self.waiting.append((update, scored, again))
            self.last = None

    def _targets(self, told: Info) -> list[tuple[int, ...]]:
        texts = told["solution" if self.config.target == "solution" else "gold_answer"]
        return [self.policy.encoder.completion_ids(text) for text in texts]

    def _note(self, update: Update, before: Rewards, after: Rewards) -> None:
        shares = float((before > 0).mean()), float((after > 0).mean())
        self.results.append(RoundResult(update, float(before.mean()), *shares, {}))

    def skip(self, rounds: int) -> None:
        """Pass over questions."""
        for lanes in (self.before, self.after, self.scout):
            if lanes is not None:
                lanes.skip(rounds)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the questions follow from the seed."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do."""
