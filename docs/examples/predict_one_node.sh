#!/bin/bash
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
# Predict with one worker a CPU of a single machine, with SLURM or without. Started again, it goes on until
# it is finished.
set -euo pipefail
CPUS=${SLURM_CPUS_PER_TASK:-$(nproc)}
python cli.py predict --model runs/baseline --image_dir films --output_dir found --no_overlays --resume \
    --cluster local --workers "$CPUS"
