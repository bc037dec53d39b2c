#!/bin/bash
#SBATCH --job-name=landmarks
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
# Train on the 8 GPUs of two nodes. Submitted again, the run goes on after its last finished epoch.
set -euo pipefail
GPUS=4 PORT=29500
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export HEAD PORT PROCESSES=$((SLURM_NNODES * GPUS)) OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / GPUS))
srun --kill-on-bad-exit=1 bash -c '
    accelerate launch --multi_gpu --num_machines "$SLURM_NNODES" --machine_rank "$SLURM_NODEID" \
        --main_process_ip "$HEAD" --main_process_port "$PORT" --num_processes "$PROCESSES" \
        --mixed_precision no --dynamo_backend no \
        cli.py train --n_landmarks 2 --batch_size 64 --resume'
