# A script whose steps hand a file on: one writes it, one renames it, one only opens it, one executes it.
# Usage: links.sh FOLDER ARGUS_CAPTURE
folder=$1
argus=$2

eval "$("$argus" mark start write)"
printf '#!/bin/sh\n:\n' >"$folder/old"
chmod +x "$folder/old"
eval "$("$argus" mark end)"
eval "$("$argus" mark start rename)"
mv "$folder/old" "$folder/new"
eval "$("$argus" mark end)"
eval "$("$argus" mark start open)"
: 3<>"$folder/new"
eval "$("$argus" mark end)"
eval "$("$argus" mark start run)"
"$folder/new"
eval "$("$argus" mark end)"
