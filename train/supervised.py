"""Rounds of supervised learning: cross-entropy on the gold answer that the environment shows, or on its solution."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from reasoning_arena.agents.language_model import Begun, Scored
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.envs.episode import Info
from reasoning_arena.train import distributed
from reasoning_arena.train.config import Resolved
from reasoning_arena.train.losses import contrast, per_token, weighted_completions
from reasoning_arena.train.optimizer import Optimizer, Update
from reasoning_arena.train.rounds import Lanes, Rewards, RoundResult, new_stream, texts
from reasoning_arena.train.stream import Lesson

# Of as many answers as are best decoded together: how many are waited for, and how many of these may be left to go on
# with the next ones, since a pass for a few takes as long as one for many.
SETTLE_SHARE, LEAVE_SHARE = 0.75, 0.25
SETTLE_ROUNDS = 16  # after which results are told, however little there is to decode
Completion = tuple[int, ...]


class Played(NamedTuple):
    """A round whose questions are to be answered.

    Attributes:
        update: the step that was taken.
        questions: what was asked.
        tasks: of which task each question is.
        targets: what was imitated.
    """

    update: Update | None
    questions: Sequence[str]
    tasks: Sequence[str]
    targets: Sequence[Completion]


class Asked(NamedTuple):
    """A round's questions, and what there is to learn from them.

    Attributes:
        questions: what is asked.
        tasks: of which task each one is.
        targets: what is imitated.
        wrong: answers to each question that are not to be given, where those are learnt from.
    """

    questions: Sequence[str]
    tasks: Sequence[str]
    targets: Sequence[Completion]
    wrong: Sequence[Sequence[Completion]]


class SupervisedRound:
    """Cross-entropy on the gold answer, or on the worked solution; contrastive, on its wrong alternatives too.

    A question's gold answer is told by a twin environment that was answered with nothing. Scoring it gives the loss,
    and at once what greedy decoding answers before the update; scoring it again, what it answers after, in one pass
    with the next round's questions where they are few. Only answers that differ need decoding, and those of several
    rounds are decoded together; where the model itself learns, those between one update and the next. With a policy
    that cannot foresee its answers they are decoded one round after another, which gives the same.
    """

    def __init__(self, config: Resolved, policy: SoftPromptPolicy, optimizer: Optimizer) -> None:
        self.config, self.policy, self.optimizer = config, policy, optimizer
        self.stream = new_stream(config)
        self.before, self.after = Lanes(config, self.stream.progression), Lanes(config, self.stream.progression)
        self.scout = Lanes(config, self.stream.progression) if policy.foresees else None
        self.next: Asked | None = None  # asked ahead
        self.last: tuple[Played, Begun] | None = None  # not yet scored again
        self.waiting: list[tuple[Played, list[Begun]]] = []  # before and after the step, not yet decoded
        self.results: list[RoundResult] = []

    def play(self) -> Update | None:
        """Learn from the next batch of questions."""
        if self.scout is None:
            questions, tasks = self.before.questions, self.before.tasks
            rewards, told = self.before.answer(texts(self.policy.act(questions, tasks)))
            played = self._learn(self._asked(questions, told))
            self._note(played, rewards, self.after.answer(texts(self.policy.act(questions, tasks)))[0])
            return played.update
        asked, self.next = self.next or self._scouted(self.scout), None
        return self._learn(asked).update

    def settle(self, *, everything: bool) -> list[RoundResult]:
        """Decode what has to be decoded, once enough has come together, or at once where the stream follows success."""
        everything = everything or self.stream.follows_success
        if everything:
            self._score_again()
        late = everything or len(self.waiting) >= SETTLE_ROUNDS
        best = self.policy.language_model.decoded_together
        if late or sum(len(one.growing) for _, both in self.waiting for one in both) >= SETTLE_SHARE * best:
            self._decode(leave=0 if late else int(LEAVE_SHARE * best))
        growing = (k for k, (_, both) in enumerate(self.waiting) if any(one.growing for one in both))
        done = min(distributed.gathered(next(growing, len(self.waiting))))  # all processes tell the same rounds
        for played, both in self.waiting[:done]:
            first, then = (texts(self.policy.answers(one)) for one in both)
            self._note(played, self.before.answer(first)[0], self.after.answer(then)[0])
        self.waiting = self.waiting[done:]
        results, self.results = self.results, []
        return results

    def _decode(self, *more: Begun, leave: int = 0) -> list[Begun]:
        """Go on with the answers of the rounds that wait, and with more, which are returned."""
        begun = self.policy.grow([*(one for _, both in self.waiting for one in both), *more], leave)
        self.waiting = [(played, begun[2 * k : 2 * k + 2]) for k, (played, _) in enumerate(self.waiting)]
        return begun[2 * len(self.waiting) :]

    def _scouted(self, scout: Lanes) -> Asked:
        """The next questions."""
        questions = scout.questions
        _, told = scout.answer([""] * len(questions))
        return self._asked(questions, told)

    def _ask_ahead(self) -> None:
        """Have the next questions, and their tokens, before they are needed."""
        if self.scout is not None and not self.stream.follows_success:
            self.next = self._scouted(self.scout)
            for question in self.next.questions:
                self.policy.encoder.prompt_ids(question)  # which it remembers

    def _asked(self, questions: Sequence[str], told: Info) -> Asked:
        return Asked(questions, told["task"].tolist(), self._targets(told), self._wrong(told))

    def _learn(self, asked: Asked) -> Played:
        """One step on these questions, and on earlier ones beside them; foreseen are the answers before it, too."""
        (questions, tasks, targets, wrong), n = asked, len(asked.questions)
        again = self.stream.replay.draw()
        # The questions' targets first, then what is gone over again, then wrong answers to the questions.
        completions = [*targets, *(one.completion for one in again), *(ids for some in wrong for ids in some)]
        owners = [*range(n + len(again)), *(k for k, some in enumerate(wrong) for _ in some)]
        # The last round's targets are scored again, without gradients, by the soft prompt that this round begins with:
        # along with this round's, or else with the keys and values that are still there.
        last = self.last[0] if self.last is not None and self.policy.derives_some and not any(wrong) else None
        scored = self.policy.score(
            [*questions, *(one.question for one in again), *(last.questions if last else ())],
            [*completions, *(last.targets if last else ())],
            owners if any(wrong) else None,
            [*tasks, *(one.task for one in again), *(last.tasks if last else ())],
            keep_contexts=self.scout is not None,
            derived=len(completions) if last else None,
        )
        if last:
            self._told_again(scored.part(len(completions)))
            scored = scored.part(0, len(completions))
        self._score_again()
        lessons = [*(Lesson(*one) for one in zip(questions, tasks, targets, strict=True)), *again]
        logprobs = scored.logprobs.detach().sum(1)
        self.stream.replay.remember(lessons, logprobs[: len(lessons)])
        before = None if self.scout is None else self.policy.begin(scored.part(0, n))
        if before is not None and self.policy.model_learns:
            (before,) = self._decode(before)
        weights = per_token(scored)
        weights[n + len(again) :] = 0  # cross-entropy has nothing to say about wrong answers
        if any(wrong):
            weights += contrast(logprobs, torch.tensor(owners, device=weights.device))
        factors = self.stream.emphasis.factors([*tasks, *(one.task for one in again)])
        weights *= factors[owners].to(weights)
        loss = weighted_completions(scored, weights, n + len(again))
        update = self.optimizer.step(loss, meanwhile=self._ask_ahead)
        played = Played(update, questions, tasks, targets)
        if before is not None:
            self.last = played, before
        return played

    def _wrong(self, told: Info) -> list[list[Completion]]:
        """The wrong answers that each question allows, where they are to be learnt from."""
        ids, contrasts = self.policy.encoder.completion_ids, self.config.loss == "contrastive"
        return [
            [ids(one) for one in allowed if contrasts and one != gold]
            for allowed, gold in zip(told["candidates"], told["gold_answer"], strict=True)
        ]

    @torch.no_grad()
    def _score_again(self) -> None:
        """Score the last round's targets with what was learnt from them."""
        if self.last is not None:
            played = self.last[0]
            self._told_again(
                self.policy.score(played.questions, played.targets, tasks=played.tasks, keep_contexts=True)
            )

    def _told_again(self, scored: Scored) -> None:
        """The last round's targets were scored with what was learnt from them."""
        assert self.last is not None
        (played, before), self.last = self.last, None
        self.waiting.append((played, [before, self.policy.begin(scored)]))

    def _targets(self, told: Info) -> list[Completion]:
        """What is imitated; a contrast is with candidates, so there it is the plain answer where there are any."""
        wanted = told["solution" if self.config.target == "solution" else "gold_answer"]
        if self.config.loss == "contrastive":
            rows = zip(told["candidates"], told["gold_answer"], wanted, strict=True)
            wanted = [gold if allowed else text for allowed, gold, text in rows]
        return [self.policy.encoder.completion_ids(text) for text in wanted]

    def _note(self, played: Played, before: Rewards, after: Rewards) -> None:
        self.stream.note(played.tasks, list(before > 0))
        shares = float((before > 0).mean()), float((after > 0).mean())
        self.results.append(
            RoundResult(played.update, float(before.mean()), *shares, self.stream.progression.figures())
        )

    def skip(self, rounds: int) -> None:
        """Pass over questions."""
        assert self.next is None, "a round has been asked ahead"
        for lanes in (self.before, self.after, self.scout):
            if lanes is not None:
                lanes.skip(rounds)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the questions follow from the seed and from the stream."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
