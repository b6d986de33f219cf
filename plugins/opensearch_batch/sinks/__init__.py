"""Where answers end: result files."""
