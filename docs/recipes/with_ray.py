"""Answer the prompts of a data set, by two actors of Ray."""

import ray

from limin.ray import TextCompletions

options = {"max_tokens": 8, "temperature": 0.0, "checkpoint": "/shared/capitals"}
TextCompletions(**options)  # Checks the options here, and opens nothing.

prompts = ray.data.from_items([{"prompt": f"What is {n} + {n}?"} for n in range(20)])
answers = prompts.map_batches(
    TextCompletions,
    fn_constructor_kwargs=options,
    batch_format="pyarrow",
    batch_size=None,
    compute=ray.data.ActorPoolStrategy(size=2, max_concurrent_calls_per_actor=2),
    num_cpus=0.5,
)
print(answers.count(), answers.schema())
