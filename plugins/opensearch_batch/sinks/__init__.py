"""Where answers end: result files as JSON Lines or Parquet."""
