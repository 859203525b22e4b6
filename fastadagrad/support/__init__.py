"""What any program needs, whatever it computes: names, numbers, files and signals. It imports nothing of ours."""
