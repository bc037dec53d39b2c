"""Benchmarks: landmark_fastai against the original system, as `benchmarks.reference` writes it from its description.

`python -m benchmarks` runs all groups, `python -m benchmarks data step` some; each saves `results/<group>.json`.
`python -m benchmarks table` puts the saved results into docs/benchmarks.md.
"""
