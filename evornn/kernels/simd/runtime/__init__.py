"""What runs a program for a population: machine code, threads, memory, lanes, and evaluators with torch's interface.

`evaluator` and `control` are what a network uses; `kernel` runs one program, `lane_layout` puts data into lanes,
`machine_code` loads the compiled functions, `threads` shares members or sequences out, `plant` compiles a plant's
equations, and `normal` makes random numbers.

    kernel    the program of a network for one purpose and one lane layout, with its packing of weights
    call      one run of a kernel: its numbers (`interpreter.call_numbers`) say what is computed and where results go
    lanes     which sequence and member is in which lane of a row: [groups, rounds, …, vectors, lanes]
    group     the members that are computed together: 1 or 16, times the vectors that hold further members
    round     as many sequences of a group as fit into a row
    block     16 sequences of a member, or if lanes run across members one sequence: what a vector holds
    record    the inputs, targets and mask of one time step
    buffers   the scratch arrays of a thread, which are kept from call to call
"""
