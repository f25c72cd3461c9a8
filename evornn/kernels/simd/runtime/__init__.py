"""What a call needs: machine code, threads, memory, lanes, and the evaluator with torch's interface."""
