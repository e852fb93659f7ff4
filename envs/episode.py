"""One question and the attempts at it: what an agent is told, before and after it answers.

The single and the vectorised environment are both made of this, so they cannot differ.
"""

from typing import Any, NamedTuple

from reasoning_arena.envs.problem import Problem
from reasoning_arena.envs.scoring import score

Info = dict[str, Any]
LONGEST_SHOWN = 200


class Outcome(NamedTuple):
    """What follows from one answer."""

    observation: str
    correct: bool
    terminated: bool
    info: Info


class Episode:
    """A problem that is being asked.

    Args:
        problem: what is asked.
        max_attempts: after how many wrong answers the episode ends.
    """

    __slots__ = ("attempt", "max_attempts", "over", "problem")

    def __init__(self, problem: Problem, max_attempts: int) -> None:
        self.problem = problem
        self.max_attempts = max_attempts
        self.attempt = 0
        self.over = False

    @property
    def observation(self) -> str:
        """The question."""
        return self.problem.posed.question

    def info(self) -> Info:
        """What may be known before answering; never the gold answer."""
        posed, task, difficulty, problem_id = self.problem
        return {
            "task": task,
            "difficulty": difficulty,
            "answer_type": posed.answer_type,
            "candidates": posed.candidates,
            "problem_id": problem_id,
        }

    def answer(self, text: str) -> Outcome:
        """Score one answer. The gold answer and the solution are told once no attempt is left."""
        posed = self.problem.posed
        verdict = score(text, posed)
        self.attempt += 1
        self.over = verdict.correct or self.attempt >= self.max_attempts
        info = self.info()
        info["answer"], info["correct"] = verdict
        if self.over:
            info["gold_answer"], info["solution"] = posed.answer, posed.solution
            observation = "Correct." if verdict.correct else f"Wrong. The answer is {posed.answer}."
        else:
            said = "No answer could be read." if verdict.answer is None else f"{_shown(verdict.answer)} is wrong."
            left = self.max_attempts - self.attempt
            observation = (
                f"{posed.question}\n\n{said} {left} attempt{'s' if left > 1 else ''} left. Answer the question again."
            )
        return Outcome(observation, verdict.correct, self.over, info)


def _shown(answer: str) -> str:
    """An answer as it is told back: what an agent wrote may be of any length and in any characters."""
    return answer if len(answer) <= LONGEST_SHOWN and answer.isascii() and answer.isprintable() else "Your answer"
