#!/bin/sh
# Finish the program in /program: a list of all packages of the image beside it, as
# CycloneDX.  It is not compiled, which takes half a second at each start, so that a changed
# line is a layer of less than 1 MB.  All that is written elsewhere stays out of the image.
set -eu
cp -a /program/. /opt/replicate/
mkdir -p /program/share/replicate
/opt/lister/bin/cyclonedx-py environment --output-reproducible \
  --output-file /program/share/replicate/sbom.cdx.json /opt/replicate/bin/python3
find /program -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
