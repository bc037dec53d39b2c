#!/bin/bash
#SBATCH --job-name=predict
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
# Predict with one worker a CPU of four nodes, which all see the same folders. Submitted again, it goes on until
# it is finished.
set -euo pipefail
PORT=6379
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export HEAD PORT RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
ray get-auth-token --generate > /dev/null  # into the home folder, so that nobody else on the network can join
srun bash -c '
    if [ "$SLURM_NODEID" = 0 ]; then
        exec ray start --head --port "$PORT" --num-cpus "$SLURM_CPUS_PER_TASK" --include-dashboard false --block
    fi
    until (: > "/dev/tcp/$HEAD/$PORT") 2> /dev/null; do sleep 1; done
    exec ray start --address "$HEAD:$PORT" --num-cpus "$SLURM_CPUS_PER_TASK" --block' &
trap 'kill $!' EXIT
until (: > "/dev/tcp/$HEAD/$PORT") 2> /dev/null; do sleep 1; done
python cli.py predict --model runs/baseline --image_dir films --output_dir found --no_overlays --resume \
    --cluster "$HEAD:$PORT" --workers $((SLURM_NNODES * SLURM_CPUS_PER_TASK))
