"""What is sent of a part: made by the publisher, turned back into the part by the node."""
