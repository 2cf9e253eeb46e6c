"""The rule language: text to a checked rule, and its evaluation bar by bar or over arrays. See docs/rules.md."""
