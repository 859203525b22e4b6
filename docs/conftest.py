"""What pytest must not import when it runs the examples of the pages."""

collect_ignore_glob = ["conf.py", "_build/*", "auto_examples/*", "gallery/*", "reference/generated/*"]
