"""What the operator makes: pure functions from resources to Kubernetes objects."""
