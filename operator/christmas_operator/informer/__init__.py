"""kopf as an informer: it lists and watches; views and names to look at come out."""
