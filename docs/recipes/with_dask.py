"""Answer the prompts of a Dask data frame, partition by partition."""

import anyio
import dask.dataframe as dd
import pandas as pd

from limin.ray import TextCompletions


def answer(part: pd.DataFrame) -> pd.DataFrame:
    """Return *part* with the columns of its answers."""
    completions = TextCompletions(n_parallel=16, max_tokens=8, checkpoint="answers")
    try:
        table = anyio.run(completions, part)
    finally:
        completions.close()
    return table.to_pandas(types_mapper=pd.ArrowDtype)


if __name__ == "__main__":
    prompts = pd.DataFrame({"prompt": [f"What is {n} + {n}?" for n in range(20)]})
    frame = dd.from_pandas(prompts, npartitions=2)
    columns = answer(prompts.iloc[:0])
    print(frame.map_partitions(answer, meta=columns).compute())
