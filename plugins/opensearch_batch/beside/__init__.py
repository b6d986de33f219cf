"""A new index beside the one that an alias leads to: made, filled, kept up to date, put in its place."""
