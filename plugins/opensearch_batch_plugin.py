"""What Airflow imports from a copied plugins folder: the page of a run. The wheel has it as an entry point; with both,
Airflow serves the one that comes first.
"""

from opensearch_batch.pages import plugin


class CopiedRunPages(plugin.RunPages):
    name = "opensearch_batch_copied"
