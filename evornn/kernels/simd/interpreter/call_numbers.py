"""The numbers that a call hands to the driver, by name: addresses and lengths of the program's tables, sizes, places in
the workspace (in floats), what is asked for, and addresses of arrays."""

from __future__ import annotations

TABLES = (
    "statics", "start", "begin", "step", "readout", "back", "products", "clear", "finish", "finish_start",
    "step_readout",
)  # fmt: skip
STATICS, START, BEGIN, STEP, READOUT, BACK, PRODUCTS, CLEAR, FINISH, FINISH_START, STEP_READOUT = range(len(TABLES))
SIZES = (
    "row", "wide", "apart", "twin", "gtwin", "inputs", "outputs", "frame", "first", "x", "y", "e", "e_base",
    "total", "bad", "target", "now", "old", "cotangents", "feedback", "weights", "gsize", "n", "rounds", "constants",
    "counted", "ones", "looked_floats", "lookups", "classes",
)  # fmt: skip
ARRAYS = ("execute", "index", "template", "filled", "positions", "lookup_table")
# of a closed loop: its plant; then what differs from call to call, with the first of CALL
CONTROL = (
    "episodes",
    "states",
    "window",
    "advance",
    "observe",
    "starts",
    "most_steps",
    "queue",
    "survived",
    "rewards",
    "ends",
)
CALL = (
    "members", "genomes", "steps", "segment", "record", "loss", "keep", "resume", "carry", "split", "scale",
    "data", "given", "kept", "carried", "result", "gradient",
)  # fmt: skip
# arrays of a thread: those of a closed loop end with "packed", those of sequences begin with "bases"
SCRATCH = (
    "plant",
    "jobs",
    "bases",
    "settings",
    "workspace",
    "packed",
    "gradients",
    "checkpoints",
    "sums",
    "partial",
    "looked",
)
NAMES = (*SIZES, *ARRAYS, *CONTROL, *CALL, *SCRATCH)
OFFSETS = {name: 2 * len(TABLES) + k for k, name in enumerate(NAMES)}  # after two numbers for each table
COUNT = 2 * len(TABLES) + len(OFFSETS)
(
    ROW, WIDE, SAME_MEMBERS, WEIGHT_STRIDE, GRADIENT_STRIDE, INPUTS, OUTPUTS, FRAME, FIRST, X_ROW, Y_ROW, E_ROW, E_BASE,
    TOTAL, BAD, TARGET, NOW, OLD, COTANGENTS, FEEDBACK, WEIGHTS, GSIZE, N, ROUNDS, CONSTANTS,
    COUNTED, ONES, LOOKUP_FLOATS, LOOKUPS, CLASSES,
    EXECUTE, INDEX, TEMPLATE, FILLED, POSITIONS, LOOKUP_TABLE,
    EPISODES, STATES, WINDOW, ADVANCE, OBSERVE, STARTS, MOST_STEPS, QUEUE, SURVIVED, REWARDS, ENDS,
    MEMBERS, GENOMES, STEPS, SEGMENT, RECORD, LOSS, KEEP, RESUME, CARRY, SPLIT, SCALE,
    DATA, OUTSIDE, KEPT, CARRIED, RESULT, GRADIENT,
    PLANT, JOBS, BASES, SETTINGS, WORKSPACE, PACKED, GRADIENTS, CHECKPOINTS, SUMS, PARTIAL, LOOKUP_COTANGENTS,
) = OFFSETS.values()  # fmt: skip
MAX_PRODUCT_STEPS = 32  # time steps whose products single precision adds up well, and whose frames stay in the cache
SPILL = 64  # time steps after which losses go to double precision
