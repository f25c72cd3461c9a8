"""From an equation to a program: tables of instructions on rows of vectors.

`equation` prepares a cell's trace, `derivatives` writes its backward pass as expressions, `steps` turns expressions
into steps and gives their results rows, `layer_program` does so for each table of a layer, and `program` joins and
encodes the tables. `weights` packs a genome, `memory_layout` places all that is not temporary, `listing` prints a
table.

    row        `vectors` times 16 floats: what one unit is in memory
    frame      the rows of one time step: last output, time, inputs, states, and what the backward pass needs
    workspace  the memory of a thread; the frames lie at its end
    base       what an address counts from: `work` the workspace, `this` and `next` the frames of a step and of the next
               one, `now` and `old` the cotangents of the new states and of the previous ones
    slot       the rows of one value; without a place it is temporary until `allocate` gives it one
    step       one instruction before it is encoded: an operation, a target slot, operand slots
    section    the steps of one table, such as `step` or `back`; a list of parts, one for each layer
    group      affine maps with the same sources, computed as one product into one block of rows
    gate       the cotangent of an affine map, which is stored in the frame, since gradients of weights are made of it
    back       what comes through the transposed weights into the cotangent of a source
    statics    values that no input leads to; they are computed once for a member

A time step of an LSTM with 2 inputs and 4 units, forward and backward, as a gradient runs it. The gates o, f, i and z
are one product of input and state, which are adjacent rows (8…13):

>>> from evornn.kernels.simd.programs.listing import listing
>>> from evornn.kernels.simd.programs.program import Program
>>> from evornn.layout import Layout
>>> from evornn.networks import CELLS
>>> lstm = Program(Layout(CELLS["lstm"](), 2, 4, 1, 1, "zero"), vectors=2, purpose="gradients")
>>> print(listing(lstm, "step"))
affine              16 rows  this 18    = weights 1 · (this 8…13)
sigmoid             12 rows  this 18    = this 18
tanh                 4 rows  this 30    = this 30
mul_add_mul          4 rows  next 14    = this 22, this 14, this 26, this 30
tanh                 4 rows  this 34    = next 14
mul                  4 rows  next 10    = this 18, this 34
>>> print(listing(lstm, "back"))
affine               4 rows  now 0     += weights 118 · (next 0…0)
slope_tanh_mul_add   4 rows  work 47    = now 0, this 18, this 34, now 8
mul                  4 rows  old 8      = work 47, this 22
slope_tanh_mul       4 rows  work 51    = work 47, this 26, this 30
slope_sigmoid_mul    4 rows  this 26    = work 47, this 30, this 26
copy                 4 rows  this 30    = work 51
slope_sigmoid_mul    4 rows  this 22    = work 47, this 14, this 22
slope_sigmoid_mul    4 rows  this 18    = now 0, this 34, this 18
affine               4 rows  old 0      = weights 126 · (this 18…33)

The last lines of `back` overwrite each gate's value with its cotangent; the copy is a cotangent that had to wait until
the value in its place was read for the last time.
"""
