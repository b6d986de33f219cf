"""Check: what a run of a spec needs, asked for before the first run, a line each."""
