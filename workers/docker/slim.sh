#!/bin/sh
# Removes from a virtual environment what no service of evornn uses: tests, headers and programs of libraries, parts of Ray for
# other work, pip, and the symbols of the largest libraries. Compiled Python stays, because a read-only file system can't get
# any later. Needs `strip` (binutils).
set -eu
packages=$(echo "${1:?the virtual environment}"/lib/python3*/site-packages)
cd "$packages"

rm -rf torch/test torch/include torch/share torch/bin/protoc* torch/bin/test_* torch/lib/libtorchbind_test.so \
    torch/lib/libjitbackend_test.so torch/lib/libaoti_custom_ops.so
rm -rf ray/jars ray/rllib ray/llm ray/cpp ray/dashboard/client ray/core/generated/java
rm -rf pip pip-*.dist-info "$1"/bin/pip*
# Tests within packages. Some that are imported have another name (numpy.testing, torch.testing) and stay.
find . -type d \( -name tests -o -name include \) -prune -exec rm -rf {} +
find . -name '*.pxd' -delete -o -name '*.pyx' -delete -o -name '*.js.map' -delete -o -name '*.a' -delete

strip --strip-unneeded torch/lib/libtorch_*.so llvmlite/binding/libllvmlite.so ray/_raylet.so \
    ray/core/src/ray/raylet/raylet ray/core/src/ray/gcs/gcs_server pyarrow/libarrow.so.* pyarrow/libparquet.so.*
