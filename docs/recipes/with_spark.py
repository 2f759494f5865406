"""Answer the prompts of a Spark data frame, task by task."""

from collections.abc import Iterator

import anyio
import pandas as pd
from pyspark.sql import SparkSession

from limin.ray import TextCompletions

SCHEMA = """id long, prompt string, answer string, finish_reason string, prompt_tokens long,
    completion_tokens long, duration double, error string, error_kind string"""


def answer(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield each of *frames* with the columns of its answers."""
    completions = TextCompletions(n_parallel=16, max_tokens=8, checkpoint="answers")
    try:
        for frame in frames:
            yield anyio.run(completions, frame).to_pandas(types_mapper=pd.ArrowDtype)
    finally:
        completions.close()


if __name__ == "__main__":
    spark = SparkSession.builder.master("local[2]").getOrCreate()
    prompts = spark.range(20).selectExpr("id", "concat('What is ', id, '?') as prompt")
    prompts.mapInPandas(answer, SCHEMA).show()
    spark.stop()
