"""What the commands do, behind their arguments: they compose the parts and print what happens."""
