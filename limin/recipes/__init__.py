"""What is built on a function that asks alone: without a client, without a transport."""
