"""The REST API of OpenSearch ML Commons; https://docs.opensearch.org/latest/ml-commons-plugin/api/"""
