#!/bin/sh
# A scanner behind the interface of `bundle scan --scanner COMMAND`, for tests: it reads the whole image from the
# registry that it is pointed to, compares each blob with its digest, and prints what $BUNDLE_SCAN_DB says of it, in
# Trivy's JSON (aquasecurity/trivy, pkg/types/report.go). It notes each call there, and what it knows of its caller.
set -eu
db=$BUNDLE_SCAN_DB
if [ "$1" = --version ]; then
    cat "$db/version"
    exit
fi
sbom=
if [ "$1" = --sbom ]; then
    sbom=$2
    shift 2
fi
[ $# = 1 ]
host=${1%%/*} rest=${1#*/}
name=${rest%@*} digest=${rest#*@} short=$(basename "${rest%@*}")
env > "$db/environment"
login=$BUNDLE_SCAN_USERNAME:$BUNDLE_SCAN_PASSWORD
# Whoever has no login gets nothing.
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$host/v2/$name/manifests/$digest")" = 401 ]
echo "$short $digest" >> "$db/calls"
if [ -n "$sbom" ]; then
    if [ -e "$db/$short.sbom" ]; then . "$db/$short.sbom"; fi
    case $sbom in
    spdx) echo "{\"spdxVersion\": \"SPDX-2.3\", \"name\": \"$digest\", \"packages\": [{\"licenseDeclared\": \"MIT\"}]}" ;;
    cyclonedx) echo "{\"bomFormat\": \"CycloneDX\", \"components\": [], \"serialNumber\": \"$digest\"}" ;;
    esac
    exit
fi
if [ -e "$db/$short.sh" ]; then . "$db/$short.sh"; fi
curl -sSf -u "$login" "http://$host/v2/$name/manifests/$digest" \
    -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' > manifest
[ "sha256:$(sha256sum < manifest | cut -d' ' -f1)" = "$digest" ]
for blob in $(grep -o 'sha256:[0-9a-f]*' manifest); do
    [ "sha256:$(curl -sSf -u "$login" "http://$host/v2/$name/blobs/$blob" | sha256sum | cut -d' ' -f1)" = "$blob" ]
done
if [ -e "$db/$short.json" ]; then cat "$db/$short.json"; else echo '{"SchemaVersion": 2, "Results": [{"Target": "a"}]}'; fi
