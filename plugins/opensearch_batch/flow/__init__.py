"""The nouns of the flow: Shard, Job, Outcome, Answer, Landed."""
