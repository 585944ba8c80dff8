"""From a trained network and images to scenes: predictions, files, results in official formats."""
