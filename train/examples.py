"""Problems with their answers that the soft prompt starts from: what a question looks like, and how to answer it.

They are put as the tasks put theirs. Their people, events and things are none of the tasks' own and their number
sequences fall into the training split, so none of them is a problem that anybody is evaluated on.
"""

from collections.abc import Callable, Iterable

from reasoning_arena.agents.encoding import PLAIN, PLAIN_END
from reasoning_arena.envs.problem import Posed

EXAMPLES: dict[str, tuple[Posed, ...]] = {
    "causal": (
        Posed(
            "Here coal brings smog and salt brings luck. Now there is coal. What follows in the end?",
            "smog",
            "choice",
            ("luck", "smog"),
            "coal brings smog",
        ),
    ),
    "math": (
        Posed("Kim has 7 mugs. Kim finds 5 more. How many mugs does Kim have now?", "12", "integer", (), "7 + 5 = 12"),
        Posed("Ben has 9 caps. Ben sells 6. How many caps does Ben have now?", "3", "integer", (), "9 - 6 = 3"),
    ),
    "grid": (
        Posed(
            "Tom has the saw. Lea has the axe. Kim, Lea and Tom each have a different tool: axe, rake or saw. "
            "Who has the axe?",
            "Lea",
            "name",
            ("Kim", "Lea", "Tom"),
            "Tom: saw: Tom, Lea: axe: Lea, Kim: rake: Kim, so axe: Lea",
        ),
        Posed(
            "Ben, Max and Sue each have a different bag: gray, tan or teal. Sue has the tan. Ben has the teal. "
            "Which bag does Max have?",
            "gray",
            "choice",
            ("gray", "tan", "teal"),
            "Sue: tan: Sue, Ben: teal: Ben, Max: gray: Max, so Max: gray",
        ),
    ),
    # The first, the second and the last of three: one alone leaves open what the question's words have to do with it.
    "comparison": (
        Posed(
            "Kim is shorter than Lea. Ben is shorter than Kim. Ben is shorter than Lea. Who is the tallest?",
            "Lea",
            "name",
            ("Ben", "Kim", "Lea"),
            "shortest: Ben, second: Kim, tallest: Lea, so tallest: Lea",
        ),
        Posed(
            "Max is older than Sue. Max is older than Tom. Sue is older than Tom. Name the second oldest person.",
            "Sue",
            "name",
            ("Max", "Sue", "Tom"),
            "oldest: Max, second: Sue, youngest: Tom, so second: Sue",
        ),
        Posed(
            "Lea is faster than Kim. Max is faster than Kim. Lea is faster than Max. Which of them is the fastest?",
            "Lea",
            "name",
            ("Kim", "Lea", "Max"),
            "fastest: Lea, second: Max, slowest: Kim, so fastest: Lea",
        ),
    ),
    "sequence": (
        Posed("What number comes next? 16, 18, 20, 22", "24", "integer", (), "16 to 18: 16 17 18, 22 23 24, so 24"),
        Posed(
            "12, 11, 10, 9, ? Which number replaces the question mark?",
            "8",
            "integer",
            (),
            "12 to 11: 12 11, 9 8, so 8",
        ),
        Posed(
            "Continue the sequence with one number: 8, 13, 18, 23, ...",
            "28",
            "integer",
            (),
            "8 to 13: 8 9 10 11 12 13, 23 24 25 26 27 28, so 28",
        ),
    ),
}


def worked(posed: Posed) -> str:
    """What leads to the answer, and ends in it."""
    return posed.solution


def plain(posed: Posed) -> str:
    """The answer alone where the environment says which there are; else worked out."""
    return posed.answer if posed.candidates else posed.solution


def brief(posed: Posed) -> str:
    """The answer alone, but for a sum: what can be drawn often, and right by luck, so that reward finds it."""
    return posed.solution if "=" in posed.solution else posed.answer


def few_shot(answered: Callable[[Posed], str], each: int, order: Iterable[str] = tuple(EXAMPLES)) -> str:
    """So many of each task as a language model reads them without a chat template; it imitates the last ones most."""
    posed = [one for task in order for one in EXAMPLES[task][:each]]
    return "".join(f"{PLAIN.format(question=one.question)} {answered(one)}{PLAIN_END}" for one in posed)
