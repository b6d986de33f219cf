"""What the package costs in CPU and memory, beside what users write by hand: `python -m benchmarks`, no thresholds."""
