"""Amazon SageMaker batch transform."""
