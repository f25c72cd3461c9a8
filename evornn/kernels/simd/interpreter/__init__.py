"""The interpreter: machine code, compiled once per machine, that executes any program; and the loops around it.

`driver` loops over members, sequences and time steps and calls `instructions.execute` for each table; `control_driver`
does the same for closed loops. `tiles` (products), `operations` and `functions` (elementwise) and `loss` are the inner
loops, `vector` gives numba a type of 16 floats, and `call_numbers` names what a call hands over. Arrays are addresses
and all positions are floats from there: as numba's arrays they would be seven arguments each.

    lane           one of the 16 floats of a vector; no lane's arithmetic depends on another lane
    row            `vectors` × 16 floats: what one unit is in the workspace
    wide           1: the lanes of a vector are 16 members with one sequence; 0: 16 sequences of one member
    same members   1: the vectors of a row hold further sequences of the same members; 0: further members
    span           the floats of a row that belong to the same member (to the same 16, if wide)
    weight stride  distance from a member's packed weights to those of the next vector's member; 0 for same members.
                   `gradient stride`: the same of the packed gradient
    group          the members that are computed together
    round, r       as many sequences of a group as fit into a row; `which`: its number among those of all groups
    frame          the rows of one time step; `cur` and `nxt` are the positions of this step's and the next one's
    record         the inputs, targets and mask of a time step in the caller's data; T: address of its targets
    P              address of a call's numbers (`call_numbers`)
    Z, W, G        addresses of the workspace, the packed weights, the packed gradient
    B              address of the bases, the positions that addresses count from: 0, frame, next frame, now, old
    S              address of the settings, what all instructions of a call share
    k              address of an instruction; t: a time step; v: the first lane of a vector in a row; b: LLVM's builder
"""
