"""The words, the rules, the pipeline and the delivery of one turn."""
