"""The administration of operators."""
