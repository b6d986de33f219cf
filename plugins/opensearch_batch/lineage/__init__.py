"""What a step has read and written, as datasets of OpenLineage. Values only; tasks/lineage.py hands them on."""
