"""What Faust does not do with Kafka; aiokafka stops here.

=====================  =============================================================================
`broker`               topics, offsets and groups: what is asked of a cluster, and what is removed
`versions`             which requests brokers know
`topic_facts`          how topics are kept
`topic_ids`            which topic a name stands for
=====================  =============================================================================
"""
