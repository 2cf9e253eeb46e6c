"""Runs the Strategies and Brokers of Christmas on Kubernetes."""
