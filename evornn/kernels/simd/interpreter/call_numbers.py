"""The numbers that a call hands to the driver, by name. P is their address; `word(P, c.ROW)` reads one.

First come two numbers for each table of the program, its address and its number of instructions; then the numbers
below. Positions in the workspace are floats from its beginning. Those in packed weights and gradients count numbers,
each of which is 16 floats where lanes run across members (wide). Arrays are addresses in bytes, 0 where there is none.
"""

from __future__ import annotations

TABLES = (
    "statics", "start", "begin", "step", "readout", "back", "products", "clear", "finish", "finish_start",
    "step_readout",
)  # fmt: skip
STATICS, START, BEGIN, STEP, READOUT, BACK, PRODUCTS, CLEAR, FINISH, FINISH_START, STEP_READOUT = range(len(TABLES))

# the program and its lanes, the same for all calls of a kernel
SIZES = (
    "row",  # floats of a row: 16 or 32
    "wide",  # 1: lanes run across 16 members; 0: across 16 sequences
    "same_members",  # 1: the vectors of a row hold the same members; 0: further ones
    "weight_stride",  # distance from the packed weights of a row's first members to those of the next
    "gradient_stride",  # the same of the packed gradient
    "inputs",  # rows of the inputs: 1 for class indices
    "outputs",  # O
    "frame",  # floats of a frame
    "first",  # position of the first frame in the workspace
    "x_row",  # position of the inputs in a frame
    "y_row",  # of the outputs
    "e_row",  # of the loss's gradient at the outputs
    "e_base",  # 1: that is in the next frame, in the place of the outputs; 0: in this one
    "total",  # position of the row in which a step's losses add up
    "bad",  # of the row with 0 for members whose weights are finite, else NaN; the row behind it is scratch
    "target",  # of two scratch rows for the loss
    "now",  # of the cotangents of the new states
    "old",  # of those of the previous states
    "cotangents",  # floats of either
    "feedback",  # 1: a step reads the last output
    "weights",  # packed weights of a member
    "n",  # parameters of a genome
    "rounds",  # rounds of a group of members
    "constants",  # rows that are filled with a constant
    "counted",  # position of `c` in a frame, in a program of sums; −1: another program
    "ones",  # position of a row of ones
    "lookup_floats",  # floats of a step's cotangents of looked-up weights
    "lookups",  # maps that look up their weights
    "classes",  # columns of such a map
)
ARRAYS = (
    "execute",  # the compiled interpreter
    "index",  # [weights] the position in the genome of each packed weight, −1: none; 32 bits
    "template",  # [weights] the number where the genome has none
    "filled",  # [constants, 2] a number and the row that it fills
    "positions",  # [n] the position in the packed gradient of each parameter, −1: none; 32 bits
    "lookup_table",  # [lookups, 3] position in the genome, rows, rows before it
)
# a closed loop: its plant
CONTROL = (
    "episodes",  # E
    "states",  # of the plant
    "window",  # only so many last rewards count; 0: all
    "advance",  # compiled function: one control step of the plant
    "observe",  # compiled function: the network's inputs
    "starts",  # [episodes, states]
    "most_steps",  # of an episode. From here on numbers differ from call to call
    "queue",  # [1] how many jobs have been taken, in units of 16, shared by the threads
    "survived",  # [members, episodes] results: steps,
    "rewards",  # rewards
    "ends",  # and [members, episodes, states] final states
)
# what differs from call to call; of these, a closed loop has the first two
CALL = (
    "members",  # P
    "genomes",  # [P, n]
    "steps",  # T
    "segment",  # steps whose frames are stored at a time; 0: no gradient
    "record",  # numbers of a step in the data: inputs, targets, mask
    "loss",  # its number in `loss`
    "keep",  # 1: outputs are returned
    "resume",  # 1: rounds start from given frames
    "carry",  # 1: rounds return their last frame
    "split",  # 1: threads share the rounds of a group, which the caller adds up
    "scale",  # 1 / steps that count, the bits of a float
    "data",  # [blocks, steps, record, lanes]
    "outside",  # gradients at the outputs, for the loss EXTERNAL; levels [O] of the outputs, for QUANTILE
    "kept",  # outputs
    "carried",  # frames that rounds start from and end with
    "result",  # [P] losses
    "gradient",  # [P, n]
)
# arrays of a thread: those of a closed loop end with "packed", those of sequences begin with "bases"
SCRATCH = (
    "plant",  # rows of the plants
    "jobs",  # of the lanes: members, episodes; then the range of jobs taken
    "bases",  # [5] positions that addresses count from
    "settings",  # what all instructions share: `instructions`
    "workspace",
    "packed",  # weights
    "gradients",  # packed gradient of a round
    "checkpoints",  # frames at the borders of segments
    "sums",  # [rounds, row] losses, 64 bits; of all groups if split
    "partial",  # packed gradients: the sum over rounds, or of each group and round if split
    "lookup_cotangents",  # of looked-up weights, for each round and step
)
NAMES = (*SIZES, *ARRAYS, *CONTROL, *CALL, *SCRATCH)
OFFSETS = {name: 2 * len(TABLES) + k for k, name in enumerate(NAMES)}
COUNT = 2 * len(TABLES) + len(OFFSETS)
# the same as constants, which numba reads: ROW is OFFSETS["row"]
(
    ROW, WIDE, SAME_MEMBERS, WEIGHT_STRIDE, GRADIENT_STRIDE, INPUTS, OUTPUTS, FRAME, FIRST, X_ROW, Y_ROW, E_ROW, E_BASE,
    TOTAL, BAD, TARGET, NOW, OLD, COTANGENTS, FEEDBACK, WEIGHTS, N, ROUNDS, CONSTANTS,
    COUNTED, ONES, LOOKUP_FLOATS, LOOKUPS, CLASSES,
    EXECUTE, INDEX, TEMPLATE, FILLED, POSITIONS, LOOKUP_TABLE,
    EPISODES, STATES, WINDOW, ADVANCE, OBSERVE, STARTS, MOST_STEPS, QUEUE, SURVIVED, REWARDS, ENDS,
    MEMBERS, GENOMES, STEPS, SEGMENT, RECORD, LOSS, KEEP, RESUME, CARRY, SPLIT, SCALE,
    DATA, OUTSIDE, KEPT, CARRIED, RESULT, GRADIENT,
    PLANT, JOBS, BASES, SETTINGS, WORKSPACE, PACKED, GRADIENTS, CHECKPOINTS, SUMS, PARTIAL, LOOKUP_COTANGENTS,
) = OFFSETS.values()  # fmt: skip
MAX_PRODUCT_STEPS = 32  # time steps whose products single precision adds up well, and whose frames stay in the cache
SPILL = 64  # time steps after which losses go to double precision
