"""The Kubernetes API as the operator needs it."""
