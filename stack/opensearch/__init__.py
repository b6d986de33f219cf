"""A real OpenSearch with ML Commons as plain processes of this machine: fetched through Maven, laid out, started,
stopped.

For tests and for trying out. Not a distribution: one heap of half a gigabyte, no bundled JDK, no native k-NN engines
(`"engine": "lucene"` works, the default faiss ends the node).
"""
