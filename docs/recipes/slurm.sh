#!/bin/bash
#SBATCH --array=1-16
#SBATCH --cpus-per-task=1
#SBATCH --requeue
# Each task answers every 16th line. A task that is requeued goes on where it was.
set -eu
limin run prompts.jsonl \
  --output "answers-$SLURM_ARRAY_TASK_ID.jsonl" --resume \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  -n 32 --max-tokens 8
