#!/bin/sh
# Prints the state that the functions of this guest read.
set -eu
text=$(awk 'BEGIN { for (i = 0; i < 50; i++) printf "0123456789" }')
printf '[\n'
printf '  {"storage": "sys.Event", "value": {"Number": 7, "Text": "an event"}},\n'
printf '  {"storage": "sys.Record", "entity": "bench.Text", "value": {"Text": "%s"}},\n' "$text"
printf '  {"storage": "sys.View", "entity": "bench.Counter", "key": {"Id": 1}, "value": {"Amount": 41}}'
awk 'BEGIN {
    for (id = 0; id < 1000; id++)
        printf ",\n  {\"storage\": \"sys.View\", \"entity\": \"bench.Rows\", \"key\": {\"Id\": %d}, \"value\": {\"Amount\": %d, \"Name\": \"row %d\"}}", id, 3 * id, id
}'
printf '\n]\n'
