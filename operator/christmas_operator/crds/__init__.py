"""The CustomResourceDefinitions, generated from the models in christmas.resources."""
