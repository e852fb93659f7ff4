"""Work on a GPU that is recorded as a CUDA graph, to be replayed.

A pass through a model has a thousand kernels, which often take longer to launch one by one than to compute. A graph
launches them all at once, on the memory where they were when it was recorded.
"""

from collections.abc import Callable
from typing import Any

import torch

RECORDED_ON = ("cuda",)  # kinds of device
# What rotates queries and keys in these ways is looked up anew as texts grow, which no recording can do.
LOOKED_UP = "dynamic", "longrope"
Work = Callable[[], None]


class Graphs:
    """Records work on one device; elsewhere than on a GPU, recorded work is just done again.

    Args:
        device: where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Its own: where a graph ends, so does what cuBLAS keeps for the stream it was recorded on, and other graphs
        # of that stream could not be replayed any more. They end together.
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def pool(self) -> Any:
        """Memory for what graphs compute on the way; it ends with the last graph that uses it."""
        return None if self._stream is None else torch.cuda.graph_pool_handle()

    def recorded(self, work: Work, pool: Any, warm_up: Work | None = None) -> Work:
        """What does the work again.

        Args:
            work: on memory that stays where it is.
            pool: where it puts what it computes on the way. Of graphs that share one, none may run between two that
                belong together, as a pass and its gradient do.
            warm_up: done before, since libraries prepare themselves at first use, which cannot be recorded.
        """
        if self._stream is None:
            return work
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            self._stream.wait_stream(torch.cuda.current_stream())
            if warm_up is not None:
                with torch.cuda.stream(self._stream):
                    warm_up()
            torch.cuda.current_stream().wait_stream(self._stream)
            with torch.cuda.graph(graph, pool=pool, stream=self._stream):
                work()
        return graph.replay
