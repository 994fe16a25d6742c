"""Runs in Flower's ServerApp process: its own FedAvg, with notes of when each round's model is there."""

import json
import time
from collections.abc import Iterable

from flwr.app import ArrayRecord, Context, Message, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from benchapp import work

app = ServerApp()


class Noting(FedAvg):
    """``notes``: a file that gets one JSON line for each event."""

    notes = ""

    def note(self, **what: object) -> None:
        with open(self.notes, "a") as file:
            file.write(json.dumps({"at": time.time(), **what}) + "\n")

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        found = super().aggregate_train(server_round, replies)
        self.note(event="round")
        return found


@app.main()
def main(grid: Grid, context: Context) -> None:
    asked = context.run_config
    clients, rounds, elements = int(asked["clients"]), int(asked["rounds"]), int(asked["elements"])
    strategy = Noting(fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients)
    strategy.notes = str(asked["notes"])
    first = ArrayRecord([work.initial(number, elements) for number in range(work.ARRAYS)])
    strategy.note(event="begin")
    found = strategy.start(grid=grid, initial_arrays=first, num_rounds=rounds)
    arrays = (array.numpy() for array in found.arrays.values())
    strategy.note(event="end", correct=work.is_right(arrays, clients, rounds))
