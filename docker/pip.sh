#!/bin/sh
# Fill /opt/betaearth with pip. What the build was given in secret (pip.conf, ca.crt) is read where it is mounted.
#
#   pip.sh install ...             as pip install
#   pip.sh install-torch cpu|cuda  the torch of constraints.txt, from TORCH_INDEX_URL if that is set
#   pip.sh install-package VERSION the package that lies here, which must be of that version
set -eu

python=/opt/betaearth/bin/python

fail() {
    echo "$1" >&2
    exit 1
}

# A file that was not given may be absent or empty.
if [ -s /run/secrets/pip.conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip.conf; fi
if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi

pip_install() {
    python3 -m pip --python "$python" install --no-compile "$@"
}

# Read-only roots cannot keep what Python compiles. Unchecked, because tools that make layers may change file times.
# Some packages carry files that are no Python of this version and that nothing imports: those stay as they are.
compile() {
    "$python" -m compileall -qq -j 0 --invalidation-mode unchecked-hash /opt/betaearth/lib || true
}

install_torch() {
    # Only torch itself comes from there: an index of builds holds other packages too, of whatever version.
    if [ -n "${TORCH_INDEX_URL:-}" ]; then
        pip_install --only-binary :all: --no-deps --index-url "$TORCH_INDEX_URL" torch
    fi
    pip_install --only-binary :all: torch
    # 145 MB that nothing runs: its own tests, and headers for a compiler that the image does not have.
    rm -rf /opt/betaearth/lib/python3*/site-packages/torch/test /opt/betaearth/lib/python3*/site-packages/torch/include
    cuda=$("$python" -c 'import torch; print(torch.version.cuda or "none")')
    case "$1/$cuda" in
        cpu/none) ;;
        cpu/*) fail "this torch is built for CUDA $cuda: set TORCH_INDEX_URL to an index of CPU builds, or build cuda" ;;
        cuda/none) fail "this torch is a CPU build: set TORCH_INDEX_URL to an index of CUDA builds, or build cpu" ;;
        cuda/*) ;;
        *) fail "cpu or cuda, not $1" ;;
    esac
}

install_package() {
    found=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' betaearth/_version.py)
    [ "$found" = "$1" ] || fail "VERSION is $1, and the package is of version $found"
    pip_install --no-deps .
}

case "$1" in
    install) shift; pip_install "$@" ;;
    install-torch) install_torch "$2" ;;
    install-package) install_package "$2" ;;
    *) fail "install, install-torch or install-package, not $1" ;;
esac
compile
