"""The OpenAI API as https://platform.openai.com/docs/api-reference describes it: files, batches, models and answers."""
