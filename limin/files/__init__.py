"""Files of prompts, and files of answers: what the program reads and writes."""
