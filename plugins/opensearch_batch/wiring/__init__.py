"""The stages of the DAG that batch_inference wires: each takes tasks of the stage before and returns its own."""
